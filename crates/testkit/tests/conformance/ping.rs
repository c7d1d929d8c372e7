use std::time::{Duration, Instant};

use dunlin_testkit::property::{self, Properties};
use dunlin_testkit::{Connect, Event, Packet, Version, frame};

use crate::support::{BROKEN, client, connect, unique};

// shows 3.1.1: MQTT-3.12.4-1
// shows 5.0: MQTT-3.12.4-1
#[test]
fn pingreq_is_answered_by_pingresp() {
    for version in Version::ALL {
        let mut client = client(version);
        for _ in 0..3 {
            client.ping();
        }
    }
}

#[test]
fn a_pingreq_with_flags_or_a_body_ends_the_connection() {
    for version in Version::OASIS {
        for bytes in [frame(0xc1, &[]), frame(0xc0, &[0])] {
            let mut client = client(version);
            client.send(&bytes);
            client.expect_disconnect(BROKEN);
        }
    }
}

// shows 3.1.1: MQTT-3.1.2-24
// shows 5.0: MQTT-3.1.2-22, MQTT-3.2.2-22
#[test]
fn a_silent_client_is_disconnected_after_one_and_a_half_keep_alives() {
    let mut clients: Vec<_> = Version::ALL
        .iter()
        .map(|version| connect(&Connect::new(*version, &unique("c")).keep_alive(1)))
        .collect();
    let start = Instant::now();
    for (client, answer) in &mut clients {
        assert_eq!(answer.properties.get(property::SERVER_KEEP_ALIVE), None);
        client.expect_disconnect(&[0x8d]);
        let waited = Instant::now() - start;
        assert!(waited > Duration::from_millis(1400), "gone after {waited:?} already");
        assert!(waited < Duration::from_secs(3), "gone only after {waited:?}");
    }
}

#[test]
fn any_packet_keeps_a_client_alive_and_so_does_keep_alive_0() {
    let mut busy = connect(&Connect::new(Version::V311, &unique("c")).keep_alive(1)).0;
    let mut free = connect(&Connect::new(Version::V311, &unique("c")).keep_alive(0)).0;
    for _ in 0..5 {
        assert_eq!(busy.next(Duration::from_millis(500)), Event::Nothing);
        busy.publish(&unique("t"), "still here", 1);
    }
    busy.ping();
    free.ping();
}

#[test]
fn what_a_client_receives_does_not_keep_it_alive() {
    let topic = unique("t");
    let packet = Connect::new(Version::V5, &unique("c")).keep_alive(1);
    let mut silent = connect(&packet.properties(Properties::new())).0;
    silent.subscribe(&topic, 0);
    let start = Instant::now();
    let mut publisher = client(Version::V5);
    loop {
        assert!(Instant::now() - start < Duration::from_secs(6), "kept alive by its own messages");
        publisher.publish(&topic, "tick", 0);
        match silent.next(Duration::from_millis(200)) {
            Event::Packet(Packet::Publish(_)) => std::thread::sleep(Duration::from_millis(200)),
            Event::Packet(Packet::Disconnect(packet)) => break assert_eq!(packet.reason, 0x8d),
            other => panic!("{other:?}"),
        }
    }
}

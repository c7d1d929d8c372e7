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
    for version in Version::ALL {
        // Others may hold the machine up, but not every time.
        let is_prompt = |_| is_disconnected_after(version) < Duration::from_secs(3);
        assert!((0..5).any(is_prompt), "gone too late");
    }
}

/// How long a client with a keep alive of a second is borne in silence.
fn is_disconnected_after(version: Version) -> Duration {
    let start = Instant::now();
    let (mut client, answer) = connect(&Connect::new(version, &unique("c")).keep_alive(1));
    assert_eq!(answer.properties.get(property::SERVER_KEEP_ALIVE), None);
    client.expect_disconnect(&[0x8d]);
    let waited = Instant::now() - start;
    assert!(waited > Duration::from_millis(1400), "gone after {waited:?} already");
    waited
}

#[test]
fn any_packet_keeps_a_client_alive_and_so_does_keep_alive_0() {
    let mut free = connect(&Connect::new(Version::V311, &unique("c")).keep_alive(0)).0;
    assert!((0..20).any(|_| stays_busy()), "this machine stands still all the time");
    free.ping();
}

/// A client is there for longer than one and a half times its keep alive, with pauses far shorter; false if this
/// machine has made them longer.
fn stays_busy() -> bool {
    let mut busy = connect(&Connect::new(Version::V311, &unique("c")).keep_alive(3)).0;
    for _ in 0..10 {
        let start = Instant::now();
        assert_eq!(busy.next(Duration::from_millis(500)), Event::Nothing);
        if Instant::now() - start > Duration::from_secs(2) {
            return false;
        }
        busy.publish(&unique("t"), "still here", 1);
    }
    busy.ping();
    true
}

#[test]
fn what_a_client_receives_does_not_keep_it_alive() {
    let topic = unique("t");
    let packet = Connect::new(Version::V5, &unique("c")).keep_alive(1);
    let mut silent = connect(&packet.properties(Properties::new())).0;
    silent.subscribe(&topic, 0);
    let start = Instant::now();
    let (mut publisher, mut received) = (client(Version::V5), 0);
    let reason = loop {
        assert!(Instant::now() - start < Duration::from_secs(60), "kept alive by its own messages");
        publisher.publish(&topic, "tick", 0);
        match silent.next(Duration::from_millis(200)) {
            Event::Packet(Packet::Publish(_)) => {
                received += 1;
                std::thread::sleep(Duration::from_millis(200));
            }
            // Late, on a machine that has other things to do.
            Event::Nothing => {}
            Event::Packet(Packet::Disconnect(packet)) => break packet.reason,
            other => panic!("{other:?}"),
        }
    };
    assert!(reason == 0x8d && received > 0, "0x{reason:02x}, {received} messages");
}

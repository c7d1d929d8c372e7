use dunlin_testkit::property::{self, Properties};
use dunlin_testkit::{Connect, Publish, Version, Will, frame, request};

use crate::support::{BROKEN, client, connect, nothing_before_marker, unique};

// shows 3.1.1: MQTT-3.14.1-1
// shows 5.0: MQTT-3.14.1-1
#[test]
fn disconnect_with_flags_ends_the_connection_as_broken() {
    for version in Version::OASIS {
        let topic = unique("t");
        let mut watcher = client(version);
        watcher.subscribe(&topic, 0);
        for first in [0xe1, 0xe8] {
            let packet = Connect::new(version, &unique("c")).will(Will::new(&topic, "broken"));
            let (mut client, _) = connect(&packet);
            client.send(&frame(first, &[]));
            client.expect_disconnect(&[0x81]);
            // It was no DISCONNECT, so the will stands.
            assert_eq!(watcher.receive().text(), "broken");
        }
    }
}

// shows 5.0: MQTT-3.14.4-1, MQTT-3.14.4-2, MQTT-3.14.2-1, MQTT-3.14.2-2
#[test]
fn the_broker_closes_after_its_disconnect() {
    let mut client = client(Version::V5);
    let mut bytes = frame(0xe1, &[]);
    bytes.extend(request::PINGREQ);
    client.send(&bytes);
    client.expect_disconnect(&[0x81]);
}

#[test]
fn nothing_after_disconnect_is_processed() {
    for version in Version::ALL {
        let topic = unique("t");
        let mut watcher = client(version);
        watcher.subscribe(&topic, 0);
        let mut leaving = client(version);
        let mut bytes = request::disconnect();
        bytes.extend(Publish::new(&topic, "too late").bytes(version));
        leaving.send(&bytes);
        leaving.expect_close();
        nothing_before_marker(&mut watcher, &mut client(version), &topic);
    }
}

#[test]
fn disconnect_with_what_it_may_not_carry_ends_the_connection() {
    let none = Properties::new;
    for bytes in [
        request::disconnect_with(0x01, &none()),
        request::disconnect_with(0, &none().two(property::TOPIC_ALIAS, 1)),
        request::disconnect_with(0, &none().byte(0x70, 1)),
        frame(0xe0, &[0, 5, 0x11, 0]),
    ] {
        let mut client = client(Version::V5);
        client.send(&bytes);
        client.expect_disconnect(BROKEN);
    }
    for bytes in [frame(0xe0, &[0]), frame(0xe0, &[0, 0])] {
        let mut client = client(Version::V311);
        client.send(&bytes);
        client.expect_close();
    }
}

#[test]
fn disconnect_cannot_give_an_expiry_to_a_session_without() {
    let (mut client, _) = connect(&Connect::new(Version::V5, &unique("c")));
    let longer = Properties::new().four(property::SESSION_EXPIRY_INTERVAL, 10);
    client.send(&request::disconnect_with(0, &longer));
    client.expect_disconnect(&[0x82]);
}

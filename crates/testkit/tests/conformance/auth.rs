use dunlin_testkit::property::{self, Properties};
use dunlin_testkit::{Connect, Version, frame, request};

use crate::support::{BROKEN, client, refused, unique};

// shows 5.0: MQTT-4.12.0-1
#[test]
fn an_authentication_method_nobody_set_up_is_refused() {
    let method = Properties::new()
        .text(property::AUTHENTICATION_METHOD, "SCRAM-SHA-256")
        .binary(property::AUTHENTICATION_DATA, b"client first");
    let packet = Connect::new(Version::V5, &unique("c")).properties(method);
    assert_eq!(refused(Version::V5, &packet.bytes()), 0x8c);
}

// shows 5.0: MQTT-4.12.0-7
#[test]
fn auth_without_a_method_in_connect_ends_the_connection() {
    let method = Properties::new().text(property::AUTHENTICATION_METHOD, "PLAIN");
    for bytes in [request::auth(0x19, &method), request::auth(0x18, &method), frame(0xf0, &[])] {
        let mut client = client(Version::V5);
        client.send(&bytes);
        client.expect_disconnect(&[0x82]);
    }
}

// shows 5.0: MQTT-3.15.1-1
#[test]
fn auth_with_flags_ends_the_connection() {
    for first in [0xf1, 0xf2, 0xf8] {
        let mut client = client(Version::V5);
        client.send(&frame(first, &[]));
        client.expect_disconnect(BROKEN);
    }
}

#[test]
fn auth_before_5_ends_the_connection() {
    let mut client = client(Version::V311);
    client.send(&frame(0xf0, &[]));
    client.expect_close();
}

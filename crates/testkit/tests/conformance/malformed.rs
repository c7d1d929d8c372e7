//! Bytes that are no packet a client may send.

use dunlin_testkit::request::{self, PUBREL};
use dunlin_testkit::{Bytes, Connect, Publish, Version, frame};

use crate::support::{BROKEN, broken_connect, client, open, unique};

/// Each must end the connection of a client of every given version, and nobody else's.
fn ends_the_connection(versions: &[Version], cases: &[Vec<u8>]) {
    for version in versions {
        let mut bystander = client(*version);
        for bytes in cases {
            let mut client = client(*version);
            client.send(bytes);
            client.expect_disconnect(BROKEN);
        }
        bystander.ping();
    }
}

#[test]
fn packets_only_a_server_sends_end_the_connection() {
    let cases = [
        frame(0x20, &[0, 0]),
        frame(0x90, &[0, 1, 0]),
        frame(0xb0, &[0, 1]),
        frame(0xd0, &[]),
        frame(0x00, &[]),
    ];
    ends_the_connection(&Version::ALL, &cases);
}

// shows 3.1.1: MQTT-2.2.2-1, MQTT-2.2.2-2, MQTT-3.6.1-1
// shows 5.0: MQTT-2.1.3-1, MQTT-3.6.1-1
#[test]
fn reserved_flags_end_the_connection() {
    let cases: Vec<_> = [0x41, 0x42, 0x48, 0x51, 0x52, 0x60, 0x61, 0x63, 0x66, 0x6a, 0x71, 0x72]
        .into_iter()
        .map(|first| request::ack(first, 1))
        .collect();
    ends_the_connection(&Version::OASIS, &cases);
}

#[test]
fn connect_with_flags_in_its_first_byte_ends_the_connection() {
    for version in Version::OASIS {
        for first in [0x11, 0x12, 0x18] {
            let mut bytes = Connect::new(version, &unique("c")).bytes();
            bytes[0] = first;
            broken_connect(version, &bytes);
        }
    }
}

#[test]
fn acknowledgements_of_the_wrong_length_end_the_connection() {
    let cases = [
        frame(request::PUBACK, &[]),
        frame(request::PUBACK, &[0]),
        frame(request::PUBREC, &[1]),
        frame(PUBREL, &[0]),
        frame(request::PUBCOMP, &[]),
        frame(request::PUBACK, &[0, 0]),
    ];
    ends_the_connection(&Version::ALL, &cases);
    let before_5 = [frame(request::PUBACK, &[0, 1, 0]), frame(PUBREL, &[0, 1, 0, 0])];
    ends_the_connection(&[Version::V311], &before_5);
}

#[test]
fn packets_that_end_inside_a_field_end_the_connection() {
    let cases = [
        frame(0x30, &[]),
        frame(0x30, &[0]),
        frame(0x30, &[0, 5, b'a']),
        frame(0x32, &[0, 1, b'a', 0]),
        frame(0x82, &[0]),
        frame(0x82, &[0, 1, 0, 3, b'a']),
        frame(0xa2, &[0, 1, 0, 9, b'a']),
    ];
    ends_the_connection(&Version::ALL, &cases);
    for version in Version::ALL {
        let mut packet = Connect::new(version, &unique("c"));
        // In 3.1 the flags may promise a user name that is not there.
        if version != Version::V31 {
            packet = packet.username("u").password(b"p");
        }
        let whole = packet.bytes();
        for length in 0..whole.len() - 2 {
            broken_connect(version, &frame(0x10, &whole[2..2 + length]));
        }
        let mut longer = whole[2..].to_vec();
        longer.push(0);
        broken_connect(version, &frame(0x10, &longer));
    }
}

// shows 5.0: MQTT-1.5.5-1
#[test]
fn lengths_that_are_no_variable_byte_integer_end_the_connection() {
    ends_the_connection(&Version::ALL, &[vec![0x30, 0xff, 0xff, 0xff, 0xff, 0x01]]);
    let longer_than_needed = Bytes::new().text("t").raw(&[0x80, 0]).frame(0x30);
    let runs_on = Bytes::new().text("t").raw(&[0x80, 0x80, 0x80, 0x80, 1]).frame(0x30);
    let too_long = Bytes::new().text("t").variable(50).raw(b"abc").frame(0x30);
    ends_the_connection(&[Version::V5], &[longer_than_needed, runs_on, too_long]);
    for bytes in [vec![0x10, 0xff, 0xff, 0xff, 0xff], vec![0x10, 0x80, 0x80, 0x80, 0x80, 0x01]] {
        let mut client = open(Version::V5);
        client.send(&bytes);
        client.expect_close();
    }
}

#[test]
fn acknowledgements_with_codes_that_do_not_exist_end_the_connection() {
    let cases: Vec<_> = [
        request::ack_with(request::PUBACK, 1, 0x92),
        request::ack_with(request::PUBREC, 1, 0x01),
        request::ack_with(PUBREL, 1, 0x10),
        request::ack_with(request::PUBCOMP, 1, 0x80),
    ]
    .into();
    ends_the_connection(&[Version::V5], &cases);
}

#[test]
fn properties_of_another_packet_end_the_connection() {
    let alias = [3, 0x23, 0, 1];
    let cases = [
        Bytes::new().u16(1).u8(0).raw(&alias).frame(request::PUBACK),
        Bytes::new().u16(1).raw(&alias).text("a").u8(0).frame(request::SUBSCRIBE),
        Bytes::new().u16(1).raw(&alias).text("a").frame(request::UNSUBSCRIBE),
        Bytes::new().u16(1).raw(&[4, 0x0b, 1, 0x0b, 1]).text("a").u8(0).frame(request::SUBSCRIBE),
    ];
    ends_the_connection(&[Version::V5], &cases);
}

#[test]
fn packets_cut_anywhere_arrive_all_the_same() {
    for version in Version::ALL {
        let topic = unique("t");
        let mut subscriber = client(version);
        subscriber.subscribe(&topic, 0);
        let mut slow = open(version);
        let mut bytes = Connect::new(version, &unique("c")).bytes();
        bytes.extend(Publish::new(&topic, "in pieces").bytes(version));
        bytes.extend(Publish::new(&topic, "in one piece").bytes(version));
        let (pieces, rest) = bytes.split_at(bytes.len() / 2);
        for byte in pieces {
            slow.send(&[*byte]);
        }
        slow.send(rest);
        assert_eq!(slow.expect_connack().code, 0);
        assert_eq!(subscriber.receive().text(), "in pieces");
        assert_eq!(subscriber.receive().text(), "in one piece");
    }
}

/// Bytes from a fixed sequence, each client fed a stretch of it behind a good CONNECT: whatever
/// it does to that client, the next one is served.
#[test]
fn noise_hurts_nobody_else() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bystander = client(Version::V5);
    for round in 0..300 {
        let noise: Vec<u8> = (0..64)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 24) as u8
            })
            .collect();
        let version = Version::ALL[round % 3];
        let mut client = open(version);
        if round % 2 == 0 {
            client.send(&Connect::new(version, &unique("c")).bytes());
        }
        client.send(&noise);
    }
    bystander.ping();
    client(Version::V5).ping();
}

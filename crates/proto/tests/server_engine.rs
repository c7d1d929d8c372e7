//! The server's side of a connection, on virtual time.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use dunlin_proto::codec;
use dunlin_proto::packet::{Ack, Auth, ConnAck, Packet};
use dunlin_proto::property::{Property, PropertyBuf};
use dunlin_proto::server::{Connection, Limits, Received, Sent, State, Timeout};
use dunlin_proto::{PacketId, PacketType, QoS, ReasonCode, Time, Version, Violation};

const CONNECT_5: &[u8] = b"\x10\x0E\x00\x04MQTT\x05\x02\x00\x0A\x00\x00\x01c";
const CONNECT_311: &[u8] = b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x0A\x00\x01c";
const PINGREQ: &[u8] = b"\xC0\x00";

fn new() -> Connection {
    Connection::new(Limits::default(), Time::ZERO)
}

fn opened(limits: Limits, connect: &[u8]) -> Connection {
    let mut connection = Connection::new(limits, Time::ZERO);
    assert_eq!(take(&mut connection, connect), Ok(()));
    connection
}

/// Gives one whole packet.
fn take(connection: &mut Connection, bytes: &[u8]) -> Result<(), Violation> {
    match connection.receive(Time::ZERO, bytes)? {
        Received::Packet { len, .. } => assert_eq!(len, bytes.len()),
        Received::Incomplete { need } => panic!("{need} bytes needed"),
    }
    Ok(())
}

/// A CONNECT with these properties.
fn connect_with(properties: &[Property<'_>]) -> Vec<u8> {
    let mut buffer = PropertyBuf::new();
    properties.iter().for_each(|&property| buffer.push(property));
    let mut out = b"\x10\x00\x00\x04MQTT\x05\x02\x00\x0A".to_vec();
    let block = buffer.as_properties().as_bytes();
    out.push(u8::try_from(block.len()).unwrap());
    out.extend_from_slice(block);
    out.extend_from_slice(b"\x00\x01c");
    out[1] = u8::try_from(out.len() - 2).unwrap();
    out
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<Connection>() <= 96, "{}", size_of::<Connection>());
}

#[test]
fn the_first_packet_is_connect_and_there_is_no_second() {
    for bytes in [PINGREQ, b"\xE0", b"\x30", b"\x20\x02\x00\x00"] {
        let packet_type = PacketType::from_first_byte(bytes[0]).unwrap();
        let mut connection = new();
        assert_eq!(
            connection.receive(Time::ZERO, bytes),
            Err(Violation::ConnectMissing { packet_type })
        );
        assert_eq!(connection.state(), State::Closed);
    }
    let mut connection = opened(Limits::default(), CONNECT_5);
    assert_eq!(take(&mut connection, CONNECT_5), Err(Violation::ConnectRepeated));
}

#[test]
fn packets_come_in_pieces_and_several_at_once() {
    let mut stream = CONNECT_311.to_vec();
    stream.extend_from_slice(PINGREQ);
    stream.extend_from_slice(b"\x30\x05\x00\x01a42");
    let mut connection = new();
    let (mut start, mut packets) = (0, Vec::new());
    for end in 1..=stream.len() {
        match connection.receive(Time::ZERO, &stream[start..end]).unwrap() {
            Received::Incomplete { need } => assert!(need > end - start),
            Received::Packet { packet, len } => {
                packets.push(packet.packet_type());
                start += len;
            }
        }
    }
    assert_eq!(start, stream.len());
    assert_eq!(packets, [PacketType::Connect, PacketType::PingReq, PacketType::Publish]);
}

#[test]
fn what_only_servers_send_is_refused() {
    for (bytes, packet_type) in [
        (&b"\x20\x02\x00\x00"[..], PacketType::ConnAck),
        (b"\x90\x03\x00\x01\x00", PacketType::SubAck),
        (b"\xB0\x02\x00\x01", PacketType::UnsubAck),
        (b"\xD0\x00", PacketType::PingResp),
    ] {
        let mut connection = opened(Limits::default(), CONNECT_311);
        assert_eq!(
            take(&mut connection, bytes),
            Err(Violation::PacketNotAllowedFromClient { packet_type })
        );
    }
}

#[test]
fn a_refused_connect_still_tells_the_form_of_the_refusal() {
    let mut connection = new();
    let bad = b"\x10\x0F\x00\x04MQTT\x05\x02\x00\x0A\x01\x7F\x00\x01c";
    assert_eq!(take(&mut connection, bad), Err(Violation::PropertyUnknown { id: 0x7F }));
    assert_eq!(connection.version(), Version::V5_0);
    let mut connection = new();
    let level_9 = b"\x10\x0D\x00\x04MQTT\x09\x02\x00\x0A\x00\x01c";
    let violation = Violation::ProtocolLevelUnsupported { level: 9 };
    assert_eq!(take(&mut connection, level_9), Err(violation));
}

#[test]
fn limits_named_in_connack_are_enforced() {
    let limits = Limits {
        maximum_qos: QoS::AtLeastOnce,
        retain_available: false,
        maximum_packet_size: 64,
        ..Limits::default()
    };
    let qos2 = Violation::QoSAboveMaximum { qos: QoS::ExactlyOnce, maximum: QoS::AtLeastOnce };
    for (bytes, violation) in [
        (&b"\x34\x06\x00\x01a\x00\x01\x00"[..], qos2),
        (b"\x31\x04\x00\x01a\x00", Violation::RetainNotAvailable),
        (b"\x30\x3F", Violation::PacketTooLarge { size: 65, maximum: 64 }),
        (b"\x30\x06\x00\x01a\x02\x0B\x01", Violation::SubscriptionIdFromClient),
    ] {
        let mut connection = opened(limits, CONNECT_5);
        assert_eq!(connection.receive(Time::ZERO, bytes), Err(violation));
    }
    let will = |flags: u8| {
        let mut bytes = b"\x10\x12\x00\x04MQTT\x04\x00\x00\x0A\x00\x01c\x00\x01w\x00\x00".to_vec();
        bytes[9] = flags;
        bytes
    };
    let will_qos =
        Violation::WillQoSAboveMaximum { qos: QoS::ExactlyOnce, maximum: QoS::AtLeastOnce };
    let mut connection = Connection::new(limits, Time::ZERO);
    assert_eq!(take(&mut connection, &will(0b0001_0110)), Err(will_qos));
    let mut connection = Connection::new(limits, Time::ZERO);
    assert_eq!(take(&mut connection, &will(0b0010_0110)), Err(Violation::WillRetainNotAvailable));
}

#[test]
fn a_client_may_not_exceed_the_receive_maximum() {
    let limits = Limits { receive_maximum: 2, ..Limits::default() };
    let publish = b"\x32\x06\x00\x01a\x00\x01\x00";
    let mut connection = opened(limits, CONNECT_5);
    take(&mut connection, publish).unwrap();
    take(&mut connection, publish).unwrap();
    connection.inbound_acknowledged();
    take(&mut connection, publish).unwrap();
    assert_eq!(
        take(&mut connection, publish),
        Err(Violation::ReceiveMaximumExceeded { maximum: 2 })
    );
    // Before 5.0 a client cannot know.
    let mut connection = opened(limits, CONNECT_311);
    for _ in 0..10 {
        take(&mut connection, b"\x32\x05\x00\x01a\x00\x01").unwrap();
    }
}

#[test]
fn silence_ends_a_connection() {
    let mut connection = new();
    assert_eq!(connection.deadline(), Time::from_secs(10));
    assert_eq!(connection.timeout(Time::from_secs(10)), Some(Timeout::Connect));
    connection.receive(Time::from_secs(9), CONNECT_5).unwrap();
    assert_eq!(connection.timeout(Time::from_secs(23)), None);
    assert_eq!(connection.timeout(Time::from_secs(24)), Some(Timeout::KeepAlive));
    connection.receive(Time::from_secs(23), PINGREQ).unwrap();
    assert_eq!(connection.deadline(), Time::from_secs(38));
    connection.accept(Some(0));
    assert_eq!(connection.deadline(), Time::MAX);
}

#[test]
fn nothing_follows_disconnect() {
    let mut connection = opened(Limits::default(), CONNECT_311);
    take(&mut connection, b"\xE0\x00").unwrap();
    assert_eq!(connection.state(), State::Closed);
    assert_eq!(take(&mut connection, PINGREQ), Err(Violation::PacketAfterDisconnect));
}

#[test]
fn a_session_that_ends_with_the_connection_cannot_be_prolonged_at_its_end() {
    let longer = b"\xE0\x07\x00\x05\x11\x00\x00\x00\x0A";
    let mut connection = opened(Limits::default(), CONNECT_5);
    assert_eq!(take(&mut connection, longer), Err(Violation::SessionExpiryRaised));
    let connect = connect_with(&[Property::SessionExpiryInterval(1)]);
    let mut connection = opened(Limits::default(), &connect);
    assert_eq!(take(&mut connection, longer), Ok(()));
}

// shows 5.0: MQTT-3.15.2-1
#[test]
fn authentication_comes_before_everything_else() {
    let auth = b"\xF0\x09\x18\x07\x15\x00\x04PLUS";
    let mut connection = opened(Limits::default(), CONNECT_5);
    assert_eq!(take(&mut connection, auth), Err(Violation::AuthWithoutMethod));

    let connect = connect_with(&[Property::AuthenticationMethod("PLUS")]);
    let mut connection = opened(Limits::default(), &connect);
    assert_eq!(connection.state(), State::Authenticating);
    take(&mut connection, auth).unwrap();
    connection.accept(None);
    take(&mut connection, PINGREQ).unwrap();
    let again = b"\xF0\x09\x19\x07\x15\x00\x04PLUS";
    take(&mut connection, again).unwrap();

    for (connected, bytes, reason) in [
        (false, &again[..], ReasonCode::ReAuthenticate),
        (false, b"\xF0\x00", ReasonCode::Success),
        (true, b"\xF0\x00", ReasonCode::Success),
    ] {
        let mut connection = opened(Limits::default(), &connect);
        if connected {
            connection.accept(None);
        }
        assert_eq!(take(&mut connection, bytes), Err(Violation::AuthOutOfTurn { reason }));
    }

    let mut connection = opened(Limits::default(), &connect);
    let packet_type = PacketType::PingReq;
    assert_eq!(
        take(&mut connection, PINGREQ),
        Err(Violation::PacketDuringAuthentication { packet_type })
    );
}

// shows 5.0: MQTT-3.15.2-2, MQTT-3.15.2-3
#[test]
fn auth_keeps_to_what_the_client_takes() {
    let mut explained = PropertyBuf::new();
    explained.push(Property::AuthenticationMethod("PLUS"));
    explained.push(Property::ReasonString("a rather long explanation"));
    explained.push(Property::UserProperty("why", "because it was so"));
    let reason = ReasonCode::ContinueAuthentication;
    let auth = Packet::Auth(Auth { reason, properties: explained.as_properties() });
    explained_is(&auth, &connect_with(&[]), Sent::Whole, 4 + 7 + 28 + 25);
    let small = connect_with(&[Property::MaximumPacketSize(20)]);
    explained_is(&auth, &small, Sent::Unexplained, 4 + 7);
}

#[test]
fn answers_keep_to_what_the_client_takes() {
    let mut explained = PropertyBuf::new();
    explained.push(Property::ReasonString("a rather long explanation"));
    let ack = Packet::PubAck(Ack {
        packet_id: PacketId::MIN,
        reason: ReasonCode::QuotaExceeded,
        properties: explained.as_properties(),
    });
    explained_is(&ack, &connect_with(&[]), Sent::Whole, 5 + 1 + 28);
    let small = connect_with(&[Property::MaximumPacketSize(20)]);
    explained_is(&ack, &small, Sent::Unexplained, 5);
    let unasked = connect_with(&[Property::RequestProblemInformation(false)]);
    explained_is(&ack, &unasked, Sent::Unexplained, 5);
    let tiny = connect_with(&[Property::MaximumPacketSize(4)]);
    explained_is(&ack, &tiny, Sent::TooLarge, 0);

    let mut properties = PropertyBuf::new();
    properties.push(Property::ServerKeepAlive(30));
    properties.push(Property::UserProperty("why", "because it was so"));
    let connack = Packet::ConnAck(ConnAck {
        session_present: false,
        reason: ReasonCode::Success,
        properties: properties.as_properties(),
    });
    explained_is(&connack, &unasked, Sent::Whole, 5 + 3 + 25);
    explained_is(&connack, &small, Sent::Unexplained, 5 + 3);
}

#[track_caller]
fn explained_is(packet: &Packet<'_>, connect: &[u8], sent: Sent, len: usize) {
    let connection = opened(Limits::default(), connect);
    let mut out = Vec::new();
    assert_eq!(connection.send(packet, &mut out), Ok(sent));
    assert_eq!(out.len(), len);
    if !out.is_empty() {
        codec::decode(&out, Version::V5_0).unwrap();
    }
}

#[test]
fn aliases_are_those_of_connect_and_of_the_limits() {
    let connect = connect_with(&[Property::TopicAliasMaximum(3)]);
    let mut connection = opened(Limits::default(), &connect);
    assert_eq!((connection.alias_in.maximum(), connection.alias_out.maximum()), (10, 3));
    let limits = Limits { topic_alias_maximum: 0, ..Limits::default() };
    connection = opened(limits, CONNECT_311);
    assert_eq!((connection.alias_in.maximum(), connection.alias_out.maximum()), (0, 0));
}

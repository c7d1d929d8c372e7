//! Outgoing packets, made by hand and once: the hot path only patches bytes in place.

use clap::ValueEnum;

use super::nats;
use super::stamp::{STAMP_LEN, Stamp};

/// DISCONNECT with reason 0, the same bytes in every version.
pub(super) const DISCONNECT: [u8; 2] = [0xe0, 0x00];

/// Protocols the generator speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Version {
    /// MQTT 3.1.1.
    #[value(name = "3.1.1", alias = "4")]
    V311,
    /// MQTT 5.0.
    #[value(name = "5", alias = "5.0")]
    V5,
    /// NATS with JetStream, as far as `queue` needs it.
    #[value(name = "nats")]
    Nats,
}

/// User name and password, if the broker asks for them.
#[derive(Debug, Clone, Default)]
pub(super) struct Credentials {
    /// User Name of the CONNECT.
    pub(super) username: Option<String>,
    /// Password of the CONNECT.
    pub(super) password: Option<String>,
}

/// What becomes of a session when its client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionKind {
    /// Ends with the connection.
    Clean,
    /// Stays until it is ended.
    Persistent,
}

/// CONNECT.
pub(super) fn connect(
    version: Version,
    client_id: &str,
    credentials: &Credentials,
    keep_alive_seconds: u16,
    session: SessionKind,
) -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T'];
    body.push(if version == Version::V5 { 5 } else { 4 });
    let mut flags = if session == SessionKind::Clean { 0x02 } else { 0x00 };
    if credentials.username.is_some() {
        flags |= 0x80;
    }
    if credentials.password.is_some() {
        flags |= 0x40;
    }
    body.push(flags);
    body.extend_from_slice(&keep_alive_seconds.to_be_bytes());
    match (version, session) {
        (Version::V5, SessionKind::Clean) => body.push(0),
        // Session Expiry Interval: never.
        (Version::V5, SessionKind::Persistent) => {
            body.extend_from_slice(&[5, 0x11, 0xff, 0xff, 0xff, 0xff]);
        }
        (Version::V311 | Version::Nats, _) => {}
    }
    push_string(&mut body, client_id);
    for field in [&credentials.username, &credentials.password].into_iter().flatten() {
        push_string(&mut body, field);
    }
    packet(0x10, &body)
}

/// SUBSCRIBE to several filters at one QoS.
pub(super) fn subscribe(version: Version, packet_id: u16, filters: &[String], qos: u8) -> Vec<u8> {
    let mut body = packet_id.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
    }
    for filter in filters {
        push_string(&mut body, filter);
        body.push(qos);
    }
    packet(0x82, &body)
}

/// PUBLISH of 3.1.1 at `QoS` 1 or 2.
pub(super) fn publish(first_byte: u8, topic: &str, packet_id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(topic.len() + payload.len() + 4);
    push_string(&mut body, topic);
    body.extend_from_slice(&packet_id.to_be_bytes());
    body.extend_from_slice(payload);
    packet(first_byte, &body)
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP with success, short form, the same bytes in every version.
#[inline]
pub(super) fn acknowledgement(first_byte: u8, packet_id: u16) -> [u8; 4] {
    let [high, low] = packet_id.to_be_bytes();
    [first_byte, 2, high, low]
}

/// One complete PUBLISH with the places that change marked.
#[derive(Debug, Clone)]
pub(super) struct PublishFrame {
    /// The packet.
    pub(super) bytes: Vec<u8>,
    /// Where the topic starts.
    pub(super) topic_at: usize,
    /// Where the packet identifier stands; none at QoS 0.
    pub(super) packet_id_at: Option<usize>,
    /// How it is written there.
    pub(super) id_form: IdForm,
    /// Where the payload, and with it the stamp, starts.
    pub(super) stamp_at: usize,
}

/// How a packet identifier is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdForm {
    /// Two bytes, as in MQTT.
    Binary,
    /// Five digits at the end of the reply subject of NATS.
    Digits,
}

impl PublishFrame {
    /// A frame whose payload of `payload_len` bytes (at least a stamp) carries `stamp`.
    pub(super) fn new(
        version: Version,
        qos: u8,
        topic: &str,
        payload_len: usize,
        stamp: &Stamp,
    ) -> Self {
        if version == Version::Nats {
            return nats::publish_frame(topic, payload_len.max(STAMP_LEN), stamp);
        }
        let mut body = Vec::with_capacity(topic.len() + payload_len + 5);
        push_string(&mut body, topic);
        let packet_id_in_body = (qos > 0).then_some(body.len());
        if qos > 0 {
            body.extend_from_slice(&[0, 0]);
        }
        if version == Version::V5 {
            body.push(0);
        }
        let stamp_in_body = body.len();
        push_filler(&mut body, payload_len.max(STAMP_LEN));
        stamp.write(&mut body[stamp_in_body..]);
        let bytes = packet(0x30 | (qos << 1), &body);
        let header = bytes.len() - body.len();
        Self {
            bytes,
            topic_at: header + 2,
            packet_id_at: packet_id_in_body.map(|at| header + at),
            stamp_at: header + stamp_in_body,
            id_form: IdForm::Binary,
        }
    }

    /// Numbers a copy of the frame.
    #[inline]
    pub(super) fn write_packet_id(&self, copy: &mut [u8], packet_id: u16) {
        match (self.packet_id_at, self.id_form) {
            (None, _) => {}
            (Some(at), IdForm::Binary) => {
                copy[at..at + 2].copy_from_slice(&packet_id.to_be_bytes());
            }
            (Some(at), IdForm::Digits) => nats::write_digits(&mut copy[at..], packet_id),
        }
    }
}

/// A packet identifier for every sequence number: never 0, distinct among 65 535 neighbours.
#[inline]
pub(super) fn packet_id_of(sequence: u64) -> u16 {
    (sequence % 65_535) as u16 + 1
}

/// Appends `len` bytes of payload.
pub(super) fn push_filler(body: &mut Vec<u8>, len: usize) {
    body.extend((0..len).map(|i| b'a' + (i % 26) as u8));
}

fn packet(first_byte: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + 5);
    bytes.push(first_byte);
    let mut left = body.len();
    loop {
        let digit = (left % 128) as u8;
        left /= 128;
        bytes.push(if left > 0 { digit | 0x80 } else { digit });
        if left == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

fn push_string(body: &mut Vec<u8>, text: &str) {
    let text = text.as_bytes();
    let len = text.len().min(usize::from(u16::MAX));
    body.extend_from_slice(&(len as u16).to_be_bytes());
    body.extend_from_slice(&text[..len]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { publisher: 1, run: 2, sequence: 3, scheduled_ns: 4 };

    #[test]
    fn connect_of_3_1_1_has_no_properties() {
        let bytes = connect(Version::V311, "ab", &Credentials::default(), 60, SessionKind::Clean);
        assert_eq!(bytes, b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02ab");
    }

    #[test]
    fn connect_of_5_carries_credentials_after_the_client_id() {
        let credentials =
            Credentials { username: Some("u".to_owned()), password: Some("pw".to_owned()) };
        let bytes = connect(Version::V5, "a", &credentials, 0, SessionKind::Clean);
        assert_eq!(bytes, b"\x10\x15\x00\x04MQTT\x05\xc2\x00\x00\x00\x00\x01a\x00\x01u\x00\x02pw");
    }

    #[test]
    fn a_persistent_session_of_5_never_expires() {
        let none = Credentials::default();
        let bytes = connect(Version::V5, "a", &none, 0, SessionKind::Persistent);
        assert_eq!(bytes, b"\x10\x13\x00\x04MQTT\x05\x00\x00\x00\x05\x11\xff\xff\xff\xff\x00\x01a");
    }

    #[test]
    fn subscribe_lists_each_filter_with_its_qos() {
        let filters = ["a/#".to_owned(), "b".to_owned()];
        let bytes = subscribe(Version::V5, 9, &filters, 1);
        assert_eq!(bytes, b"\x82\x0d\x00\x09\x00\x00\x03a/#\x01\x00\x01b\x01");
    }

    #[test]
    fn a_publish_frame_marks_the_places_that_change() {
        for version in [Version::V311, Version::V5] {
            for qos in 0..3 {
                let frame = PublishFrame::new(version, qos, "t/1", 200, &STAMP);
                assert_eq!(frame.bytes[0], 0x30 | (qos << 1));
                assert_eq!(&frame.bytes[frame.topic_at..frame.topic_at + 3], b"t/1");
                assert_eq!(Stamp::read(&frame.bytes[frame.stamp_at..]), Some(STAMP));
                assert_eq!(frame.bytes.len(), frame.stamp_at + 200);
                assert_eq!(frame.packet_id_at.is_some(), qos > 0);
            }
        }
    }

    #[test]
    fn packet_identifiers_are_never_zero() {
        assert_eq!(packet_id_of(0), 1);
        assert_eq!(packet_id_of(65_534), 65_535);
        assert_eq!(packet_id_of(65_535), 1);
    }
}

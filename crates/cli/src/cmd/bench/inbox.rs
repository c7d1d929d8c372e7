//! Incoming bytes, read as little as possible: of a PUBLISH the stamp, of an acknowledgement the
//! identifier and reason; everything else is stepped over.

use std::fmt;

use super::frames::Version;
use super::nats;
use super::stamp::{STAMP_LEN, Stamp};

/// How much of a cut packet is gathered at a time until its head can be read.
const CARRY_STEP: usize = 256;

/// What a packet from the broker means to the generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Incoming {
    /// PUBLISH.
    Publish(Delivery),
    /// PUBACK, PUBREC, PUBREL or PUBCOMP.
    Acknowledgement {
        /// Which of the four.
        kind: AckKind,
        /// The identifier it names.
        packet_id: u16,
        /// Its reason code; 0 where the packet has none.
        reason: u8,
    },
    /// DISCONNECT: the broker ends the connection and says why.
    Disconnect {
        /// Its reason code.
        reason: u8,
    },
    /// A packet of no interest, such as PINGRESP.
    Other,
}

/// The part of a PUBLISH that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delivery {
    /// QoS of this hop.
    pub(super) qos: u8,
    /// 0 at QoS 0.
    pub(super) packet_id: u16,
    /// `None` if the payload is too short: not one of ours.
    pub(super) stamp: Option<Stamp>,
}

/// The packets that acknowledge.
#[expect(clippy::enum_variant_names, reason = "the names of the packets")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AckKind {
    /// QoS 1.
    PubAck,
    /// QoS 2, first.
    PubRec,
    /// QoS 2, release.
    PubRel,
    /// QoS 2, completion.
    PubComp,
}

/// What the broker sent is not MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WireError {
    /// A Remaining Length of more than four bytes.
    RemainingLength,
    /// A packet shorter than its mandatory fields; the first byte is given.
    Truncated(u8),
    /// The reserved packet type 0 or QoS 3.
    FirstByte(u8),
    /// A line that NATS does not have.
    Line,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemainingLength => write!(f, "a length of more than four bytes"),
            Self::Truncated(first) => write!(f, "a packet (0x{first:02x}) shorter than its fields"),
            Self::Line => write!(f, "a line that is not of NATS"),
            Self::FirstByte(first) => write!(f, "a packet that starts with 0x{first:02x}"),
        }
    }
}

impl std::error::Error for WireError {}

/// Cuts the byte stream of one connection into packets.
#[derive(Debug)]
pub(super) struct Inbox {
    version: Version,
    /// Start of a packet whose head is not complete.
    carry: Vec<u8>,
    /// Bytes of a packet's tail still to come.
    skip: usize,
    /// The packet whose tail is being skipped: it counts once it is complete.
    held: Option<Incoming>,
}

impl Inbox {
    /// Nothing received.
    pub(super) fn new(version: Version) -> Self {
        Self { version, carry: Vec::new(), skip: 0, held: None }
    }

    /// Hands every packet that `bytes` completes to `sink`.
    #[inline]
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        mut sink: impl FnMut(Incoming),
    ) -> Result<(), WireError> {
        let mut bytes = self.skip_tail(bytes, &mut sink);
        if !self.carry.is_empty() {
            bytes = self.complete_carry(bytes, &mut sink)?;
        }
        while !bytes.is_empty() {
            match decode(bytes, self.version)? {
                Some((incoming, len)) if len <= bytes.len() => {
                    sink(incoming);
                    bytes = &bytes[len..];
                }
                Some((incoming, len)) => {
                    self.hold(incoming, len - bytes.len());
                    break;
                }
                None => {
                    self.carry.extend_from_slice(bytes);
                    break;
                }
            }
        }
        Ok(())
    }

    fn hold(&mut self, incoming: Incoming, missing: usize) {
        self.held = Some(incoming);
        self.skip = missing;
    }

    fn skip_tail<'a>(&mut self, bytes: &'a [u8], sink: &mut impl FnMut(Incoming)) -> &'a [u8] {
        if self.skip == 0 {
            return bytes;
        }
        let step = self.skip.min(bytes.len());
        self.skip -= step;
        if self.skip == 0
            && let Some(held) = self.held.take()
        {
            sink(held);
        }
        &bytes[step..]
    }

    /// Adds to the cut packet until its head can be read; gives back what follows the packet.
    fn complete_carry<'a>(
        &mut self,
        mut bytes: &'a [u8],
        sink: &mut impl FnMut(Incoming),
    ) -> Result<&'a [u8], WireError> {
        while !bytes.is_empty() {
            let had = self.carry.len();
            let step = bytes.len().min(CARRY_STEP);
            self.carry.extend_from_slice(&bytes[..step]);
            let Some((incoming, len)) = decode(&self.carry, self.version)? else {
                bytes = &bytes[step..];
                continue;
            };
            self.carry.clear();
            // What was carried did not suffice, hence the packet is longer than that.
            let rest = len.saturating_sub(had);
            if rest <= bytes.len() {
                sink(incoming);
                return Ok(&bytes[rest..]);
            }
            self.hold(incoming, rest - bytes.len());
            return Ok(&[]);
        }
        Ok(bytes)
    }
}

/// The packet at the start of `bytes` and its whole length, which may reach beyond `bytes`;
/// `None` while the part that matters is incomplete.
#[inline]
fn decode(bytes: &[u8], version: Version) -> Result<Option<(Incoming, usize)>, WireError> {
    if version == Version::Nats {
        return nats::decode(bytes);
    }
    let first = bytes[0];
    let Some((remaining, header)) = variable_integer(bytes, 1)? else { return Ok(None) };
    let len = header + remaining;
    let incoming = match first >> 4 {
        3 => return publish(bytes, version, header, len),
        4..=7 => {
            if remaining < 2 {
                return Err(WireError::Truncated(first));
            }
            if bytes.len() < header + remaining.min(3) {
                return Ok(None);
            }
            let packet_id = u16::from_be_bytes([bytes[header], bytes[header + 1]]);
            let reason = if remaining > 2 { bytes[header + 2] } else { 0 };
            Incoming::Acknowledgement { kind: ack_kind(first >> 4), packet_id, reason }
        }
        14 if remaining > 0 => {
            let Some(reason) = bytes.get(header) else { return Ok(None) };
            Incoming::Disconnect { reason: *reason }
        }
        14 => Incoming::Disconnect { reason: 0 },
        0 => return Err(WireError::FirstByte(first)),
        _ => Incoming::Other,
    };
    Ok(Some((incoming, len)))
}

#[inline]
fn publish(
    bytes: &[u8],
    version: Version,
    header: usize,
    len: usize,
) -> Result<Option<(Incoming, usize)>, WireError> {
    let first = bytes[0];
    let qos = (first >> 1) & 3;
    if qos == 3 {
        return Err(WireError::FirstByte(first));
    }
    if header + 2 > len {
        return Err(WireError::Truncated(first));
    }
    let Some(topic_len) = bytes.get(header..header + 2) else { return Ok(None) };
    let mut at = header + 2 + usize::from(u16::from_be_bytes([topic_len[0], topic_len[1]]));
    let mut packet_id = 0;
    if qos > 0 {
        if at + 2 > len {
            return Err(WireError::Truncated(first));
        }
        let Some(id) = bytes.get(at..at + 2) else { return Ok(None) };
        packet_id = u16::from_be_bytes([id[0], id[1]]);
        at += 2;
    }
    if version == Version::V5 {
        if at >= len {
            return Err(WireError::Truncated(first));
        }
        let Some((properties, after)) = variable_integer(bytes, at)? else { return Ok(None) };
        at = after + properties;
    }
    if at > len {
        return Err(WireError::Truncated(first));
    }
    if len - at < STAMP_LEN {
        return Ok(Some((Incoming::Publish(Delivery { qos, packet_id, stamp: None }), len)));
    }
    let Some(payload) = bytes.get(at..at + STAMP_LEN) else { return Ok(None) };
    let stamp = Stamp::read(payload);
    Ok(Some((Incoming::Publish(Delivery { qos, packet_id, stamp }), len)))
}

/// A Variable Byte Integer at `at` and the place after it.
#[inline]
fn variable_integer(bytes: &[u8], at: usize) -> Result<Option<(usize, usize)>, WireError> {
    let mut value = 0;
    for digit in 0..4 {
        let Some(&byte) = bytes.get(at + digit) else { return Ok(None) };
        value |= usize::from(byte & 0x7f) << (7 * digit);
        if byte & 0x80 == 0 {
            return Ok(Some((value, at + digit + 1)));
        }
    }
    Err(WireError::RemainingLength)
}

fn ack_kind(packet_type: u8) -> AckKind {
    match packet_type {
        4 => AckKind::PubAck,
        5 => AckKind::PubRec,
        6 => AckKind::PubRel,
        _ => AckKind::PubComp,
    }
}

#[cfg(test)]
mod tests {
    use super::super::frames::{PublishFrame, acknowledgement};
    use super::*;

    fn stamp(sequence: u64) -> Stamp {
        Stamp { publisher: 3, run: 9, sequence, scheduled_ns: 1000 + sequence }
    }

    fn stream(version: Version) -> (Vec<u8>, Vec<Incoming>) {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for (sequence, (qos, payload)) in
            [(0, 24), (1, 64), (2, 700), (0, 20_000), (1, 130)].into_iter().enumerate()
        {
            let stamp = stamp(sequence as u64);
            let mut frame = PublishFrame::new(version, qos, "some/topic", payload, &stamp);
            let mut packet_id = 0;
            if let Some(at) = frame.packet_id_at {
                packet_id = 77;
                frame.bytes[at..at + 2].copy_from_slice(&77_u16.to_be_bytes());
            }
            bytes.extend_from_slice(&frame.bytes);
            expected.push(Incoming::Publish(Delivery { qos, packet_id, stamp: Some(stamp) }));
        }
        bytes.extend_from_slice(&acknowledgement(0x50, 513));
        expected.push(Incoming::Acknowledgement {
            kind: AckKind::PubRec,
            packet_id: 513,
            reason: 0,
        });
        bytes.extend_from_slice(&[0x40, 3, 0, 1, 0x97, 0xd0, 0, 0x30, 4, 0, 1, b'x', 0, 0xe0, 0]);
        expected.extend([
            Incoming::Acknowledgement { kind: AckKind::PubAck, packet_id: 1, reason: 0x97 },
            Incoming::Other,
            Incoming::Publish(Delivery { qos: 0, packet_id: 0, stamp: None }),
            Incoming::Disconnect { reason: 0 },
        ]);
        (bytes, expected)
    }

    #[test]
    fn packets_are_found_however_the_stream_is_cut() {
        for version in [Version::V311, Version::V5] {
            let (bytes, expected) = stream(version);
            for chunk in [1, 2, 3, 7, 29, 255, 256, 257, 4096, bytes.len()] {
                let (mut inbox, mut seen) = (Inbox::new(version), Vec::new());
                for part in bytes.chunks(chunk) {
                    inbox.feed(part, |incoming| seen.push(incoming)).unwrap();
                }
                assert_eq!(seen, expected, "{version:?}, cut every {chunk} bytes");
            }
        }
    }

    #[test]
    fn broken_packets_are_errors() {
        let cases: [(&[u8], WireError); 5] = [
            (&[0x30, 0xff, 0xff, 0xff, 0xff, 1], WireError::RemainingLength),
            (&[0x00, 0], WireError::FirstByte(0)),
            (&[0x36, 2, 0, 0], WireError::FirstByte(0x36)),
            (&[0x40, 1, 0], WireError::Truncated(0x40)),
            (&[0x30, 3, 0, 9, 0], WireError::Truncated(0x30)),
        ];
        for (bytes, error) in cases {
            assert_eq!(Inbox::new(Version::V311).feed(bytes, |_| ()), Err(error), "{bytes:x?}");
        }
    }

    #[test]
    fn properties_before_the_payload_are_stepped_over() {
        let mut bytes = vec![0x30, 3 + 4 + STAMP_LEN as u8, 0, 1, b't', 3, 0x23, 0, 1];
        bytes.extend_from_slice(&[0; STAMP_LEN]);
        stamp(5).write(&mut bytes[9..]);
        let mut seen = Vec::new();
        Inbox::new(Version::V5).feed(&bytes, |incoming| seen.push(incoming)).unwrap();
        let delivery = Delivery { qos: 0, packet_id: 0, stamp: Some(stamp(5)) };
        assert_eq!(seen, [Incoming::Publish(delivery)]);
    }
}

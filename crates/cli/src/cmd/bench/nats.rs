//! As much of the NATS protocol as `queue` needs: messages published into a JetStream stream, each
//! with a reply subject of its own, whose last token is the packet identifier of the other protocols.

use std::io::{Read, Write};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use super::frames::{IdForm, PublishFrame, push_filler};
use super::inbox::{AckKind, Incoming, WireError};
use super::stamp::Stamp;

/// The stream of a run.
const STREAM: &str = "bench";

/// Digits of the last token of a reply subject.
const ID_DIGITS: usize = 5;

/// Longest line that is waited for; INFO is the longest.
const MAX_LINE: usize = 64 * 1024;

/// Reason of an acknowledgement that tells of an error.
const FAILED: u8 = 0x80;

/// CONNECT, the subscription to this client's replies, and PING to know when both are done.
pub(super) fn connect(run: u32, name: &str) -> Vec<u8> {
    let replies = reply_prefix(run, name);
    format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\"headers\":false,\
         \"lang\":\"rust\",\"version\":\"0\",\"protocol\":1}}\r\nSUB {replies}* 1\r\nPING\r\n"
    )
    .into_bytes()
}

/// Waits until the server has done what `connect` asked for.
pub(super) fn connected(stream: &mut impl Read) -> Result<()> {
    loop {
        let line = read_line(stream).context("waiting for PONG")?;
        match line.as_str() {
            "PONG" => return Ok(()),
            error if error.starts_with("-ERR") => bail!("the server refused: {error}"),
            _ => {}
        }
    }
}

/// Asks for something of JetStream and waits for the answer; replies go to a subject of their own.
pub(super) fn request(stream: &mut (impl Read + Write), subject: &str, body: &str) -> Result<()> {
    let len = body.len();
    let request =
        format!("SUB answers 2\r\nUNSUB 2 1\r\nPUB {subject} answers {len}\r\n{body}\r\n");
    stream.write_all(request.as_bytes()).with_context(|| format!("asking for {subject}"))?;
    loop {
        let line = read_line(stream).with_context(|| format!("waiting for {subject}"))?;
        ensure!(!line.starts_with("-ERR"), "{subject}: {line}");
        if !line.starts_with("MSG ") {
            continue;
        }
        let len = line.rsplit(' ').next().and_then(|len| len.parse::<usize>().ok());
        let len = len.filter(|len| *len <= MAX_LINE).context("a message without length")?;
        let mut answer = vec![0; len + 2];
        stream.read_exact(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        ensure!(!answer.contains("\"error\""), "{subject}: {answer}");
        return Ok(());
    }
}

/// Subject and body that make the stream of a run, in files.
pub(super) fn stream_request() -> (String, String) {
    let body = json!({
        "name": STREAM, "subjects": ["bench.>"], "retention": "limits", "storage": "file",
        "discard": "old", "num_replicas": 1,
    });
    (format!("$JS.API.STREAM.CREATE.{STREAM}"), body.to_string())
}

/// Subject and body that make a durable consumer of one topic: what a persistent session is.
pub(super) fn consumer_request(name: &str, topic: &str) -> (String, String) {
    let body = json!({
        "stream_name": STREAM,
        "config": {
            "durable_name": name, "ack_policy": "explicit", "deliver_policy": "all",
            "filter_subject": subject_of(topic),
        },
    });
    (format!("$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.{name}"), body.to_string())
}

/// A PUB with the places that change marked.
pub(super) fn publish_frame(topic: &str, payload_len: usize, stamp: &Stamp) -> PublishFrame {
    let subject = subject_of(topic);
    let replies = reply_prefix(stamp.run, &format!("p{}", stamp.publisher));
    let mut bytes = format!("PUB {subject} {replies}").into_bytes();
    let packet_id_at = bytes.len();
    bytes.extend_from_slice(format!("{:0ID_DIGITS$} {payload_len}\r\n", 0).as_bytes());
    let stamp_at = bytes.len();
    push_filler(&mut bytes, payload_len);
    stamp.write(&mut bytes[stamp_at..]);
    bytes.extend_from_slice(b"\r\n");
    PublishFrame {
        bytes,
        topic_at: 4,
        packet_id_at: Some(packet_id_at),
        id_form: IdForm::Digits,
        stamp_at,
    }
}

/// Writes a packet identifier as the last token of a reply subject.
#[inline]
pub(super) fn write_digits(place: &mut [u8], packet_id: u16) {
    let mut value = packet_id;
    for digit in place.iter_mut().take(ID_DIGITS).rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// What stands at the start of `bytes` and its whole length, as for packets.
#[inline]
pub(super) fn decode(bytes: &[u8]) -> Result<Option<(Incoming, usize)>, WireError> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() > MAX_LINE { Err(WireError::Line) } else { Ok(None) };
    };
    let (line, header) = (&bytes[..end], end + 2);
    if !line.starts_with(b"MSG ") {
        let is_error = line.starts_with(b"-ERR");
        let incoming =
            if is_error { Incoming::Disconnect { reason: FAILED } } else { Incoming::Other };
        return Ok(Some((incoming, header)));
    }
    let (subject, len) = message_head(line).ok_or(WireError::Line)?;
    // `{"error"` against `{"stream"` tells whether the message was stored.
    let Some(start) = bytes.get(header..header + len.min(3)) else { return Ok(None) };
    let reason = if start == b"{\"e" { FAILED } else { 0 };
    let packet_id = trailing_number(subject).ok_or(WireError::Line)?;
    let incoming = Incoming::Acknowledgement { kind: AckKind::PubAck, packet_id, reason };
    Ok(Some((incoming, header + len + 2)))
}

/// Subject and length of the payload of a MSG line.
fn message_head(line: &[u8]) -> Option<(&[u8], usize)> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let subject = words.nth(1)?;
    let len = words.next_back()?.iter().try_fold(0_usize, |sum, byte| {
        byte.is_ascii_digit().then(|| sum.saturating_mul(10) + usize::from(byte - b'0'))
    })?;
    Some((subject, len.min(MAX_LINE)))
}

fn trailing_number(subject: &[u8]) -> Option<u16> {
    let at = subject.len().checked_sub(ID_DIGITS)?;
    let number = subject[at..].iter().try_fold(0_u32, |sum, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0'))
    })?;
    u16::try_from(number).ok()
}

fn reply_prefix(run: u32, name: &str) -> String {
    format!("_INBOX.{run:08x}.{name}.")
}

fn subject_of(topic: &str) -> String {
    topic.replace('/', ".")
}

/// A line without its end.
fn read_line(stream: &mut impl Read) -> Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        ensure!(line.len() < MAX_LINE, "a line of more than {MAX_LINE} bytes");
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    line.truncate(line.len() - 2);
    Ok(String::from_utf8_lossy(&line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::frames::Version;
    use super::super::inbox::Inbox;
    use super::*;

    #[test]
    fn a_publish_frame_marks_the_places_that_change() {
        let stamp = Stamp { publisher: 7, run: 0xab, sequence: 1, scheduled_ns: 2 };
        let frame = publish_frame("bench/a/p", 30, &stamp);
        let mut copy = frame.bytes.clone();
        frame.write_packet_id(&mut copy, 65_535);
        assert!(copy.starts_with(b"PUB bench.a.p _INBOX.000000ab.p7.65535 30\r\n"));
        assert_eq!(Stamp::read(&copy[frame.stamp_at..]), Some(stamp));
        assert_eq!(copy.len(), frame.stamp_at + 32);
    }

    #[test]
    fn acknowledgements_are_found_however_the_stream_is_cut() {
        let bytes =
            b"PING\r\nMSG _INBOX.000000ab.p7.00003 1 24\r\n{\"stream\":\"b\", \"seq\":17}\r\n\
                      MSG _INBOX.000000ab.p7.65535 1 13\r\n{\"error\": {}}\r\nPONG\r\n";
        let acknowledgement = |packet_id, reason| Incoming::Acknowledgement {
            kind: AckKind::PubAck,
            packet_id,
            reason,
        };
        let expected = [
            Incoming::Other,
            acknowledgement(3, 0),
            acknowledgement(65_535, FAILED),
            Incoming::Other,
        ];
        for chunk in [1, 2, 3, 7, 29, bytes.len()] {
            let (mut inbox, mut seen) = (Inbox::new(Version::Nats), Vec::new());
            for part in bytes.chunks(chunk) {
                inbox.feed(part, |incoming| seen.push(incoming)).unwrap();
            }
            assert_eq!(seen, expected, "cut every {chunk} bytes");
        }
    }

    #[test]
    fn a_message_without_number_is_an_error() {
        assert_eq!(decode(b"MSG subject 1 0\r\n\r\n"), Err(WireError::Line));
    }

    #[test]
    fn connecting_ends_with_pong() {
        connected(&mut &b"INFO {}\r\nPONG\r\n"[..]).unwrap();
        assert!(connected(&mut &b"-ERR 'no'\r\n"[..]).is_err());
    }
}

//! `mosquitto.db`, versions 5 (1.6) and 6 (2.0 and later).
//!
//! After a head of 23 bytes come chunks: kind and length, 32 bits each, then a fixed part and the
//! strings whose lengths it has. Most numbers are in network order; those of 64 bits are as the
//! machine had them, and machines that are not little-endian are not supported here.

use std::collections::HashSet;

use anyhow::{Context, Result, bail, ensure};
use dunlin_proto::property::Properties as Block;
use dunlin_proto::violation::PropertyContext;
use dunlin_proto::{PacketType, property::Property};

use super::super::dump::Properties;
use super::snapshot::{BaseMessage, Client, ClientMessage, Snapshot, Source, Subscription};

const MAGIC: &[u8] = b"\x00\xB5\x00mosquitto db";
/// Magic, a checksum that is always 0, and the version.
const HEAD: usize = MAGIC.len() + 8;

/// Whether it begins as one.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Reads all of it. Errors tell the offset.
pub(super) fn read(bytes: &[u8]) -> Result<Snapshot> {
    let Some((head, mut rest)) = bytes.split_at_checked(HEAD) else {
        bail!("the file ends within its head");
    };
    let version = Fields(head.split_at(HEAD - 4).1).u32().unwrap_or_default();
    ensure!(matches!(version, 5 | 6), "version {version} of mosquitto.db; 5 and 6 can be read");
    let mut snapshot = Snapshot::default();
    let mut stored = HashSet::new();
    while !rest.is_empty() {
        let offset = bytes.len() - rest.len();
        let mut fields = Fields(rest);
        let chunk = chunk(&mut fields).with_context(|| format!("offset {offset}: cut short"))?;
        rest = fields.0;
        let what = || format!("offset {offset}: chunk of kind {}", chunk.0);
        take(chunk, version, &mut snapshot, &mut stored).with_context(what)?;
    }
    Ok(snapshot)
}

fn chunk<'a>(fields: &mut Fields<'a>) -> Option<(u32, &'a [u8])> {
    let (kind, length) = (fields.u32()?, fields.u32()?);
    Some((kind, fields.bytes(usize::try_from(length).ok()?)?))
}

fn take(
    (kind, body): (u32, &[u8]),
    version: u32,
    snapshot: &mut Snapshot,
    stored: &mut HashSet<u64>,
) -> Result<()> {
    const SHORT: &str = "it is shorter than what it says it holds";
    match kind {
        1 => configuration(body).context(SHORT)?.context("not written on a 64-bit machine"),
        2 => {
            let (id, message) = message(body).context(SHORT)??;
            ensure!(stored.insert(id), "message {id} is there twice");
            snapshot.messages.insert(id, message);
            Ok(())
        }
        3 => {
            snapshot.client_messages.push(client_message(body).context(SHORT)??);
            Ok(())
        }
        4 => {
            snapshot.retained.push(Fields(body).native().context(SHORT)?);
            Ok(())
        }
        5 => {
            snapshot.subscriptions.push(subscription(body).context(SHORT)??);
            Ok(())
        }
        6 => {
            snapshot.clients.push(client(body, version).context(SHORT)??);
            Ok(())
        }
        // A later Mosquitto of the same version may have more, which it says can be skipped.
        _ => Ok(()),
    }
}

/// `Some(None)` if numbers of messages are not of 64 bits.
fn configuration(body: &[u8]) -> Option<Option<()>> {
    let mut fields = Fields(body);
    let (_last, _shutdown) = (fields.native()?, fields.byte()?);
    Some((fields.byte()? == 8).then_some(()))
}

fn message(body: &[u8]) -> Option<Result<(u64, BaseMessage)>> {
    let mut fields = Fields(body);
    let (id, expiry_time) = (fields.native()?, fields.native()?.cast_signed());
    let payload_length = usize::try_from(fields.u32()?).ok()?;
    let _source_packet_id = fields.u16()?;
    let (source_length, user_length) = (fields.u16()?, fields.u16()?);
    let topic_length = fields.u16()?;
    let port = fields.u16()?;
    let (qos, retain) = (fields.byte()?, fields.byte()? != 0);
    let source = fields.bytes(source_length.into())?;
    let user = fields.bytes(user_length.into())?;
    let topic = fields.bytes(topic_length.into())?;
    let payload = fields.bytes(payload_length)?.to_vec();
    let finish = || {
        let (topic, (properties, _)) = (text(topic)?, properties(fields.0)?);
        let source = Source::new(&text(source)?, Some(&text(user)?), port);
        Ok((id, BaseMessage { topic, payload, properties, qos, retain, expiry_time, source }))
    };
    Some(finish())
}

fn client_message(body: &[u8]) -> Option<Result<ClientMessage>> {
    let mut fields = Fields(body);
    let (message, packet_id, length) = (fields.native()?, fields.u16()?, fields.u16()?);
    let (qos, state, flags, direction) =
        (fields.byte()?, fields.byte()?, fields.byte()?, fields.byte()?);
    let client_id = fields.bytes(length.into())?;
    let finish = || {
        let (_, subscription_identifier) = properties(fields.0)?;
        Ok(ClientMessage {
            client_id: text(client_id)?,
            message,
            packet_id,
            qos,
            retain: flags >> 4 != 0,
            direction,
            state,
            subscription_identifier,
        })
    };
    Some(finish())
}

fn subscription(body: &[u8]) -> Option<Result<Subscription>> {
    let mut fields = Fields(body);
    let (identifier, id_length, filter_length) = (fields.u32()?, fields.u16()?, fields.u16()?);
    let (qos, options) = (fields.byte()?, fields.byte()?);
    fields.bytes(2)?;
    let (client_id, filter) =
        (fields.bytes(id_length.into())?, fields.bytes(filter_length.into())?);
    let finish = || {
        let (client_id, topic_filter) = (text(client_id)?, text(filter)?);
        Ok(Subscription { client_id, topic_filter, options: qos | options, identifier })
    };
    Some(finish())
}

fn client(body: &[u8], version: u32) -> Option<Result<Client>> {
    let mut fields = Fields(body);
    let session_expiry_time = fields.native()?.cast_signed();
    let (session_expiry_interval, _last_packet_id) = (fields.u32()?, fields.u16()?);
    let id_length = fields.u16()?;
    let (mut port, mut user_length) = (0, 0);
    if version > 5 {
        port = fields.u16()?;
        user_length = fields.u16()?;
    }
    // The fixed part is filled up to a multiple that depends on the machine.
    let strings = usize::from(id_length) + usize::from(user_length);
    fields.bytes(fields.0.len().checked_sub(strings)?)?;
    let client_id = fields.bytes(id_length.into())?;
    let username = fields.bytes(user_length.into())?;
    let finish = || {
        Ok(Client {
            client_id: text(client_id)?,
            username: Some(text(username)?).filter(|name| !name.is_empty()),
            port,
            session_expiry_time,
            session_expiry_interval,
            ..Client::default()
        })
    };
    Some(finish())
}

fn text(bytes: &[u8]) -> Result<String> {
    Ok(core::str::from_utf8(bytes).context("text that is not UTF-8")?.to_owned())
}

/// Properties as a PUBLISH has them, length first, and the subscription identifier among them.
fn properties(bytes: &[u8]) -> Result<(Properties, u32)> {
    if bytes.is_empty() {
        return Ok((Properties::default(), 0));
    }
    let block = Fields(bytes).block().context("properties that are cut short")?;
    let parsed = Block::parse(block, PropertyContext::Packet(PacketType::Publish))
        .context("properties that no PUBLISH has")?;
    let identifier = parsed.iter().find_map(|property| match property {
        Property::SubscriptionIdentifier(identifier) => Some(identifier),
        _ => None,
    });
    Ok((Properties::of(block), identifier.unwrap_or_default()))
}

/// Takes fields off the front; nothing if there is too little.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn native(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// All that is left: a Variable Byte Integer and as many bytes.
    fn block(&mut self) -> Option<&'a [u8]> {
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return (self.0.len() == length).then_some(self.0);
            }
        }
        None
    }
}

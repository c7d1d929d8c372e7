//! The lines of an export, as JSON has them. docs/ctl-store.md is their description.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

/// What is written, and the highest version that is read.
pub(crate) const VERSION: u32 = 1;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Line {
    /// The first line.
    Store(Header),
    /// A session with all it has but its messages.
    Session(Session),
    /// A message and who is to have it.
    Message(Message),
    /// The last line: without it the file is cut.
    End(Counts),
}

/// What file this is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) version: u32,
    /// Which program wrote it; for people.
    #[serde(default)]
    pub(crate) written_by: String,
}

/// How many lines of each kind there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counts {
    pub(crate) sessions: u64,
    pub(crate) messages: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Session {
    /// How messages of this file name it.
    pub(crate) number: u64,
    pub(crate) client_id: String,
    /// The user name its client was let in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
    /// The number of the listener its client came in by.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) listener: u16,
    /// Seconds; 4294967295 never ends.
    pub(crate) session_expiry_interval: u32,
    /// Since when it is without a connection; absent if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parted: Option<Parted>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) will: Option<Will>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) subscriptions: Vec<Subscription>,
    /// Packet identifiers whose PUBREL the client has to answer, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) releases: Vec<u16>,
}

/// A session without connection. Times are microseconds since 1970.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parted {
    /// Absent if it does not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ends_at_us: Option<u64>,
    /// When the will is published; absent if that is not decided by the connection any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) will_due_us: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Will {
    pub(crate) message: Body,
    #[serde(default)]
    pub(crate) will_delay_interval: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message_expiry_interval: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subscription {
    pub(crate) topic_filter: String,
    pub(crate) qos: u8,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) no_local: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) retain_as_published: bool,
    /// 0 for none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) subscription_identifier: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Message {
    /// Messages of a queue are in the order of these.
    pub(crate) id: u64,
    pub(crate) message: Body,
    /// If it is the retained message of its topic: the place in the order of such changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retained: Option<u64>,
    /// Who published it, if it is retained and that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) publisher: Option<Publisher>,
    /// If it came with QoS 2 and was not released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) held: Option<Held>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) receivers: Vec<Receiver>,
}

/// Who published a retained message.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Publisher {
    pub(crate) client_id: String,
    /// The user name it was let in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
    /// The number of the listener it came in by.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) listener: u16,
}

/// The publisher that has not released a message.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Held {
    pub(crate) session: u64,
    pub(crate) packet_id: u16,
}

/// A session that is to have a message.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Receiver {
    pub(crate) session: u64,
    pub(crate) qos: u8,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) retain: bool,
    /// It was chosen among the members of a shared subscription.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) shared: bool,
    /// 0 for none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) subscription_identifier: u32,
    /// Under which it was sent; absent if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) packet_id: Option<u16>,
}

/// An application message.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    pub(crate) topic: String,
    /// The payload if it is text, else it is in the next member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payload_base64: Option<Base64>,
    pub(crate) qos: u8,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) retain: bool,
    /// Absent if it does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_us: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) properties: Properties,
}

/// The properties that travel with a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Properties {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payload_format_indicator: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) response_topic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) correlation_data_base64: Option<Base64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) user_properties: Vec<(String, String)>,
}

/// Bytes that JSON has in Base64, with padding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Base64(pub(crate) Vec<u8>);

impl From<Base64> for String {
    fn from(bytes: Base64) -> Self {
        BASE64_STANDARD.encode(bytes.0)
    }
}

impl TryFrom<String> for Base64 {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        BASE64_STANDARD.decode(text).map(Self)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

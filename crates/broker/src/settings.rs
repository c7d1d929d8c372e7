//! The limits of a broker, each with its unit, its default and the reason for it.

use core::time::Duration;

use crate::rate::Rate;

/// Everything about a broker that can be set. The defaults suit a small machine on a local network.
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own, as its key is")]
#[derive(Debug, Clone)]
pub struct Settings {
    /// Largest packet accepted, in bytes. 2 000 000: what Mosquitto 2.1 allows, so that clients which
    /// rely on it move over unnoticed.
    pub maximum_packet_size: u32,
    /// Largest payload of a message, in bytes; a larger one is refused and the connection stays. No limit:
    /// the packet has one.
    pub maximum_payload: usize,
    /// User properties in one packet. 10 000: more than any application is known to use; Mosquitto takes
    /// what fits into a packet. They take memory in every queue the message waits in.
    pub maximum_user_properties: usize,
    /// QoS 1 and 2 messages a 5.0 client may have unacknowledged towards us. 20, as Mosquitto.
    pub receive_maximum: u16,
    /// Topic aliases a client may use towards us. 10, as Mosquitto.
    pub topic_alias_maximum: u16,
    /// Topic aliases we use towards a client that allows them. 10: enough for the few topics of a
    /// device, bounded memory for each connection.
    pub topic_alias_maximum_out: u16,
    /// QoS 1 and 2 messages in flight to one client, lowered by its own receive maximum. 1000: with
    /// 20, as Mosquitto, no more than 20 messages can share a write.
    pub maximum_inflight: u16,
    /// Bytes of their payloads; another message goes while there are fewer, as in Mosquitto. No limit: their
    /// number and their size have one.
    pub maximum_inflight_bytes: usize,
    /// QoS 1 and 2 messages that wait for one session. 1000, as Mosquitto.
    pub maximum_queued_messages: usize,
    /// Bytes of them. 16 MiB: 1000 messages of 16 KiB.
    pub maximum_queued_bytes: usize,
    /// Bytes of QoS 2 messages held for one session until they are released. 64 MiB: more than
    /// `receive_maximum` messages of `maximum_packet_size`, so that it stops only clients before 5.0,
    /// which cannot be told a receive maximum.
    pub maximum_held_bytes: usize,
    /// What happens when a queue is full.
    pub queue_full: QueueFull,
    /// Bytes waiting to be written to one connection; beyond it QoS 0 is dropped, QoS 1 and 2 wait in the
    /// session, and the connection is not read. 1 MiB: a second of 8 Mbit/s.
    pub maximum_output: usize,
    /// Bytes of queued messages that a shard keeps in memory; beyond it the messages of sessions that
    /// outlive the process wait on disk only. 256 MiB: a tenth of a small machine.
    pub maximum_queue_memory: usize,
    /// Bytes that all queues of a shard may hold together. 1 GiB.
    pub maximum_shard_queue_bytes: usize,
    /// Time from opening a connection to its CONNECT. 10 s: long for a slow radio link, short for
    /// those who hold connections without using them.
    pub connect_timeout: Duration,
    /// Longest keep alive, in seconds; a longer one is lowered for 5.0 and refused before. 65 535: any.
    pub maximum_keep_alive: u16,
    /// Longest session expiry interval, in seconds. `u32::MAX`: any, never ending included.
    pub maximum_session_expiry: u32,
    /// Subscriptions of one session. 100 000: a session is no database.
    pub maximum_subscriptions: usize,
    /// Levels of a topic name or filter. 201, as Mosquitto, which counts the 200 slashes between them.
    pub maximum_topic_levels: usize,
    /// Longest will delay interval, in seconds. `u32::MAX`: any.
    pub maximum_will_delay: u32,
    /// Sessions, connected or not, on all shards. No limit: each has limits of its own.
    pub maximum_sessions: usize,
    /// Connections of one user at once. No limit: many a fleet shares one user name.
    pub maximum_user_connections: usize,
    /// Messages that one client may publish in a second; one that sends more is read more slowly. No
    /// limit: shards are fair without it.
    pub publish_rate: Option<Rate>,
    /// Bytes of them, headers included. No limit, for the same reason.
    pub publish_bytes_rate: Option<Rate>,
    /// Whether there are retained messages at all. Yes.
    pub retain_available: bool,
    /// Retained messages. 10 million.
    pub maximum_retained: usize,
    /// Bytes of them: topics, payloads and properties. 2 GiB: 10 million of 200 bytes.
    pub maximum_retained_bytes: usize,
    /// Whether a retained message is sent only while its publisher may write to its topic. Yes, as Mosquitto:
    /// what somebody wrote who is shut out since is not handed on.
    pub check_retain_source: bool,
    /// When retained messages end that would be kept longer: the first filter that matches counts. None:
    /// they are kept as the standard says.
    pub retained_expiry: Vec<RetainedExpiry>,
    /// Empty client identifiers of 3.1.1 and 5.0 are assigned one that begins so.
    pub assigned_id_prefix: String,
    /// Where the Response Information of CONNACK points clients that ask for it: this, the client
    /// identifier and a slash. None is sent by default, as Mosquitto.
    pub response_information: Option<String>,
    /// Whether messages wait at QoS 0, too, for sessions that are away. No, as Mosquitto: QoS 0 is now or never.
    pub queue_qos0: bool,
    /// Whether a message goes out with the QoS of the subscription where its own is lower. No: the standard says
    /// the lower of both.
    pub upgrade_qos: bool,
    /// How many copies a session gets of a message that several of its subscriptions match.
    pub overlapping: Overlapping,
    /// What becomes of a will with a delay when its session ends before.
    pub will_delay: WillDelay,
    /// When a refusal carries a reason string in words.
    pub reason_strings: ReasonStrings,
    /// With which codes clients are refused. Those that say why.
    pub refusal_codes: RefusalCodes,
    /// Whether sessions and retained messages are kept beyond the life of the process: then the server
    /// takes the journal of every turn and tells what is durable.
    pub keep: bool,
    /// Whether CONNECT waits for an answer to the question who it is.
    pub authenticate: bool,
    /// What happens when rules deny a PUBLISH of a client before 5.0, which cannot be told. It is
    /// acknowledged and dropped, as Mosquitto does.
    pub denied_publish: DeniedPublish,
    /// Whether a CONNECT with a will that rules deny is refused. No, as Mosquitto: the will is not
    /// published then, and the log says so.
    pub refuse_denied_will: bool,
}

/// What to do when rules deny a PUBLISH of a client before 5.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeniedPublish {
    /// Acknowledge and drop it.
    Silent,
    /// Close the connection.
    Disconnect,
}

/// When retained messages of some topics end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetainedExpiry {
    /// The topics, mount points included.
    pub filter: Box<str>,
    /// How long they are kept.
    pub after: Duration,
}

/// What to do with a message for a session whose queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueFull {
    /// Drop the message that does not fit (as Mosquitto).
    DropNewest,
    /// Drop the one that has waited longest.
    DropOldest,
}

/// How many copies of a message a session gets that several of its subscriptions match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlapping {
    /// One for each of them, with its subscription identifier.
    Each,
    /// One; those that have different subscription identifiers still get a copy each.
    Once,
}

/// What becomes of a will with a delay when its session ends before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WillDelay {
    /// It is published with the end of the session.
    Standard,
    /// A session that ends with its connection does not cut the delay short, and a client that comes back in
    /// time takes its will back though it begins a new session.
    Mosquitto,
}

/// When a 5.0 client is told in words why something was refused. Never against its Request Problem
/// Information [MQTT-3.1.2-29].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasonStrings {
    /// To clients that set Request Problem Information to 1 themselves: others get the shortest packets.
    Asked,
    /// To every client that did not set it to 0.
    Always,
    /// To none.
    Never,
}

/// What clients are refused with where brokers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalCodes {
    /// Those that say why.
    Telling,
    /// Mosquitto's, where no limit is hidden by them and MQTT leaves the choice: connections with a will to a
    /// topic of the broker's own, or with strings that cannot be, are closed without CONNACK, an empty client
    /// identifier of 5.0 is an unspecified error, and one that is not for this client not authorised.
    Familiar,
    /// Mosquitto's: besides, connections beyond a limit are closed without CONNACK, clients beyond one find the
    /// server busy, and a QoS 2 message that comes for the third time on one connection, without PUBREL, is a
    /// protocol error.
    Mosquitto,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            maximum_packet_size: 2_000_000,
            maximum_payload: usize::MAX,
            maximum_user_properties: 10_000,
            receive_maximum: 20,
            topic_alias_maximum: 10,
            topic_alias_maximum_out: 10,
            maximum_inflight: 1000,
            maximum_inflight_bytes: usize::MAX,
            maximum_queued_messages: 1000,
            maximum_queued_bytes: 16 << 20,
            maximum_held_bytes: 64 << 20,
            queue_full: QueueFull::DropNewest,
            maximum_output: 1 << 20,
            maximum_queue_memory: 256 << 20,
            maximum_shard_queue_bytes: 1 << 30,
            connect_timeout: Duration::from_secs(10),
            maximum_keep_alive: u16::MAX,
            maximum_session_expiry: u32::MAX,
            maximum_subscriptions: 100_000,
            maximum_topic_levels: 201,
            maximum_will_delay: u32::MAX,
            maximum_sessions: usize::MAX,
            maximum_user_connections: usize::MAX,
            publish_rate: None,
            publish_bytes_rate: None,
            retain_available: true,
            maximum_retained: 10_000_000,
            maximum_retained_bytes: 2 << 30,
            check_retain_source: true,
            retained_expiry: Vec::new(),
            assigned_id_prefix: "auto-".into(),
            response_information: None,
            queue_qos0: false,
            upgrade_qos: false,
            overlapping: Overlapping::Each,
            will_delay: WillDelay::Standard,
            reason_strings: ReasonStrings::Asked,
            refusal_codes: RefusalCodes::Telling,
            keep: false,
            authenticate: false,
            denied_publish: DeniedPublish::Silent,
            refuse_denied_will: false,
        }
    }
}

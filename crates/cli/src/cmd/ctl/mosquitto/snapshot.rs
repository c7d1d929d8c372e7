//! What both formats of Mosquitto hold.

use std::collections::BTreeMap;

use super::super::dump::Properties;

#[derive(Debug, Default)]
pub(super) struct Snapshot {
    /// By the number Mosquitto gave it.
    pub(super) messages: BTreeMap<u64, BaseMessage>,
    pub(super) clients: Vec<Client>,
    /// In the order of each client's queue.
    pub(super) client_messages: Vec<ClientMessage>,
    pub(super) subscriptions: Vec<Subscription>,
    /// Numbers of messages.
    pub(super) retained: Vec<u64>,
    pub(super) wills: Vec<Will>,
}

#[derive(Debug, Default)]
pub(super) struct BaseMessage {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) properties: Properties,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// Seconds since 1970; 0 for never.
    pub(super) expiry_time: i64,
    /// Unless it is the broker's own.
    pub(super) source: Option<Source>,
}

/// Who published a message.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) client_id: String,
    pub(super) username: Option<String>,
    /// Of the listener.
    pub(super) port: u16,
}

impl Source {
    /// None for what has no name that could be judged.
    pub(super) fn new(client_id: &str, username: Option<&str>, port: u16) -> Option<Self> {
        let username = username.filter(|name| !name.is_empty());
        let sound = |name: &str| !name.contains('\0') && name.len() <= usize::from(u16::MAX);
        (!client_id.is_empty() && sound(client_id) && username.is_none_or(sound)).then(|| Self {
            client_id: client_id.to_owned(),
            username: username.map(str::to_owned),
            port,
        })
    }
}

#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) client_id: String,
    pub(super) username: Option<String>,
    /// Of the listener; 0 if that is not known.
    pub(super) port: u16,
    /// Seconds since 1970; 0 while it is connected, and for never.
    pub(super) session_expiry_time: i64,
    pub(super) session_expiry_interval: u32,
    pub(super) will_delay_interval: u32,
    /// When its will is due, in seconds since 1970; 0 if it has none or is connected.
    pub(super) will_delay_time: i64,
}

#[derive(Debug)]
pub(super) struct ClientMessage {
    pub(super) client_id: String,
    pub(super) message: u64,
    pub(super) packet_id: u16,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// 0 from the client, 1 to it.
    pub(super) direction: u8,
    pub(super) state: u8,
    pub(super) subscription_identifier: u32,
}

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) client_id: String,
    pub(super) topic_filter: String,
    /// As in a SUBSCRIBE of 5.0.
    pub(super) options: u8,
    pub(super) identifier: u32,
}

/// The will of a client; the delay is the client's.
#[derive(Debug)]
pub(super) struct Will {
    pub(super) client_id: String,
    pub(super) message: BaseMessage,
    pub(super) message_expiry_interval: Option<u32>,
}

/// States of a message of a client that matter here.
pub(super) mod state {
    pub(in super::super) const RESEND_PUBREL: u8 = 6;
    pub(in super::super) const WAIT_FOR_PUBREL: u8 = 7;
    pub(in super::super) const WAIT_FOR_PUBCOMP: u8 = 9;
    pub(in super::super) const SEND_PUBREC: u8 = 10;
    /// Not sent yet. From the client: not answered yet.
    pub(in super::super) const QUEUED: u8 = 11;
}

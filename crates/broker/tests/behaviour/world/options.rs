//! How clients connect and subscribe.

use dunlin_proto::packet::{
    Ack, Connect, Delivery, Packet, RetainHandling, SubscribeOptions, Will,
};
use dunlin_proto::property::{Properties, Property, PropertyBuf};
use dunlin_proto::qos::{PacketId, QoS};
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::topic::TopicName;
use dunlin_proto::version::Version;

/// How a client connects; `Options::new` is a clean 5.0 client without keep alive.
#[derive(Clone)]
pub struct Options<'a> {
    pub id: &'a str,
    pub version: Version,
    pub clean: bool,
    pub keep_alive: u16,
    pub username: Option<&'a str>,
    pub password: Option<&'a [u8]>,
    pub properties: Vec<Property<'a>>,
    will: Option<(&'a str, &'a str)>,
    will_qos: QoS,
    will_retain: bool,
    will_properties: Vec<Property<'a>>,
}

impl<'a> Options<'a> {
    pub const fn new(id: &'a str) -> Self {
        Self {
            id,
            version: Version::V5_0,
            clean: true,
            keep_alive: 0,
            username: None,
            password: None,
            properties: Vec::new(),
            will: None,
            will_qos: QoS::AtMostOnce,
            will_retain: false,
            will_properties: Vec::new(),
        }
    }

    pub const fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// Keeps an earlier session, and one that outlives the connection by this many seconds (5.0) or for
    /// ever (before).
    pub fn persistent(mut self, seconds: u32) -> Self {
        self.clean = false;
        self.expiry(seconds)
    }

    /// A session that outlives the connection, without a word on earlier ones; 5.0 alone.
    pub fn expiry(mut self, seconds: u32) -> Self {
        if self.version == Version::V5_0 {
            self.properties.push(Property::SessionExpiryInterval(seconds));
        }
        self
    }

    pub const fn clean(mut self, clean: bool) -> Self {
        self.clean = clean;
        self
    }

    pub fn property(mut self, property: Property<'a>) -> Self {
        self.properties.push(property);
        self
    }

    pub const fn keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive = seconds;
        self
    }

    /// A will at QoS 0.
    pub const fn will(mut self, topic: &'a str, payload: &'a str) -> Self {
        self.will = Some((topic, payload));
        self
    }

    pub const fn will_qos(mut self, qos: QoS) -> Self {
        self.will_qos = qos;
        self
    }

    pub const fn will_retain(mut self) -> Self {
        self.will_retain = true;
        self
    }

    pub fn will_property(mut self, property: Property<'a>) -> Self {
        self.will_properties.push(property);
        self
    }

    pub fn will_delay(self, seconds: u32) -> Self {
        self.will_property(Property::WillDelayInterval(seconds))
    }

    /// Calls `then` with the packet.
    pub fn packet(&self, then: impl FnOnce(&Packet<'_>)) {
        let properties = buffer(&self.properties);
        let will_properties = buffer(&self.will_properties);
        then(&Packet::Connect(Connect {
            version: self.version,
            bridge: false,
            clean_start: self.clean,
            keep_alive: self.keep_alive,
            client_id: self.id,
            will: self.will.map(|(topic, payload)| Will {
                qos: self.will_qos,
                retain: self.will_retain,
                topic: TopicName::new(topic).expect("valid topic"),
                payload: payload.as_bytes(),
                properties: will_properties.as_properties(),
            }),
            username: self.username,
            password: self.password,
            properties: properties.as_properties(),
        }));
    }
}

pub fn buffer(properties: &[Property<'_>]) -> PropertyBuf {
    let mut buffer = PropertyBuf::new();
    for property in properties {
        buffer.push(*property);
    }
    buffer
}

/// The options of a subscription that only names a QoS.
pub const fn options(qos: QoS) -> SubscribeOptions {
    SubscribeOptions {
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Always,
    }
}

pub const fn delivery(qos: QoS, id: u16) -> Delivery {
    match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id: packet_id(id), dup: false },
        QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id: packet_id(id), dup: false },
    }
}

pub const fn packet_id(id: u16) -> PacketId {
    PacketId::new(id).expect("not zero")
}

pub const fn ack(id: u16, reason: ReasonCode) -> Ack<'static> {
    Ack { packet_id: packet_id(id), reason, properties: Properties::EMPTY }
}

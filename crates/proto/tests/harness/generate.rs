//! Packets that are valid in their version, made from decisions.

use dunlin_proto::packet::{
    Ack, Auth, ConnAck, Connect, Delivery, Disconnect, Packet, Publish, RetainHandling, SubAck,
    Subscribe, SubscribeOptions, Unsubscribe, Will,
};
use dunlin_proto::property::{Properties, Property, PropertyBuf, PropertyId};
use dunlin_proto::violation::PropertyContext;
use dunlin_proto::{PacketId, PacketType, QoS, ReasonCode, TopicFilter, TopicName, Version};

use super::entropy::Entropy;

/// What a packet borrows from.
pub(crate) struct Parts {
    properties: PropertyBuf,
    will_properties: PropertyBuf,
    long: String,
    payload: Vec<u8>,
}

pub(crate) fn parts(entropy: &mut Entropy<'_>, packet_type: PacketType, version: Version) -> Parts {
    let mut properties = PropertyBuf::new();
    let mut will_properties = PropertyBuf::new();
    if version.is_v5() {
        fill(entropy, &mut properties, PropertyContext::Packet(packet_type));
        fill(entropy, &mut will_properties, PropertyContext::Will);
    }
    let payload_len = entropy.pick(&[0, 1, 64, 300, 20_000, 70_000]);
    Parts {
        properties,
        will_properties,
        long: "é".repeat(entropy.pick(&[1, 70, 9_000])),
        payload: vec![entropy.u8(); payload_len],
    }
}

fn fill(entropy: &mut Entropy<'_>, properties: &mut PropertyBuf, context: PropertyContext) {
    let count = entropy.below(6);
    for _ in 0..count {
        let id = entropy.pick(PropertyId::ALL);
        let is_there = properties.as_properties().find(id).is_some();
        if id.allowed_in(context) && (!is_there || id.repeatable_in(context)) {
            properties.try_push(property(entropy, id)).unwrap();
        }
    }
    // What has data, or is an exchange, names its method.
    let needs_method = context == PropertyContext::Packet(PacketType::Auth)
        || properties.as_properties().authentication_data().is_some();
    if needs_method && properties.as_properties().authentication_method().is_none() {
        properties.push(Property::AuthenticationMethod("SCRAM"));
    }
}

fn property(entropy: &mut Entropy<'_>, id: PropertyId) -> Property<'static> {
    let flag = entropy.flag();
    let text = entropy.pick(&TEXTS);
    let data = entropy.pick(&DATA);
    let number = entropy.u32();
    let positive = number.max(1);
    let short = (number >> 16) as u16;
    match id {
        PropertyId::PayloadFormatIndicator => Property::PayloadFormatIndicator(flag),
        PropertyId::MessageExpiryInterval => Property::MessageExpiryInterval(number),
        PropertyId::ContentType => Property::ContentType(text),
        PropertyId::ResponseTopic => Property::ResponseTopic(entropy.pick(&TOPICS)),
        PropertyId::CorrelationData => Property::CorrelationData(data),
        PropertyId::SubscriptionIdentifier => {
            Property::SubscriptionIdentifier((number >> entropy.below(28)).clamp(1, 268_435_455))
        }
        PropertyId::SessionExpiryInterval => Property::SessionExpiryInterval(number),
        PropertyId::AssignedClientIdentifier => Property::AssignedClientIdentifier(text),
        PropertyId::ServerKeepAlive => Property::ServerKeepAlive(short),
        PropertyId::AuthenticationMethod => Property::AuthenticationMethod(text),
        PropertyId::AuthenticationData => Property::AuthenticationData(data),
        PropertyId::RequestProblemInformation => Property::RequestProblemInformation(flag),
        PropertyId::WillDelayInterval => Property::WillDelayInterval(number),
        PropertyId::RequestResponseInformation => Property::RequestResponseInformation(flag),
        PropertyId::ResponseInformation => Property::ResponseInformation(text),
        PropertyId::ServerReference => Property::ServerReference(text),
        PropertyId::ReasonString => Property::ReasonString(text),
        PropertyId::ReceiveMaximum => Property::ReceiveMaximum(short.max(1)),
        PropertyId::TopicAliasMaximum => Property::TopicAliasMaximum(short),
        PropertyId::TopicAlias => Property::TopicAlias(short.max(1)),
        PropertyId::MaximumQoS => {
            Property::MaximumQoS(if flag { QoS::AtLeastOnce } else { QoS::AtMostOnce })
        }
        PropertyId::RetainAvailable => Property::RetainAvailable(flag),
        PropertyId::UserProperty => Property::UserProperty(text, entropy.pick(&TEXTS)),
        PropertyId::MaximumPacketSize => Property::MaximumPacketSize(positive),
        PropertyId::WildcardSubscriptionAvailable => Property::WildcardSubscriptionAvailable(flag),
        PropertyId::SubscriptionIdentifierAvailable => {
            Property::SubscriptionIdentifierAvailable(flag)
        }
        PropertyId::SharedSubscriptionAvailable => Property::SharedSubscriptionAvailable(flag),
    }
}

pub(crate) fn packet<'a>(
    entropy: &mut Entropy<'_>,
    packet_type: PacketType,
    version: Version,
    parts: &'a Parts,
) -> Packet<'a> {
    let properties = parts.properties.as_properties();
    match packet_type {
        PacketType::Connect => Packet::Connect(connect(entropy, version, parts)),
        PacketType::ConnAck => Packet::ConnAck(connack(entropy, version, properties)),
        PacketType::Publish => Packet::Publish(publish(entropy, parts)),
        PacketType::PubAck => Packet::PubAck(ack(entropy, packet_type, version, properties)),
        PacketType::PubRec => Packet::PubRec(ack(entropy, packet_type, version, properties)),
        PacketType::PubRel => Packet::PubRel(ack(entropy, packet_type, version, properties)),
        PacketType::PubComp => Packet::PubComp(ack(entropy, packet_type, version, properties)),
        PacketType::Subscribe => Packet::Subscribe(subscribe(entropy, version, properties)),
        PacketType::SubAck => Packet::SubAck(answer(entropy, packet_type, version, properties)),
        PacketType::Unsubscribe => Packet::Unsubscribe(Unsubscribe {
            packet_id: packet_id(entropy),
            properties,
            filters: (0..=entropy.below(3)).map(|_| filter(entropy)).collect(),
        }),
        PacketType::UnsubAck => {
            let mut answer = answer(entropy, packet_type, version, properties);
            if !version.is_v5() {
                answer.reasons.clear();
            }
            Packet::UnsubAck(answer)
        }
        PacketType::PingReq => Packet::PingReq,
        PacketType::PingResp => Packet::PingResp,
        PacketType::Disconnect => Packet::Disconnect(Disconnect {
            reason: reason(entropy, packet_type, version),
            properties,
        }),
        PacketType::Auth => {
            Packet::Auth(Auth { reason: reason(entropy, packet_type, version), properties })
        }
    }
}

fn connect<'a>(entropy: &mut Entropy<'_>, version: Version, parts: &'a Parts) -> Connect<'a> {
    let client_id = match entropy.below(3) {
        0 => "c",
        1 => &parts.long,
        _ if version.is_v5() => "",
        _ => "client",
    };
    let will = entropy.flag().then(|| Will {
        qos: qos(entropy),
        retain: entropy.flag(),
        topic: topic(entropy),
        payload: entropy.pick(&DATA),
        properties: parts.will_properties.as_properties(),
    });
    let username = entropy.flag().then(|| entropy.pick(&TEXTS));
    let password = entropy.flag().then(|| entropy.pick(&DATA));
    Connect {
        version,
        bridge: !version.is_v5() && entropy.flag(),
        clean_start: entropy.flag(),
        keep_alive: entropy.u16(),
        client_id,
        will,
        username,
        password: password.filter(|_| username.is_some() || version.is_v5()),
        properties: parts.properties.as_properties(),
    }
}

fn connack<'a>(
    entropy: &mut Entropy<'_>,
    version: Version,
    properties: Properties<'a>,
) -> ConnAck<'a> {
    let reason = if version.is_v5() {
        reason(entropy, PacketType::ConnAck, version)
    } else {
        ReasonCode::from_connack_return_code(entropy.u8() % 6).unwrap()
    };
    let session_present = version > Version::V3_1 && !reason.is_error() && entropy.flag();
    ConnAck { session_present, reason, properties }
}

fn publish<'a>(entropy: &mut Entropy<'_>, parts: &'a Parts) -> Publish<'a> {
    let properties = parts.properties.as_properties();
    let packet_id = packet_id(entropy);
    let dup = entropy.flag();
    let topic = match entropy.below(4) {
        0 if properties.topic_alias().is_some() => None,
        1 => Some(TopicName::new(&parts.long).unwrap()),
        _ => Some(topic(entropy)),
    };
    Publish {
        delivery: match qos(entropy) {
            QoS::AtMostOnce => Delivery::AtMostOnce,
            QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup },
            QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup },
        },
        retain: entropy.flag(),
        topic,
        properties,
        payload: &parts.payload,
    }
}

fn ack<'a>(
    entropy: &mut Entropy<'_>,
    packet_type: PacketType,
    version: Version,
    properties: Properties<'a>,
) -> Ack<'a> {
    Ack { packet_id: packet_id(entropy), reason: reason(entropy, packet_type, version), properties }
}

fn subscribe<'a>(
    entropy: &mut Entropy<'_>,
    version: Version,
    properties: Properties<'a>,
) -> Subscribe<'a> {
    let packet_id = packet_id(entropy);
    let filters = (0..=entropy.below(3)).map(|_| {
        let filter = filter(entropy);
        let shared = filter.shared().is_ok_and(|shared| shared.is_some());
        let v5 = version.is_v5();
        let options = SubscribeOptions {
            qos: qos(entropy),
            no_local: entropy.flag() && v5 && !shared,
            retain_as_published: entropy.flag() && v5,
            retain_handling: match entropy.below(3) {
                1 if v5 => RetainHandling::IfNew,
                2 if v5 => RetainHandling::Never,
                _ => RetainHandling::Always,
            },
        };
        (filter, options)
    });
    Subscribe { packet_id, properties, filters: filters.collect() }
}

fn answer<'a>(
    entropy: &mut Entropy<'_>,
    packet_type: PacketType,
    version: Version,
    properties: Properties<'a>,
) -> SubAck<'a> {
    let packet_id = packet_id(entropy);
    let reasons = (0..=entropy.below(3)).map(|_| {
        if version.is_v5() {
            return reason(entropy, packet_type, version);
        }
        entropy.pick(&[
            ReasonCode::GRANTED_QOS_0,
            ReasonCode::GrantedQoS1,
            ReasonCode::GrantedQoS2,
            ReasonCode::UnspecifiedError,
        ])
    });
    SubAck { packet_id, properties, reasons: reasons.collect() }
}

fn reason(entropy: &mut Entropy<'_>, packet_type: PacketType, version: Version) -> ReasonCode {
    let reason = entropy.pick(ReasonCode::ALL);
    if version.is_v5() && reason.allowed_in(packet_type) { reason } else { ReasonCode::Success }
}

fn packet_id(entropy: &mut Entropy<'_>) -> PacketId {
    PacketId::new(entropy.u16()).unwrap_or(PacketId::MAX)
}

fn qos(entropy: &mut Entropy<'_>) -> QoS {
    entropy.pick(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
}

fn topic(entropy: &mut Entropy<'_>) -> TopicName<'static> {
    TopicName::new(entropy.pick(&TOPICS)).unwrap()
}

fn filter(entropy: &mut Entropy<'_>) -> TopicFilter<'static> {
    TopicFilter::new(entropy.pick(&FILTERS)).unwrap()
}

const TEXTS: [&str; 5] = ["", "a", "Österreich", "€/\u{10FFFF}", "a text of more than a few words"];
const DATA: [&[u8]; 4] = [b"", b"\0", b"\xFF\xFE", b"some data that is not so short"];
const TOPICS: [&str; 5] = ["a", "/", "a/b/c", "$SYS/broker", "сенсор/температура"];
const FILTERS: [&str; 6] = ["#", "+/a/#", "a", "$share/group/a/+", "$SYS/#", "сенсор/+"];

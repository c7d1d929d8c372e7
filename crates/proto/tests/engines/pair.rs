//! A client engine and a small server around the server engine, joined in memory.

use std::collections::VecDeque;

use dunlin_proto::client::{self, ConnectOptions, Event, Session};
use dunlin_proto::codec::{self, AckKind};
use dunlin_proto::packet::{ConnAck, Delivery, Packet, Publish, SubAck};
use dunlin_proto::property::{Properties, PropertyBuf};
use dunlin_proto::server::{self, Limits, Received};
use dunlin_proto::window::{Accepted, Inbound, Outbound, Resend};
use dunlin_proto::{PacketId, QoS, ReasonCode, Time, TopicName};

pub(crate) type Payload = (QoS, Vec<u8>);

/// Keeps one session, remembers what was published, and sends what it is told to.
pub(crate) struct Server {
    pub(crate) limits: Limits,
    pub(crate) connack: PropertyBuf,
    pub(crate) connection: server::Connection,
    pub(crate) received: Vec<(String, Payload)>,
    pub(crate) queue: VecDeque<Payload>,
    pub(crate) has_session: bool,
    pub(crate) answers_subscribe: bool,
    inbound: Inbound<()>,
    outbound: Outbound<Payload>,
}

impl Server {
    fn new() -> Self {
        let limits = Limits::default();
        Self {
            limits,
            connack: PropertyBuf::new(),
            connection: server::Connection::new(limits, Time::ZERO),
            received: Vec::new(),
            queue: VecDeque::new(),
            has_session: false,
            answers_subscribe: true,
            inbound: Inbound::new(),
            outbound: Outbound::new(),
        }
    }

    /// Takes whole packets off the front of `input`.
    fn handle(&mut self, now: Time, input: &mut Vec<u8>, out: &mut Vec<u8>) {
        let bytes = std::mem::take(input);
        let mut rest = &bytes[..];
        while let Received::Packet { packet, len } =
            self.connection.receive(now, rest).expect("a client that keeps to the rules")
        {
            self.packet(&packet, out);
            rest = &rest[len..];
        }
        input.extend_from_slice(rest);
        if self.connection.state() == server::State::Open {
            self.send(out);
        }
    }

    fn packet(&mut self, packet: &Packet<'_>, out: &mut Vec<u8>) {
        match packet {
            Packet::Connect(connect) => {
                let session_present = self.has_session && !connect.clean_start;
                if session_present {
                    self.outbound.restart();
                } else {
                    self.inbound.clear();
                    self.outbound = Outbound::new();
                }
                self.has_session = true;
                let reason = ReasonCode::Success;
                let properties = self.connack.as_properties();
                self.answer(&Packet::ConnAck(ConnAck { session_present, reason, properties }), out);
            }
            Packet::Publish(publish) => self.publish(publish, out),
            Packet::PubAck(ack) => {
                self.outbound.acknowledge(ack.packet_id);
            }
            Packet::PubRec(ack) => {
                self.outbound.received(ack.packet_id);
                codec::encode_ack(AckKind::PubRel, ack.packet_id, out);
            }
            Packet::PubComp(ack) => {
                self.outbound.completed(ack.packet_id);
            }
            Packet::PubRel(ack) => {
                self.inbound.release(ack.packet_id);
                codec::encode_ack(AckKind::PubComp, ack.packet_id, out);
                self.connection.inbound_acknowledged();
            }
            Packet::Subscribe(subscribe) if self.answers_subscribe => {
                let reasons = subscribe.filters.iter().map(|(_, o)| ReasonCode::granted(o.qos));
                let answer = answer(subscribe.packet_id, reasons.collect());
                self.answer(&Packet::SubAck(answer), out);
            }
            Packet::Unsubscribe(unsubscribe) => {
                let reasons = unsubscribe.filters.iter().map(|_| ReasonCode::Success).collect();
                self.answer(&Packet::UnsubAck(answer(unsubscribe.packet_id, reasons)), out);
            }
            Packet::PingReq => self.answer(&Packet::PingResp, out),
            _ => {}
        }
    }

    fn publish(&mut self, publish: &Publish<'_>, out: &mut Vec<u8>) {
        let alias = publish.properties.topic_alias();
        let topic = self.connection.alias_in.resolve(publish.topic, alias).unwrap();
        let message =
            (topic.as_str().to_owned(), (publish.delivery.qos(), publish.payload.to_vec()));
        match publish.delivery {
            Delivery::AtMostOnce => self.received.push(message),
            Delivery::AtLeastOnce { packet_id, .. } => {
                self.received.push(message);
                codec::encode_ack(AckKind::PubAck, packet_id, out);
                self.connection.inbound_acknowledged();
            }
            Delivery::ExactlyOnce { packet_id, .. } => {
                if self.inbound.accept(packet_id, ()) == Accepted::New {
                    self.received.push(message);
                }
                codec::encode_ack(AckKind::PubRec, packet_id, out);
            }
        }
    }

    /// What the client's receive maximum lets out, old before new.
    fn send(&mut self, out: &mut Vec<u8>) {
        let (version, maximum) = (self.connection.version(), self.connection.receive_maximum());
        while let Some((packet_id, resend)) = self.outbound.next_resend(maximum) {
            match resend {
                Resend::Release => codec::encode_ack(AckKind::PubRel, packet_id, out),
                Resend::Publish { message: (qos, payload), .. } => {
                    let packet = message(*qos, packet_id, true, payload);
                    codec::encode(&packet, version, out).unwrap();
                }
            }
        }
        while self.outbound.can_send(maximum)
            && let Some((qos, payload)) = self.queue.pop_front()
        {
            let packet_id = self.outbound.next_packet_id();
            codec::encode(&message(qos, packet_id, false, &payload), version, out).unwrap();
            if qos > QoS::AtMostOnce {
                self.outbound.send(qos, (qos, payload));
            }
        }
    }

    fn answer(&self, packet: &Packet<'_>, out: &mut Vec<u8>) {
        self.connection.send(packet, out).unwrap();
    }
}

fn answer(packet_id: PacketId, reasons: Vec<ReasonCode>) -> SubAck<'static> {
    SubAck { packet_id, properties: Properties::EMPTY, reasons }
}

fn message(qos: QoS, packet_id: PacketId, dup: bool, payload: &[u8]) -> Packet<'_> {
    Packet::Publish(Publish {
        delivery: match qos {
            QoS::AtMostOnce => Delivery::AtMostOnce,
            QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup },
            QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup },
        },
        retain: false,
        topic: TopicName::new("down").ok(),
        properties: Properties::EMPTY,
        payload,
    })
}

/// The two and the wire between them.
pub(crate) struct Pair {
    pub(crate) client: client::Connection,
    pub(crate) server: Server,
    pub(crate) now: Time,
    pub(crate) events: Vec<Event>,
    pub(crate) up: Vec<u8>,
    pub(crate) down: Vec<u8>,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self {
            client: client::Connection::new(Session::default()),
            server: Server::new(),
            now: Time::ZERO,
            events: Vec::new(),
            up: Vec::new(),
            down: Vec::new(),
        }
    }

    /// Opens the transport, and an MQTT connection over it.
    pub(crate) fn connect(&mut self, options: &ConnectOptions) {
        self.up.clear();
        self.down.clear();
        self.server.connection = server::Connection::new(self.server.limits, self.now);
        self.client.connect(options, self.now).unwrap();
    }

    /// Connects and lets everything run until all is quiet.
    pub(crate) fn connected(&mut self, options: &ConnectOptions) {
        self.connect(options);
        self.run();
        assert_eq!(self.client.state(), client::State::Open);
    }

    /// Lets everything run until all is quiet.
    pub(crate) fn run(&mut self) {
        while self.client_sends() | self.server_takes(usize::MAX) | self.client_takes(usize::MAX) {}
    }

    /// Breaks the connection: of what is under way so many bytes still arrive.
    pub(crate) fn cut(&mut self, up: usize, down: usize) {
        self.client_sends();
        self.up.truncate(up);
        self.server_takes(up);
        self.down.truncate(down);
        self.client_takes(down);
        self.client.connection_lost();
        self.collect();
    }

    pub(crate) fn client_sends(&mut self) -> bool {
        let sent = self.client.poll_transmit(self.now, &mut self.up);
        self.collect();
        sent
    }

    /// The server takes up to so many bytes.
    pub(crate) fn server_takes(&mut self, bytes: usize) -> bool {
        let before = (self.up.len(), self.down.len());
        let mut part: Vec<u8> = self.up.drain(..bytes.min(self.up.len())).collect();
        self.server.handle(self.now, &mut part, &mut self.down);
        part.append(&mut self.up);
        self.up = part;
        before != (self.up.len(), self.down.len())
    }

    /// The client takes up to so many bytes.
    pub(crate) fn client_takes(&mut self, bytes: usize) -> bool {
        let part = &self.down[..bytes.min(self.down.len())];
        let taken =
            self.client.handle_input(self.now, part).expect("a server that keeps to the rules");
        self.down.drain(..taken);
        self.collect();
        taken > 0
    }

    fn collect(&mut self) {
        self.events.extend(std::iter::from_fn(|| self.client.poll_event()));
    }

    /// Payloads of the messages that the client was given, and no longer has among its events.
    pub(crate) fn given(&self) -> Vec<Payload> {
        let message = |event: &Event| match event {
            Event::Message(message) => Some((message.qos, message.payload.clone())),
            _ => None,
        };
        self.events.iter().filter_map(message).collect()
    }
}

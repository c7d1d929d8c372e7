//! From the queue to the wire, as far as the server takes it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::event::{Event, Failure};
use super::message::{Command, Message, Pending, SubscribeCommand, Token, UnsubscribeCommand};
use super::{Connection, Link, State};
use crate::alias::Assigned;
use crate::codec::{self, AckKind};
use crate::packet::{Delivery, Packet, Publish, Subscribe, Unsubscribe};
use crate::property::Property;
use crate::qos::{PacketId, QoS};
use crate::reason::ReasonCode;
use crate::topic::TopicFilter;
use crate::window::Resend;

impl Connection {
    /// Encodes what may go out now, until [`TRANSMIT_TARGET`] is reached.
    pub(super) fn fill_transmit(&mut self) {
        if self.link.state != State::Open {
            return;
        }
        self.send_again();
        while self.transmit.len() < TRANSMIT_TARGET && self.front_may_go() {
            let Some(Pending { token, command }) = self.session.queue.pop_front() else {
                return;
            };
            match command {
                Command::Publish(message) => self.send_publish(token, message),
                Command::Subscribe(command) => self.send_subscribe(token, *command),
                Command::Unsubscribe(command) => self.send_unsubscribe(token, *command),
            }
        }
    }

    /// What was on its way when the last connection ended, with DUP [MQTT-3.3.1-1].
    fn send_again(&mut self) {
        let receive_maximum = self.link.server.receive_maximum;
        while self.transmit.len() < TRANSMIT_TARGET
            && let Some((packet_id, resend)) = self.session.outbound.next_resend(receive_maximum)
        {
            match resend {
                Resend::Release => {
                    codec::encode_ack(AckKind::PubRel, packet_id, &mut self.transmit);
                }
                Resend::Publish { qos, message } => {
                    let Command::Publish(message) = &message.command else {
                        continue;
                    };
                    let publish = message.packet(delivery(qos, packet_id, true));
                    // A server may take less than the last one did. Then nothing goes out, and
                    // the message stays on its way for a server that takes it.
                    append(&publish, &self.link, &mut self.transmit).unwrap_or_default();
                }
            }
        }
    }

    /// Whether the window has room for the command at the front. The others wait behind it, so
    /// that what was published first is sent first.
    fn front_may_go(&self) -> bool {
        match self.session.queue.front().map(|pending| &pending.command) {
            None => false,
            Some(Command::Publish(message)) if message.qos == QoS::AtMostOnce => true,
            // [MQTT-3.3.4-7]
            Some(Command::Publish(_)) => {
                self.session.outbound.can_send(self.link.server.receive_maximum)
            }
            Some(Command::Subscribe(_) | Command::Unsubscribe(_)) => {
                self.session.outbound.can_request()
            }
        }
    }

    fn send_publish(&mut self, token: Token, message: Message) {
        let qos = message.qos;
        if let Err(failure) = self.encode_publish(&message) {
            self.events.push_back(Event::PublishDone { token, result: Err(failure) });
        } else if qos == QoS::AtMostOnce {
            let result = Ok(ReasonCode::Success);
            self.events.push_back(Event::PublishDone { token, result });
        } else {
            let command = Command::Publish(message);
            self.session.outbound.send(qos, Pending { token, command });
        }
    }

    /// Appends a message that is sent for the first time.
    fn encode_publish(&mut self, message: &Message) -> Result<(), Failure> {
        let link = &mut self.link;
        // [MQTT-3.2.2-11]
        if message.qos > link.server.maximum_qos {
            return Err(Failure::QoSNotSupported);
        }
        // [MQTT-3.2.2-14]
        if message.retain && !link.server.retain_available {
            return Err(Failure::RetainNotSupported);
        }
        // The identifier that the window gives next.
        let packet_id = self.session.outbound.next_packet_id();
        let publish = message.packet(delivery(message.qos, packet_id, false));
        let alias = if link.asked.topic_aliases && fits(&publish, link, ALIAS_LEN) {
            link.alias_out.lookup(message.topic())
        } else {
            Assigned::None
        };
        let (topic, alias) = match alias {
            Assigned::None => return append(&publish, link, &mut self.transmit),
            Assigned::New(alias) => (Some(message.topic()), alias),
            Assigned::Known(alias) => (None, alias),
        };
        let mut properties = message.properties.clone();
        properties.push(Property::TopicAlias(alias));
        let publish = message.packet_with(publish.delivery, topic, properties.as_properties());
        append(&publish, link, &mut self.transmit)
    }

    fn send_subscribe(&mut self, token: Token, command: SubscribeCommand) {
        let filters = command.filters.iter();
        let packet = Packet::Subscribe(Subscribe {
            packet_id: self.session.outbound.next_packet_id(),
            properties: command.properties.as_properties(),
            filters: filters.map(|(f, options)| (TopicFilter::from_checked(f), *options)).collect(),
        });
        match append_packet(&packet, &self.link, &mut self.transmit) {
            Ok(()) => {
                let command = Command::Subscribe(Box::new(command));
                self.session.outbound.request(Pending { token, command });
            }
            Err(failure) => {
                self.events.push_back(Event::SubscribeDone { token, result: Err(failure) });
            }
        }
    }

    fn send_unsubscribe(&mut self, token: Token, command: UnsubscribeCommand) {
        let packet = Packet::Unsubscribe(Unsubscribe {
            packet_id: self.session.outbound.next_packet_id(),
            properties: command.properties.as_properties(),
            filters: command.filters.iter().map(|f| TopicFilter::from_checked(f)).collect(),
        });
        match append_packet(&packet, &self.link, &mut self.transmit) {
            Ok(()) => {
                let command = Command::Unsubscribe(Box::new(command));
                self.session.outbound.request(Pending { token, command });
            }
            Err(failure) => {
                self.events.push_back(Event::UnsubscribeDone { token, result: Err(failure) });
            }
        }
    }
}

fn append(publish: &Publish<'_>, link: &Link, out: &mut Vec<u8>) -> Result<(), Failure> {
    append_packet(&Packet::Publish(publish.clone()), link, out)
}

fn append_packet(packet: &Packet<'_>, link: &Link, out: &mut Vec<u8>) -> Result<(), Failure> {
    let len = codec::encoded_len(packet, link.version).map_err(|_| Failure::NotEncodable)?;
    // [MQTT-3.2.2-15]
    if len > link.server.maximum_packet_size as usize {
        return Err(Failure::TooLarge);
    }
    codec::encode(packet, link.version, out).map_err(|_| Failure::NotEncodable)
}

/// Whether the server takes a message with so many bytes more.
fn fits(publish: &Publish<'_>, link: &Link, more: usize) -> bool {
    codec::encoded_len(&Packet::Publish(publish.clone()), link.version)
        .is_ok_and(|len| len.saturating_add(more) <= link.server.maximum_packet_size as usize)
}

const fn delivery(qos: QoS, packet_id: PacketId, dup: bool) -> Delivery {
    match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup },
        QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup },
    }
}

/// Bytes to gather before they are sent: enough to make a system call worth it.
const TRANSMIT_TARGET: usize = 64 * 1024;
/// What the topic alias may add: the property, and a byte more in each of two lengths.
const ALIAS_LEN: usize = 5;

//! What the server sends.

use super::event::{Cause, Event};
use super::message::{Command, Message, Pending};
use super::options::ServerLimits;
use super::{Connection, State, keep};
use crate::alias::AliasOut;
use crate::codec::{self, AckKind, Framing};
use crate::keep_alive::PingSchedule;
use crate::packet::{Ack, Auth, ConnAck, Delivery, Disconnect, Packet, Publish, SubAck};
use crate::packet_type::PacketType;
use crate::property::{Properties, PropertyId};
use crate::qos::PacketId;
use crate::reason::ReasonCode;
use crate::time::Time;
use crate::version::Version;
use crate::violation::Violation;
use crate::window::{Accepted, Received};

impl Connection {
    /// Takes bytes from the server and says how many: whole packets, and of those only so many
    /// that the events do not pile up. The rest is to be offered again, with what comes behind
    /// it, once events were polled.
    ///
    /// # Errors
    /// The server broke a rule. The connection is closed then, and [`Event::Disconnected`] says
    /// so as well.
    pub fn handle_input(&mut self, now: Time, input: &[u8]) -> Result<usize, Violation> {
        let mut rest = input;
        while self.link.state != State::Closed && self.events.len() < EVENTS_MAX {
            match self.handle_packet(now, rest) {
                Ok(0) => break,
                Ok(len) => rest = rest.get(len..).unwrap_or_default(),
                Err(violation) => {
                    self.close_over(violation);
                    return Err(violation);
                }
            }
        }
        Ok(input.len() - rest.len())
    }

    /// Takes one packet; 0 if it is not all there.
    fn handle_packet(&mut self, now: Time, input: &[u8]) -> Result<usize, Violation> {
        let Framing::Complete { len } = codec::frame(input, self.link.asked.maximum_packet_size)?
        else {
            return Ok(0);
        };
        let frame = input.get(..len).unwrap_or_default();
        let packet = codec::decode_framed(frame, self.link.version)?;
        self.link.ping.received();
        match self.link.state {
            State::Connecting => self.before_connack(now, packet)?,
            State::Open | State::Closed => self.handle_open(packet)?,
        }
        Ok(len)
    }

    fn before_connack(&mut self, now: Time, packet: Packet<'_>) -> Result<(), Violation> {
        match packet {
            Packet::ConnAck(connack) => self.handle_connack(now, &connack),
            Packet::Auth(auth) => self.handle_auth(&auth),
            // [MQTT-3.2.0-1], [MQTT-3.14.0-1]
            _ => Err(Violation::ConnAckMissing { packet_type: packet.packet_type() }),
        }
    }

    fn handle_open(&mut self, packet: Packet<'_>) -> Result<(), Violation> {
        match packet {
            Packet::Publish(publish) => self.handle_publish(&publish),
            Packet::PubAck(ack) => {
                self.handle_puback(&ack);
                Ok(())
            }
            Packet::PubRec(ack) => {
                self.handle_pubrec(&ack);
                Ok(())
            }
            Packet::PubRel(ack) => {
                self.handle_pubrel(&ack);
                Ok(())
            }
            Packet::PubComp(ack) => {
                self.handle_pubcomp(&ack);
                Ok(())
            }
            Packet::SubAck(answer) => self.handle_answer(PacketType::SubAck, answer),
            Packet::UnsubAck(answer) => self.handle_answer(PacketType::UnsubAck, answer),
            Packet::PingResp => Ok(()),
            Packet::Disconnect(disconnect) => self.handle_disconnect(&disconnect),
            Packet::Auth(auth) => self.handle_auth(&auth),
            // [MQTT-3.2.0-2]
            Packet::ConnAck(_) => Err(Violation::ConnAckRepeated),
            Packet::Connect(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::PingReq => {
                Err(Violation::PacketNotAllowedFromServer { packet_type: packet.packet_type() })
            }
        }
    }

    fn handle_connack(&mut self, now: Time, connack: &ConnAck<'_>) -> Result<(), Violation> {
        let properties = keep(connack.properties);
        if connack.reason.is_error() {
            self.link.state = State::Closed;
            self.events.push_back(Event::Refused { reason: connack.reason, properties });
            return Ok(());
        }
        let asked = self.link.asked;
        // [MQTT-3.2.2-2], [MQTT-3.2.2-4]. Without Clean Start a session is not unexpected: the
        // one on the server may have outlived the process here.
        if connack.session_present && asked.clean_start {
            return Err(Violation::SessionPresentUnexpected);
        }
        let link = &mut self.link;
        link.state = State::Open;
        link.server = ServerLimits::from_connack(connack, asked.keep_alive);
        link.ping = PingSchedule::new(link.server.keep_alive, now);
        if asked.topic_aliases {
            // [MQTT-3.2.2-17], [MQTT-3.2.2-18]
            link.alias_out = AliasOut::new(link.server.topic_alias_maximum);
        }
        // [MQTT-3.2.2-16]
        if let Some(assigned) = connack.properties.assigned_client_identifier() {
            self.session.assigned_client_id = Some(assigned.into());
        }
        // MQTT 3.1 does not tell: there the session is what was asked for.
        let told = link.version > Version::V3_1;
        let session_present = if told { connack.session_present } else { !asked.clean_start };
        self.events.push_back(Event::Connected { session_present, properties });
        if session_present {
            self.session.resume();
        } else {
            self.session.start_anew(&mut self.events);
        }
        Ok(())
    }

    fn handle_publish(&mut self, publish: &Publish<'_>) -> Result<(), Violation> {
        let alias = publish.properties.topic_alias();
        let topic = self.link.alias_in.resolve(publish.topic, alias)?;
        match publish.delivery {
            Delivery::AtMostOnce => {
                self.events.push_back(Event::Message(Message::received(topic, publish)));
            }
            Delivery::AtLeastOnce { packet_id, .. } => {
                self.events.push_back(Event::Message(Message::received(topic, publish)));
                // [MQTT-4.3.2-4]
                codec::encode_ack(AckKind::PubAck, packet_id, &mut self.transmit);
            }
            Delivery::ExactlyOnce { packet_id, .. } => {
                let message = Message::received(topic, publish);
                self.receive_exactly_once(packet_id, message)?;
            }
        }
        Ok(())
    }

    fn receive_exactly_once(
        &mut self,
        packet_id: PacketId,
        message: Message,
    ) -> Result<(), Violation> {
        let maximum = self.link.asked.receive_maximum;
        // [MQTT-3.3.4-9]; before 5.0 the server was not told.
        if self.link.unreleased >= maximum && self.link.version.is_v5() {
            return Err(Violation::ReceiveMaximumExceeded { maximum });
        }
        self.link.unreleased = self.link.unreleased.saturating_add(1);
        // [MQTT-4.3.3-10]
        if self.session.inbound.accept(packet_id, ()) == Accepted::New {
            self.events.push_back(Event::Message(message));
        }
        // [MQTT-4.3.3-8]
        codec::encode_ack(AckKind::PubRec, packet_id, &mut self.transmit);
        Ok(())
    }

    fn handle_puback(&mut self, ack: &Ack<'_>) {
        if let Some(Pending { token, .. }) = self.session.outbound.acknowledge(ack.packet_id) {
            self.events.push_back(Event::PublishDone { token, result: Ok(ack.reason) });
        }
    }

    fn handle_pubrec(&mut self, ack: &Ack<'_>) {
        if ack.reason.is_error() {
            if let Some(Pending { token, .. }) = self.session.outbound.refused(ack.packet_id) {
                self.events.push_back(Event::PublishDone { token, result: Ok(ack.reason) });
            }
            return;
        }
        match self.session.outbound.received(ack.packet_id) {
            // [MQTT-4.3.3-4]
            Received::First(Pending { token, .. }) => {
                self.session.releasing.insert(ack.packet_id, token);
                codec::encode_ack(AckKind::PubRel, ack.packet_id, &mut self.transmit);
            }
            Received::Again => {
                codec::encode_ack(AckKind::PubRel, ack.packet_id, &mut self.transmit);
            }
            Received::Unknown => self.answer_unknown(Packet::PubRel, ack.packet_id),
        }
    }

    fn handle_pubrel(&mut self, ack: &Ack<'_>) {
        self.link.unreleased = self.link.unreleased.saturating_sub(1);
        // [MQTT-4.3.3-11]
        if self.session.inbound.release(ack.packet_id).is_some() {
            codec::encode_ack(AckKind::PubComp, ack.packet_id, &mut self.transmit);
        } else {
            self.answer_unknown(Packet::PubComp, ack.packet_id);
        }
    }

    fn handle_pubcomp(&mut self, ack: &Ack<'_>) {
        if self.session.outbound.completed(ack.packet_id)
            && let Some(token) = self.session.releasing.remove(&ack.packet_id)
        {
            self.events.push_back(Event::PublishDone { token, result: Ok(ack.reason) });
        }
    }

    /// Answers about an identifier that is not on its way: the peer recovers by it.
    fn answer_unknown(&mut self, packet: fn(Ack<'static>) -> Packet<'static>, id: PacketId) {
        let ack = Ack {
            packet_id: id,
            reason: ReasonCode::PacketIdentifierNotFound,
            properties: Properties::EMPTY,
        };
        // At most five bytes, which always can be encoded.
        codec::encode(&packet(ack), self.link.version, &mut self.transmit).unwrap_or_default();
    }

    fn handle_answer(
        &mut self,
        packet_type: PacketType,
        answer: SubAck<'_>,
    ) -> Result<(), Violation> {
        let Some(Pending { token, command }) = self.session.outbound.answered(answer.packet_id)
        else {
            return Ok(());
        };
        let answered = answer.reasons.len();
        let asked = match (&command, packet_type) {
            (Command::Subscribe(command), PacketType::SubAck) => command.filters.len(),
            // Before 5.0 an UNSUBACK has no codes.
            (Command::Unsubscribe(_), PacketType::UnsubAck) if !self.link.version.is_v5() => 0,
            (Command::Unsubscribe(command), PacketType::UnsubAck) => command.filters.len(),
            _ => return Err(Violation::PacketNotAllowedFromServer { packet_type }),
        };
        // [MQTT-3.8.4-6], [MQTT-3.9.3-1], [MQTT-3.11.3-1]
        if asked != answered {
            let count = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
            let (asked, answered) = (count(asked), count(answered));
            return Err(Violation::AnswerCountWrong { asked, answered });
        }
        let result = Ok(answer.reasons);
        self.events.push_back(match command {
            Command::Unsubscribe(_) => Event::UnsubscribeDone { token, result },
            Command::Subscribe(_) | Command::Publish(_) => Event::SubscribeDone { token, result },
        });
        Ok(())
    }

    fn handle_disconnect(&mut self, disconnect: &Disconnect<'_>) -> Result<(), Violation> {
        // Before 5.0 only clients send DISCONNECT.
        if !self.link.version.is_v5() {
            let packet_type = PacketType::Disconnect;
            return Err(Violation::PacketNotAllowedFromServer { packet_type });
        }
        // [MQTT-3.14.2-2]
        if disconnect.properties.find(PropertyId::SessionExpiryInterval).is_some() {
            return Err(Violation::SessionExpiryFromServer);
        }
        let properties = keep(disconnect.properties);
        // [MQTT-3.14.4-1]
        self.transmit.clear();
        self.close(Cause::Server { reason: disconnect.reason, properties });
        Ok(())
    }

    fn handle_auth(&mut self, auth: &Auth<'_>) -> Result<(), Violation> {
        // [MQTT-4.12.0-6]
        if !self.link.asked.authentication {
            return Err(Violation::AuthWithoutMethod);
        }
        let properties = keep(auth.properties);
        self.events.push_back(Event::Auth { reason: auth.reason, properties });
        Ok(())
    }
}

/// Events that may wait for the application before no more input is taken.
const EVENTS_MAX: usize = 1_024;

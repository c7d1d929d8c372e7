//! What a client may send, and when.

use super::{Connection, State};
use crate::packet::{Auth, Connect, Disconnect, Packet, Publish};
use crate::packet_type::PacketType;
use crate::property::PropertyId;
use crate::qos::QoS;
use crate::reason::ReasonCode;
use crate::violation::Violation;

impl Connection {
    /// Whether a packet of this type may come now; known from its first byte.
    pub(super) fn check_type(&self, packet_type: PacketType) -> Result<(), Violation> {
        match (self.state, packet_type) {
            (State::Closed, _) => Err(Violation::PacketAfterDisconnect),
            (State::AwaitConnect, PacketType::Connect) => Ok(()),
            // [MQTT-3.1.0-1]
            (State::AwaitConnect, _) => Err(Violation::ConnectMissing { packet_type }),
            // [MQTT-3.1.0-2]
            (_, PacketType::Connect) => Err(Violation::ConnectRepeated),
            (State::Authenticating, PacketType::Auth | PacketType::Disconnect)
            | (State::Open, _) => Ok(()),
            // [MQTT-3.1.2-30]
            (State::Authenticating, _) => {
                Err(Violation::PacketDuringAuthentication { packet_type })
            }
        }
    }

    /// Whether this packet may come now, and what it changes.
    #[inline]
    pub(super) fn check(&mut self, packet: &Packet<'_>) -> Result<(), Violation> {
        match packet {
            Packet::Publish(publish) => self.check_publish(publish),
            Packet::PubAck(_)
            | Packet::PubRec(_)
            | Packet::PubRel(_)
            | Packet::PubComp(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::PingReq => Ok(()),
            _ => self.check_rare(packet),
        }
    }

    #[inline]
    pub(super) fn check_publish(&mut self, publish: &Publish<'_>) -> Result<(), Violation> {
        let qos = publish.delivery.qos();
        let maximum = self.limits.maximum_qos;
        // [MQTT-3.2.2-11]
        if qos > maximum {
            return Err(Violation::QoSAboveMaximum { qos, maximum });
        }
        // [MQTT-3.2.2-14]
        if publish.retain && !self.limits.retain_available {
            return Err(Violation::RetainNotAvailable);
        }
        // [MQTT-3.3.4-6]
        if !publish.properties.is_empty()
            && publish.properties.find(PropertyId::SubscriptionIdentifier).is_some()
        {
            return Err(Violation::SubscriptionIdFromClient);
        }
        // [MQTT-3.3.4-7]
        if qos > QoS::AtMostOnce && self.version.is_v5() {
            let maximum = self.limits.receive_maximum;
            if self.unacknowledged >= maximum {
                return Err(Violation::ReceiveMaximumExceeded { maximum });
            }
            self.unacknowledged += 1;
        }
        Ok(())
    }

    fn check_rare(&mut self, packet: &Packet<'_>) -> Result<(), Violation> {
        match packet {
            Packet::Connect(connect) => self.check_connect(connect),
            Packet::Disconnect(disconnect) => self.check_disconnect(disconnect),
            // [MQTT-4.12.0-7]
            Packet::Auth(_) if !self.asked.authentication => Err(Violation::AuthWithoutMethod),
            Packet::Auth(auth) => self.check_auth(auth),
            _ => Err(Violation::PacketNotAllowedFromClient { packet_type: packet.packet_type() }),
        }
    }

    /// A client goes on with an exchange, or begins one once it is connected [MQTT-3.15.2-1],
    /// [MQTT-4.12.0-3], [MQTT-4.12.1-1].
    fn check_auth(&self, auth: &Auth<'_>) -> Result<(), Violation> {
        match (self.state, auth.reason) {
            (_, ReasonCode::ContinueAuthentication) | (State::Open, ReasonCode::ReAuthenticate) => {
                Ok(())
            }
            (_, reason) => Err(Violation::AuthOutOfTurn { reason }),
        }
    }

    fn check_connect(&mut self, connect: &Connect<'_>) -> Result<(), Violation> {
        // [MQTT-3.1.0-2]
        if self.state != State::AwaitConnect {
            return Err(Violation::ConnectRepeated);
        }
        self.open(connect);
        if let Some(will) = &connect.will {
            let maximum = self.limits.maximum_qos;
            // [MQTT-3.2.2-12]
            if will.qos > maximum {
                return Err(Violation::WillQoSAboveMaximum { qos: will.qos, maximum });
            }
            // [MQTT-3.2.2-13]
            if will.retain && !self.limits.retain_available {
                return Err(Violation::WillRetainNotAvailable);
            }
        }
        Ok(())
    }

    fn check_disconnect(&mut self, disconnect: &Disconnect<'_>) -> Result<(), Violation> {
        let expiry = disconnect.properties.session_expiry_interval().unwrap_or(0);
        if expiry > 0 && self.asked.session_expiry_zero {
            return Err(Violation::SessionExpiryRaised);
        }
        self.state = State::Closed;
        Ok(())
    }
}

use std::collections::VecDeque;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::connect::Connect;
use crate::link::{Event, Link};
use crate::packet::{Ack, Codes, ConnAck, Packet};
use crate::publish::Publish;
use crate::request;
use crate::version::Version;

/// How long a packet that must come may take: generous, for machines that do much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// One TCP connection that sends what the test says and reads strictly.
///
/// Every `expect` panics with what came instead.
#[derive(Debug)]
pub struct RawClient {
    link: Link,
    /// Parsed already, while something that came later was waited for.
    held_back: VecDeque<Packet>,
    next_packet_id: u16,
}

impl RawClient {
    /// A connection on which nothing was sent yet.
    ///
    /// # Panics
    /// When the broker does not accept.
    #[must_use]
    pub fn open(address: SocketAddr, version: Version) -> Self {
        let link = Link::open(address, version).expect("the broker accepts connections");
        Self { link, held_back: VecDeque::new(), next_packet_id: 0 }
    }

    /// Opens, connects and hands over the accepting CONNACK too.
    ///
    /// # Panics
    /// When the answer is not an accepting CONNACK.
    #[must_use]
    pub fn connect(address: SocketAddr, connect: &Connect) -> (Self, ConnAck) {
        let mut client = Self::open(address, connect.version);
        client.send(&connect.bytes());
        let answer = client.expect_connack();
        assert_eq!(answer.code, 0, "{connect:?} was refused");
        (client, answer)
    }

    /// The version this client reads by.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.link.version()
    }

    /// The size of the largest packet that came so far.
    #[must_use]
    pub const fn largest_packet(&self) -> usize {
        self.link.largest_packet()
    }

    /// A packet identifier this client has not used before.
    pub const fn packet_id(&mut self) -> u16 {
        self.next_packet_id += 1;
        self.next_packet_id
    }

    /// Sends bytes. A broker that closed meanwhile is for the next `expect` to notice.
    pub fn send(&mut self, bytes: &[u8]) {
        drop(self.link.send(bytes));
    }

    /// Reads one packet.
    ///
    /// # Panics
    /// When what comes is not a packet.
    pub fn next(&mut self, patience: Duration) -> Event {
        match self.held_back.pop_front() {
            Some(packet) => Event::Packet(packet),
            None => self.read(patience),
        }
    }

    fn read(&mut self, patience: Duration) -> Event {
        let event = self.link.next(patience);
        if event == Event::Closed {
            let unfinished = self.link.unfinished();
            assert!(unfinished.is_empty(), "closed within a packet: {unfinished:02x?}");
        }
        event
    }

    /// The packet that must come now.
    ///
    /// # Panics
    /// When there is none.
    pub fn expect(&mut self) -> Packet {
        match self.next(PATIENCE) {
            Event::Packet(packet) => packet,
            other => panic!("a packet was due, not {other:?}"),
        }
    }

    /// The CONNACK that must come now.
    ///
    /// # Panics
    /// When something else comes.
    pub fn expect_connack(&mut self) -> ConnAck {
        match self.expect() {
            Packet::ConnAck(packet) => packet,
            other => panic!("CONNACK was due, not {other:?}"),
        }
    }

    /// The PUBLISH that must come now; it is not acknowledged.
    ///
    /// # Panics
    /// When something else comes.
    pub fn expect_publish(&mut self) -> Publish {
        match self.expect() {
            Packet::Publish(packet) => packet,
            other => panic!("PUBLISH was due, not {other:?}"),
        }
    }

    /// The PUBLISH that must come now, acknowledged to the end of its QoS. What comes between is
    /// kept for the next to ask.
    ///
    /// # Panics
    /// When something else comes.
    pub fn receive(&mut self) -> Publish {
        let publish = self.expect_publish();
        match publish.qos {
            0 => {}
            1 => self.send(&request::ack(request::PUBACK, publish.packet_id)),
            _ => {
                self.send(&request::ack(request::PUBREC, publish.packet_id));
                self.await_pubrel(publish.packet_id);
                self.send(&request::ack(request::PUBCOMP, publish.packet_id));
            }
        }
        publish
    }

    fn await_pubrel(&mut self, packet_id: u16) {
        let mut before = VecDeque::new();
        loop {
            match self.expect() {
                Packet::PubRel(ack) if ack.packet_id == packet_id => break,
                Packet::Publish(publish) => before.push_back(Packet::Publish(publish)),
                other => panic!("PUBREL was due, not {other:?}"),
            }
        }
        before.append(&mut self.held_back);
        self.held_back = before;
    }

    /// The acknowledgement that must come now, by its first byte; hands over its reason code.
    ///
    /// # Panics
    /// When something else comes.
    pub fn expect_ack(&mut self, first: u8, packet_id: u16) -> u8 {
        let packet = self.expect();
        let ack: &Ack = match (&packet, first) {
            (Packet::PubAck(ack), request::PUBACK)
            | (Packet::PubRec(ack), request::PUBREC)
            | (Packet::PubRel(ack), request::PUBREL)
            | (Packet::PubComp(ack), request::PUBCOMP) => ack,
            _ => panic!("acknowledgement 0x{first:02x} was due, not {packet:?}"),
        };
        assert_eq!(ack.packet_id, packet_id, "acknowledgement 0x{first:02x} of another packet");
        ack.reason
    }

    /// The SUBACK that must come now.
    ///
    /// # Panics
    /// When something else comes.
    pub fn expect_suback(&mut self) -> Codes {
        match self.expect() {
            Packet::SubAck(packet) => packet,
            other => panic!("SUBACK was due, not {other:?}"),
        }
    }

    /// The UNSUBACK that must come now.
    ///
    /// # Panics
    /// When something else comes.
    pub fn expect_unsuback(&mut self) -> Codes {
        match self.expect() {
            Packet::UnsubAck(packet) => packet,
            other => panic!("UNSUBACK was due, not {other:?}"),
        }
    }

    /// The server must close now, without a packet before.
    ///
    /// # Panics
    /// When it does not.
    pub fn expect_close(&mut self) {
        assert_eq!(self.next(PATIENCE), Event::Closed);
    }

    /// The server must end the connection now: in 5.0 after DISCONNECT with one of these reason
    /// codes, before without a word.
    ///
    /// # Panics
    /// When it does not.
    pub fn expect_disconnect(&mut self, reasons: &[u8]) {
        if self.version().is_5() {
            match self.expect() {
                Packet::Disconnect(packet) if reasons.contains(&packet.reason) => {}
                other => panic!("DISCONNECT with one of {reasons:02x?} was due, not {other:?}"),
            }
        }
        self.expect_close();
    }

    /// Nothing may come for this long.
    ///
    /// # Panics
    /// When something does.
    pub fn expect_nothing_for(&mut self, milliseconds: u64) {
        assert_eq!(self.next(Duration::from_millis(milliseconds)), Event::Nothing);
    }

    /// PINGREQ; its PINGRESP must be the next packet, so nothing else was on its way.
    ///
    /// # Panics
    /// When something else comes.
    pub fn ping(&mut self) {
        self.send(&request::PINGREQ);
        assert_eq!(self.expect(), Packet::PingResp);
    }

    /// Subscribes to one filter and waits for the granted QoS.
    ///
    /// # Panics
    /// When another QoS is granted than was asked for.
    pub fn subscribe(&mut self, filter: &str, options: u8) {
        let packet_id = self.packet_id();
        self.send(&request::subscribe(self.version(), packet_id, &[(filter, options)]));
        let answer = self.expect_suback();
        assert_eq!((answer.packet_id, answer.codes), (packet_id, vec![options & 3]));
    }

    /// Unsubscribes from one filter and waits for the answer.
    pub fn unsubscribe(&mut self, filter: &str) -> Codes {
        let packet_id = self.packet_id();
        self.send(&request::unsubscribe(self.version(), packet_id, &[filter]));
        self.expect_unsuback()
    }

    /// Publishes at a QoS and waits for the end of its exchange.
    pub fn publish(&mut self, topic: &str, payload: &str, qos: u8) {
        self.deliver(Publish::new(topic, payload).qos(qos, 0));
    }

    /// Sends a PUBLISH, with a fresh packet identifier where its QoS wants one, and waits for
    /// the end of its exchange.
    pub fn deliver(&mut self, mut publish: Publish) {
        if publish.qos > 0 {
            publish.packet_id = self.packet_id();
        }
        self.send(&publish.bytes(self.version()));
        match publish.qos {
            0 => {}
            1 => {
                self.expect_ack(request::PUBACK, publish.packet_id);
            }
            _ => {
                self.expect_ack(request::PUBREC, publish.packet_id);
                self.send(&request::ack(request::PUBREL, publish.packet_id));
                self.expect_ack(request::PUBCOMP, publish.packet_id);
            }
        }
    }

    /// DISCONNECT, after which the server must close.
    pub fn disconnect(mut self) {
        self.send(&request::disconnect());
        self.expect_close();
    }

    /// Closes without DISCONNECT and waits until the server saw it.
    pub fn drop_connection(mut self) {
        drop(self.link.stream().shutdown(Shutdown::Write));
        while !matches!(self.next(PATIENCE), Event::Closed | Event::Nothing) {}
    }

    /// The socket, for tests that are about the transport.
    #[must_use]
    pub const fn stream(&self) -> &TcpStream {
        self.link.stream()
    }
}

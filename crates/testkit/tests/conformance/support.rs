use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use dunlin_testkit::{Broker, ConnAck, Connect, RawClient, Version};

/// Malformed packet and protocol error: which of the two the standard leaves open in places.
pub(crate) const BROKEN: &[u8] = &[0x81, 0x82];

pub(crate) fn address() -> SocketAddr {
    Broker::shared().address()
}

/// A name nobody else uses, for topics and client identifiers.
pub(crate) fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{what}{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A connection on which nothing was sent yet.
pub(crate) fn open(version: Version) -> RawClient {
    RawClient::open(address(), version)
}

pub(crate) fn connect(packet: &Connect) -> (RawClient, ConnAck) {
    RawClient::connect(address(), packet)
}

/// A connected client with a clean session and nothing special.
pub(crate) fn client(version: Version) -> RawClient {
    connect(&Connect::new(version, &unique("c"))).0
}

/// The CONNACK to a CONNECT that must be refused, after which the connection closes.
pub(crate) fn refused(version: Version, bytes: &[u8]) -> u8 {
    let mut client = open(version);
    client.send(bytes);
    let answer = client.expect_connack();
    assert!(!answer.session_present, "a refusal speaks of a session");
    client.expect_close();
    answer.code
}

/// A CONNECT that is broken must end the connection: without CONNACK before 5.0, in 5.0 with one
/// of these reason codes or none.
pub(crate) fn broken_connect(version: Version, bytes: &[u8]) {
    let mut client = open(version);
    client.send(bytes);
    match client.next(std::time::Duration::from_secs(60)) {
        dunlin_testkit::Event::Closed => {}
        dunlin_testkit::Event::Packet(dunlin_testkit::Packet::ConnAck(answer))
            if version.is_5() && BROKEN.contains(&answer.code) =>
        {
            client.expect_close();
        }
        other => panic!("{bytes:02x?} led to {other:?}"),
    }
}

/// Shows that nothing is on its way to the subscriber: a message that `publisher` sends to
/// `topic` now is the next that comes.
pub(crate) fn nothing_before_marker(
    subscriber: &mut RawClient,
    publisher: &mut RawClient,
    topic: &str,
) {
    let marker = unique("marker");
    publisher.publish(topic, &marker, 0);
    let next = subscriber.receive();
    assert_eq!(next.text(), marker, "{next:?} came and should not have");
}

//! Peers that break the rules, and bytes that mean nothing.

use dunlin_proto::qos::QoS;
use dunlin_proto::version::Version;

use crate::world::{Client, Options, World};

/// A small generator (SplitMix64): tests name their seed.
pub struct Random(pub u64);

impl Random {
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `limit`.
    pub const fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap_or(0)]
    }
}

/// What each broken packet of a 5.0 client is answered with.
const BROKEN: [(&str, &[u8], &str); 21] = [
    ("packet type 0", b"\x00\x00", "MalformedPacket"),
    ("QoS 3", b"\x36\x05\x00\x01t\x00\x01", "MalformedPacket"),
    ("DUP at QoS 0", b"\x38\x04\x00\x01t\x00", "MalformedPacket"),
    ("flags of PINGREQ", b"\xC1\x00", "MalformedPacket"),
    ("flags of SUBSCRIBE", b"\x80\x07\x00\x01\x00\x00\x01t\x00", "MalformedPacket"),
    ("remaining length of five bytes", b"\x30\xFF\xFF\xFF\xFF\x01", "MalformedPacket"),
    ("topic beyond the packet", b"\x30\x03\x00\x09t", "MalformedPacket"),
    ("topic that is not UTF-8", b"\x30\x04\x00\x01\xFF\x00", "MalformedPacket"),
    ("topic with U+0000", b"\x30\x04\x00\x01\x00\x00", "MalformedPacket"),
    ("topic with a wildcard", b"\x30\x04\x00\x01#\x00", "TopicNameInvalid"),
    ("no topic", b"\x30\x03\x00\x00\x00", "ProtocolError"),
    ("packet identifier 0", b"\x32\x06\x00\x01t\x00\x00\x00", "ProtocolError"),
    ("unknown property", b"\x30\x05\x00\x01t\x01\x7F", "MalformedPacket"),
    ("property of another packet", b"\x30\x07\x00\x01t\x03\x13\x00\x01", "MalformedPacket"),
    ("property given twice", b"\x30\x08\x00\x01t\x04\x01\x00\x01\x00", "ProtocolError"),
    ("subscription identifier", b"\x30\x06\x00\x01t\x02\x0B\x01", "ProtocolError"),
    ("SUBSCRIBE without a filter", b"\x82\x03\x00\x01\x00", "ProtocolError"),
    ("filter with # in the middle", b"\x82\x09\x00\x01\x00\x00\x03#/a\x00", "TopicFilterInvalid"),
    ("reserved options", b"\x82\x07\x00\x01\x00\x00\x01t\x80", "MalformedPacket"),
    ("CONNACK", b"\x20\x03\x00\x00\x00", "ProtocolError"),
    ("AUTH without a method", b"\xF0\x00", "ProtocolError"),
];

#[test]
fn broken_packets_end_the_connection_with_a_reason_in_5_and_silently_before() {
    for (what, bytes, reason) in BROKEN {
        let mut world = World::with_shards(2);
        let watcher = world.connect(Options::new("watcher"));
        world.subscribe(watcher, "will", QoS::AtMostOnce);
        let client = world.connect(Options::new("c").will("will", what));
        world.send_bytes(client, bytes);
        assert_eq!(world.take(client), [format!("Disconnect {reason}")], "{what}");
        assert!(!world.is_open(client), "{what}");
        assert_eq!(world.take(watcher), [format!("will {what}")]);
        let client = world.connect(Options::new("c").version(Version::V3_1_1));
        world.send_bytes(client, bytes);
        // Some of these mean something before 5.0.
        let answers = world.take(client);
        assert!(answers.iter().all(|answer| !answer.starts_with("Disconnect")), "{what}");
        world.cut(client);
        world.disconnect(watcher, dunlin_proto::ReasonCode::Success);
        world.assert_empty();
    }
}

#[test]
fn nothing_after_disconnect_is_looked_at() {
    let mut world = World::new();
    let client = world.connect(Options::new("c"));
    world.subscribe(client, "t", QoS::AtMostOnce);
    world.send_bytes(client, b"\xE0\x00\x30\x04\x00\x01t\x00\x00\x00");
    assert!(world.take(client).is_empty());
    assert!(!world.is_open(client));
    world.assert_empty();
}

#[test]
fn packets_in_any_slices_mean_the_same() {
    let stream = b"\x82\x0E\x00\x01\x00\x00\x01a\x00\x00\x04b/#x\x00\x00";
    // The filter is broken on purpose: everything before it must have been answered.
    let whole =
        [&b"\x82\x07\x00\x07\x00\x00\x01a\x01\x32\x07\x00\x01a\x00\x09\x00x\xC0\x00"[..], stream];
    let whole = whole.concat();
    let mut expected: Option<Vec<String>> = None;
    for step in 1..=whole.len() {
        let mut world = World::new();
        let client = world.connect(Options::new("c"));
        for slice in whole.chunks(step) {
            world.send_bytes(client, slice);
        }
        let answers = world.take(client);
        assert_eq!(*expected.get_or_insert_with(|| answers.clone()), answers, "slices of {step}");
    }
    assert_eq!(
        expected.unwrap_or_default(),
        [
            "SubAck #7 [GrantedQoS1]",
            "a x q1 #1",
            "PubAck #9",
            "PingResp",
            "Disconnect TopicFilterInvalid"
        ]
    );
}

#[test]
fn lengths_that_are_longer_than_they_have_to_be_are_not_passed_on() {
    let mut world = World::new();
    let watcher = world.connect(Options::new("watcher"));
    world.subscribe(watcher, "#", QoS::AtLeastOnce);
    let client = world.connect(Options::new("c"));
    let packet = b"\x30\x84\x00\x00\x01t\x00";
    world.send_bytes(client, packet);
    world.send_bytes(client, &[&packet[..], packet, packet].concat());
    for frame in world.take_frames(watcher) {
        assert_eq!(frame, b"\x30\x04\x00\x01t\x00");
    }
}

#[test]
fn a_flood_of_subscriptions_and_their_replays_stays_small() {
    let mut world = World::new();
    let publisher = world.connect(Options::new("p"));
    for number in 0..100 {
        world.retain(publisher, &number.to_string(), "x");
    }
    let client = world.connect(Options::new("c"));
    world.set_reading(client, false);
    for _ in 0..50 {
        world.subscribe_all(client, &["#"; 20]);
    }
    world.set_reading(client, true);
    world.take(client);
    assert_eq!(world.index.subscription_count(), 1);
}

#[test]
fn random_bytes_never_panic() {
    for seed in 0..3000 {
        let mut random = Random(seed);
        let mut world = World::with_shards(2);
        let client = world.open();
        let length = random.below(60);
        let bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        world.send_bytes(client, &bytes);
        world.cut(client);
        world.assert_empty();
    }
}

/// Packets that are right, to be broken.
fn seeds() -> Vec<Vec<u8>> {
    let mut packets: Vec<Vec<u8>> = BROKEN.iter().map(|(_, bytes, _)| bytes.to_vec()).collect();
    packets.extend(
        [
            &b"\x30\x0B\x00\x01t\x06\x26\x00\x01a\x00\x01bxyz"[..],
            b"\x32\x08\x00\x01t\x00\x05\x02\x01\x01",
            b"\x34\x06\x00\x01t\x00\x06\x00",
            b"\x31\x05\x00\x01t\x00x",
            b"\x40\x02\x00\x01",
            b"\x50\x04\x00\x01\x80\x00",
            b"\x62\x02\x00\x06",
            b"\x70\x02\x00\x01",
            b"\x82\x0C\x00\x01\x02\x0B\x07\x00\x01#\x02\x00\x01t\x01",
            b"\x82\x10\x00\x02\x00\x00\x0A$share/g/t\x02",
            b"\xA2\x06\x00\x03\x00\x00\x01#",
            b"\xC0\x00",
            b"\xE0\x07\x04\x05\x11\x00\x00\x00\x09",
        ]
        .map(<[u8]>::to_vec),
    );
    packets
}

fn damage(random: &mut Random, packet: &mut Vec<u8>) {
    for _ in 0..random.below(3) {
        if packet.is_empty() {
            return;
        }
        let place = usize::try_from(random.below(packet.len() as u64)).unwrap_or(0);
        match random.below(4) {
            0 => packet[place] ^= 1 << random.below(8),
            1 => packet[place] = random.next() as u8,
            2 => packet.truncate(place),
            _ => packet.insert(place, random.next() as u8),
        }
    }
}

#[test]
fn damaged_packets_never_panic_and_leave_nothing_behind() {
    let seeds = seeds();
    for seed in 0..2000 {
        let mut random = Random(seed);
        let mut world = World::with_shards(2);
        let version = random.pick(&[Version::V3_1, Version::V3_1_1, Version::V5_0, Version::V5_0]);
        let clients: Vec<Client> = ["a", "b"]
            .iter()
            .map(|id| world.connect(Options::new(id).version(version).will("will", "w")))
            .collect();
        for _ in 0..40 {
            let index = usize::try_from(random.below(seeds.len() as u64)).unwrap_or(0);
            let mut packet = seeds[index].clone();
            damage(&mut random, &mut packet);
            let client = random.pick(&clients);
            if world.is_open(client) {
                world.send_bytes(client, &packet);
            }
        }
        for client in clients {
            world.cut(client);
        }
        // DISCONNECT may have kept a session for a while.
        world.wait_seconds(100_000);
        assert_eq!(world.sum(|stats| stats.clients_connected), 0, "seed {seed}");
        assert_eq!(world.sum(|stats| stats.queued_messages), 0, "seed {seed}");
    }
}

#[test]
fn what_only_looks_like_a_shared_subscription_is_an_ordinary_filter_before_5() {
    for filter in ["$share/g/", "$share//a", "$share/+/a", "$share/g", "$share/"] {
        let mut world = World::new();
        let client = world.connect(Options::new("c").version(Version::V3_1_1));
        let other = world.connect(Options::new("o").version(Version::V3_1_1));
        world.subscribe(client, filter, QoS::AtMostOnce);
        world.publish(other, "a", "x", QoS::AtMostOnce, 0);
        assert!(world.take(client).is_empty(), "{filter}");
        world.unsubscribe(client, filter);
        world.subscribe(client, filter, QoS::AtMostOnce);
        world.cut(client);
    }
}

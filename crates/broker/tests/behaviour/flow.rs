//! Flow control and the limits that receivers name: receive maximum, maximum packet size, slow readers (3.1.2.11, 4.9).

use dunlin_broker::{Drop, Event, Settings};
use dunlin_proto::property::Property;
use dunlin_proto::qos::QoS;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::version::Version;

use crate::world::{Client, Options, World, options};

fn drops(world: &mut World) -> Vec<Drop> {
    let events = world.events().into_iter();
    events
        .filter_map(|event| match event {
            Event::Dropping { cause, .. } => Some(cause),
            _ => None,
        })
        .collect()
}

fn publish_all(world: &mut World, publisher: Client, count: u16, payload: &str, qos: QoS) {
    for id in 1..=count {
        world.publish(publisher, "t", payload, qos, id);
        if qos == QoS::ExactlyOnce {
            world.pubrel(publisher, id);
        }
    }
    world.take(publisher);
}

#[test]
fn qos_2_takes_its_place_in_the_window_until_it_is_complete() {
    for shards in [1, 2] {
        let mut world = World::with_shards(shards);
        let publisher = world.connect(Options::new("p").version(Version::V3_1_1));
        let client = world.connect(Options::new("c").property(Property::ReceiveMaximum(2)));
        world.subscribe(client, "t", QoS::ExactlyOnce);
        publish_all(&mut world, publisher, 4, "x", QoS::ExactlyOnce);
        assert_eq!(world.take(client), ["t x q2 #1", "t x q2 #2"]);
        world.pubrec(client, 1);
        assert_eq!(world.take(client), ["PubRel #1"]);
        world.pubcomp(client, 1);
        assert_eq!(world.take(client), ["t x q2 #3"]);
        world.pubrec_with(client, 2, ReasonCode::UnspecifiedError);
        assert_eq!(world.take(client), ["t x q2 #4"]);
    }
}

#[test]
fn qos_0_passes_a_full_window() {
    let mut world = World::new();
    let publisher = world.connect(Options::new("p"));
    let client = world.connect(Options::new("c").property(Property::ReceiveMaximum(1)));
    world.subscribe(client, "t", QoS::AtLeastOnce);
    publish_all(&mut world, publisher, 2, "one", QoS::AtLeastOnce);
    world.publish(publisher, "t", "zero", QoS::AtMostOnce, 0);
    assert_eq!(world.take(client), ["t one q1 #1", "t zero"]);
}

#[test]
fn the_brokers_own_window_is_kept_where_the_client_names_none_or_a_larger_one() {
    for version in [Version::V3_1_1, Version::V5_0] {
        let settings = Settings { maximum_inflight: 3, ..Settings::default() };
        let mut world = World::with(settings, 1);
        let publisher = world.connect(Options::new("p").version(Version::V3_1_1));
        let client = world.connect(Options::new("c").version(version));
        world.subscribe(client, "t", QoS::AtLeastOnce);
        publish_all(&mut world, publisher, 10, "x", QoS::AtLeastOnce);
        assert_eq!(world.take(client).len(), 3);
        for id in 1..=10 {
            world.puback(client, id);
        }
        assert_eq!(world.take(client).len(), 7);
    }
}

#[test]
fn acknowledgements_out_of_order_free_places_and_identifiers_stay_apart() {
    let mut world = World::new();
    let publisher = world.connect(Options::new("p").version(Version::V3_1_1));
    let client = world.connect(Options::new("c").property(Property::ReceiveMaximum(3)));
    world.subscribe(client, "t", QoS::AtLeastOnce);
    for round in 0..70 {
        for id in 1..=100 {
            world.publish(publisher, "t", "x", QoS::AtLeastOnce, id);
        }
        world.take(publisher);
        // The first message of all is never acknowledged; `Side` checks the rest.
        for _ in 0..100 {
            let mut outstanding = world.outstanding(client);
            outstanding.retain(|id| *id != 1);
            if outstanding.is_empty() {
                break;
            }
            world.puback(client, outstanding[round % outstanding.len()]);
            world.take(client);
        }
    }
    assert!(world.outstanding(client).contains(&1));
}

#[test]
fn a_client_beyond_our_receive_maximum_is_disconnected() {
    let settings = Settings { receive_maximum: 2, ..Settings::default() };
    let mut world = World::with(settings, 1);
    let (client, connack) = world.try_connect(Options::new("c"));
    assert!(connack.ends_with("ReceiveMaximum(2)"), "{connack}");
    for id in 1..=2 {
        world.publish(client, "t", "x", QoS::ExactlyOnce, id);
    }
    // QoS 0 does not count, and QoS 1 is acknowledged at once, but needs a place.
    world.publish(client, "t", "x", QoS::AtMostOnce, 0);
    world.pubrel(client, 1);
    for id in 3..10 {
        world.publish(client, "t", "x", QoS::AtLeastOnce, id);
    }
    world.take(client);
    world.publish(client, "t", "x", QoS::ExactlyOnce, 10);
    world.take(client);
    world.publish(client, "t", "x", QoS::AtLeastOnce, 11);
    assert_eq!(world.take(client), ["Disconnect ReceiveMaximumExceeded"]);
    assert!(!world.is_open(client));
}

#[test]
fn clients_before_5_are_not_held_to_a_receive_maximum_they_cannot_know() {
    let settings = Settings { receive_maximum: 2, ..Settings::default() };
    let mut world = World::with(settings, 1);
    let client = world.connect(Options::new("c").version(Version::V3_1_1));
    for id in 1..=50 {
        world.publish(client, "t", "x", QoS::ExactlyOnce, id);
    }
    assert_eq!(world.take(client).len(), 50);
}

#[test]
fn a_message_too_large_for_its_receiver_is_dropped_for_it_alone() {
    for (shards, qos) in [1, 2].into_iter().flat_map(|shards| {
        [(shards, QoS::AtMostOnce), (shards, QoS::AtLeastOnce), (shards, QoS::ExactlyOnce)]
    }) {
        let mut world = World::with_shards(shards);
        let publisher = world.connect(Options::new("p").version(Version::V3_1_1));
        let small = world.connect(Options::new("small").property(Property::MaximumPacketSize(100)));
        let other = world.connect(Options::new("other"));
        for client in [small, other] {
            world.subscribe(client, "t", qos);
        }
        world.events();
        let large = "x".repeat(200);
        publish_all(&mut world, publisher, 2, &large, qos);
        publish_all(&mut world, publisher, 1, "fits", qos);
        assert_eq!(world.take(small).len(), 1, "{qos:?}");
        assert_eq!(world.take(other).len(), 3);
        let drops = drops(&mut world);
        assert!(
            matches!(drops[..], [Drop::TooLarge { limit: 100, size: 200..220 }]),
            "told once: {drops:?}"
        );
        assert_eq!(world.sum(|stats| stats.dropped_too_large), 2);
        // What was dropped does not hold a place in the window.
        let waiting = if qos == QoS::AtMostOnce { 0 } else { 4 };
        assert_eq!(world.sum(|stats| stats.queued_messages), waiting);
    }
}

#[test]
fn a_too_large_message_is_dropped_from_queue_retained_and_resend_too() {
    let mut world = World::new();
    let publisher = world.connect(Options::new("p").version(Version::V3_1_1));
    let options = Options::new("c").persistent(100);
    let client = world.connect(options.clone());
    world.subscribe(client, "#", QoS::AtLeastOnce);
    let large = "x".repeat(5000);
    world.publish(publisher, "sent", &large, QoS::AtLeastOnce, 1);
    world.take(client);
    world.cut(client);
    world.publish(publisher, "queued", &large, QoS::AtLeastOnce, 2);
    world.retain_with(publisher, "retained", &large, QoS::AtLeastOnce, 3, &[]);
    world.publish(publisher, "small", "x", QoS::AtLeastOnce, 4);
    let client = world.connect(options.property(Property::MaximumPacketSize(1000)));
    assert_eq!(world.take(client), ["small x q1 #4"]);
    world.subscribe(client, "#", QoS::AtLeastOnce);
    assert!(world.take(client).is_empty());
    world.puback(client, 4);
    assert_eq!(world.sum(|stats| stats.queued_messages), 0);
}

#[test]
fn properties_count_for_the_maximum_packet_size() {
    let mut world = World::new();
    let publisher = world.connect(Options::new("p"));
    let client = world.connect(Options::new("c").property(Property::MaximumPacketSize(50)));
    world.subscribe_with(
        client,
        "t",
        options(QoS::AtMostOnce),
        &[Property::SubscriptionIdentifier(268_435_455)],
    );
    world.take(client);
    let (fits, name) = ("n".repeat(33), "n".repeat(34));
    world.publish_with(
        publisher,
        "t",
        "x",
        QoS::AtMostOnce,
        0,
        &[Property::UserProperty(&name, "")],
    );
    world.publish_with(
        publisher,
        "t",
        "x",
        QoS::AtMostOnce,
        0,
        &[Property::UserProperty(&fits, "")],
    );
    assert_eq!(world.take(client).len(), 1);
}

#[test]
fn qos_0_for_a_reader_that_stopped_is_dropped_and_said_once() {
    for shards in [1, 2] {
        let settings = Settings { maximum_output: 10_000, ..Settings::default() };
        let mut world = World::with(settings, shards);
        let publisher = world.connect(Options::new("p"));
        let slow = world.connect(Options::new("slow"));
        let fast = world.connect(Options::new("fast"));
        for client in [slow, fast] {
            world.subscribe(client, "t", QoS::AtMostOnce);
        }
        world.events();
        world.set_reading(slow, false);
        let payload = "x".repeat(1000);
        publish_all(&mut world, publisher, 100, &payload, QoS::AtMostOnce);
        assert_eq!(world.take(fast).len(), 100);
        let said = drops(&mut world);
        assert!(matches!(said[..], [Drop::SlowReader { limit: 10_000, .. }]), "{said:?}");
        world.set_reading(slow, true);
        let taken = world.take(slow).len() as u64;
        assert!((8..=10).contains(&taken), "{taken}");
        assert_eq!(world.sum(|stats| stats.dropped_slow_reader), 100 - taken);
        // It is heard again, and a later time is said again only on the next connection.
        world.publish(publisher, "t", "now", QoS::AtMostOnce, 0);
        assert_eq!(world.take(slow), ["t now"]);
    }
}

#[test]
fn qos_1_for_a_reader_that_stopped_waits_and_comes_in_order() {
    for (shards, qos) in [(1, QoS::AtLeastOnce), (2, QoS::AtLeastOnce), (2, QoS::ExactlyOnce)] {
        let settings = Settings { maximum_output: 10_000, ..Settings::default() };
        let mut world = World::with(settings, shards);
        let publisher = world.connect(Options::new("p").version(Version::V3_1_1));
        let slow = world.connect(Options::new("slow"));
        world.subscribe(slow, "t", qos);
        world.set_reading(slow, false);
        for id in 1..=100 {
            let payload = format!("{id:0>1000}");
            world.publish(publisher, "t", &payload, qos, id);
            world.pubrel(publisher, id);
        }
        world.set_reading(slow, true);
        let taken = world.take(slow);
        let payloads: Vec<usize> = taken
            .iter()
            .map(|packet| packet.split(' ').nth(1).and_then(|p| p.parse().ok()).unwrap_or(0))
            .collect();
        assert_eq!(payloads, (1..=100).collect::<Vec<_>>());
        assert_eq!(world.sum(|stats| stats.publish_dropped), 0);
    }
}

#[test]
fn one_message_larger_than_the_output_budget_still_passes() {
    let settings = Settings { maximum_output: 1000, ..Settings::default() };
    let mut world = World::with(settings, 1);
    let client = world.connect(Options::new("c"));
    world.subscribe(client, "#", QoS::AtLeastOnce);
    let payload = "x".repeat(100_000);
    world.publish(client, "t", &payload, QoS::AtMostOnce, 0);
    world.publish(client, "t", &payload, QoS::AtLeastOnce, 1);
    assert_eq!(world.take(client).len(), 3);
}

#[test]
fn a_connection_that_does_not_take_its_answers_is_not_read() {
    let settings = Settings { maximum_output: 1000, ..Settings::default() };
    let mut world = World::with(settings, 1);
    let client = world.connect(Options::new("c"));
    world.set_reading(client, false);
    for id in 1..=1000 {
        world.publish(client, "t", "x", QoS::AtLeastOnce, id);
    }
    let acknowledged = world.sum(|stats| stats.messages_sent);
    assert!(acknowledged < 300, "{acknowledged}");
    world.set_reading(client, true);
    assert_eq!(world.take(client).len(), 1000);
}

#[test]
fn large_payloads_shared_between_receivers_keep_their_place_in_each_stream() {
    for shards in [1, 2] {
        let mut world = World::with_shards(shards);
        let publisher = world.connect(Options::new("p").version(Version::V3_1_1));
        let clients: Vec<Client> = (0..4)
            .map(|number| {
                let version = if number % 2 == 0 { Version::V5_0 } else { Version::V3_1_1 };
                let id = number.to_string();
                let client = world.connect(Options::new(&id).version(version));
                world.subscribe(client, "#", QoS::AtLeastOnce);
                world.set_reading(client, number < 2);
                client
            })
            .collect();
        let large = "L".repeat(5000);
        let expected: Vec<String> = (1..=20u16)
            .map(|id| {
                let payload = if id % 3 == 0 { "s" } else { &large };
                let qos = if id % 2 == 0 { QoS::AtLeastOnce } else { QoS::AtMostOnce };
                world.publish(publisher, "t", payload, qos, id);
                let tail = if id % 2 == 0 { format!(" q1 #{}", id / 2) } else { String::new() };
                format!("t {payload}{tail}")
            })
            .collect();
        for client in clients {
            world.set_reading(client, true);
            assert!(world.take(client) == expected);
        }
    }
}

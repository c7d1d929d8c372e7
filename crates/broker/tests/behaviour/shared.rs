//! Shared subscriptions: one member of the group gets each message (4.8.2).

use dunlin_proto::property::Property;
use dunlin_proto::qos::QoS;
use dunlin_proto::reason::ReasonCode;
use dunlin_proto::version::Version;

use crate::world::{Client, Options, World, options};

/// A publisher, and members that subscribed in their order.
fn group(shards: u16, members: &[Options<'_>], qos: QoS) -> (World, Client, Vec<Client>) {
    let mut world = World::with_shards(shards);
    let publisher = world.connect(Options::new("publisher").version(Version::V3_1_1));
    let members = members
        .iter()
        .map(|options| {
            let member = world.connect(options.clone());
            world.subscribe(member, "$share/g/t", qos);
            member
        })
        .collect();
    (world, publisher, members)
}

fn publish_all(world: &mut World, publisher: Client, numbers: std::ops::RangeInclusive<u16>) {
    for number in numbers {
        world.publish(publisher, "t", &number.to_string(), QoS::AtLeastOnce, number);
    }
}

/// What waits for a session, without QoS and packet identifiers.
fn payloads(packets: &[String]) -> Vec<&str> {
    packets.iter().filter_map(|packet| packet.split(' ').nth(1)).collect()
}

#[test]
fn members_take_turns_in_the_order_they_subscribed() {
    for shards in [1, 2, 3] {
        let names = [Options::new("a"), Options::new("b"), Options::new("c")];
        let (mut world, publisher, members) = group(shards, &names, QoS::AtMostOnce);
        publish_all(&mut world, publisher, 1..=6);
        assert_eq!(world.take(members[0]), ["t 1", "t 4"]);
        assert_eq!(world.take(members[1]), ["t 2", "t 5"]);
        assert_eq!(world.take(members[2]), ["t 3", "t 6"]);
    }
}

#[test]
fn groups_and_ordinary_subscriptions_each_get_the_message() {
    let mut world = World::with_shards(2);
    let publisher = world.connect(Options::new("publisher"));
    let client = world.connect(Options::new("c"));
    let filters = ["$share/g/t", "$share/h/t", "$share/g/+", "t"];
    for (filter, identifier) in filters.into_iter().zip(1..) {
        let identifier = [Property::SubscriptionIdentifier(identifier)];
        world.subscribe_with(client, filter, options(QoS::AtMostOnce), &identifier);
    }
    world.take(client);
    world.publish(publisher, "t", "x", QoS::AtLeastOnce, 1);
    let mut copies = world.take(client);
    copies.sort();
    let expected: Vec<String> =
        (1..=4).map(|number| format!("t x SubscriptionIdentifier({number})")).collect();
    assert_eq!(copies, expected);
}

#[test]
fn members_that_are_away_are_skipped_while_anybody_is_there() {
    for shards in [1, 2] {
        let names = [Options::new("a").persistent(100), Options::new("b")];
        let (mut world, publisher, members) = group(shards, &names, QoS::AtLeastOnce);
        world.cut(members[0]);
        publish_all(&mut world, publisher, 1..=2);
        assert_eq!(payloads(&world.take(members[1])), ["1", "2"]);
        let back = world.connect(names[0].clone());
        assert!(world.take(back).is_empty());
        publish_all(&mut world, publisher, 3..=4);
        assert_eq!(world.take(back).len(), 1);
        assert_eq!(world.take(members[1]).len(), 1);
    }
}

#[test]
fn when_everybody_is_away_messages_wait() {
    for shards in [1, 2] {
        let names = [Options::new("a").persistent(100), Options::new("b").persistent(100)];
        let (mut world, publisher, members) = group(shards, &names, QoS::AtLeastOnce);
        world.cut(members[0]);
        world.cut(members[1]);
        publish_all(&mut world, publisher, 1..=4);
        let mut all = Vec::new();
        for options in names {
            let back = world.connect(options);
            all.extend(world.take(back));
        }
        let mut all = payloads(&all);
        all.sort_unstable();
        assert_eq!(all, ["1", "2", "3", "4"]);
    }
}

#[test]
fn what_waits_for_a_member_that_leaves_goes_to_those_who_stay() {
    for shards in [1, 2] {
        let slow = Options::new("slow").persistent(100).property(Property::ReceiveMaximum(1));
        let names = [slow.clone(), Options::new("b")];
        let (mut world, publisher, members) = group(shards, &names, QoS::AtLeastOnce);
        publish_all(&mut world, publisher, 1..=6);
        assert_eq!(payloads(&world.take(members[0])), ["1"]);
        assert_eq!(payloads(&world.take(members[1])), ["2", "4", "6"]);
        world.cut(members[0]);
        assert_eq!(payloads(&world.take(members[1])), ["3", "5"]);
        // What was sent already is the member's own until its session ends.
        let back = world.connect(slow);
        assert_eq!(world.take(back), ["t 1 q1 #1 dup"]);
    }
}

#[test]
fn what_waits_for_the_only_member_waits_on_when_it_leaves() {
    for shards in [1, 2] {
        let slow = Options::new("slow").persistent(100).property(Property::ReceiveMaximum(1));
        let (mut world, publisher, members) = group(shards, &[slow], QoS::AtLeastOnce);
        world.subscribe(members[0], "other", QoS::AtLeastOnce);
        publish_all(&mut world, publisher, 1..=3);
        world.publish(publisher, "other", "4", QoS::AtLeastOnce, 4);
        world.cut(members[0]);
        assert_eq!(world.sum(|stats| stats.queued_messages), 4);
        let back = world.connect(Options::new("slow").persistent(100));
        let expected = ["t 1 q1 #1 dup", "t 2 q1 #2", "t 3 q1 #3", "other 4 q1 #4"];
        assert_eq!(world.take(back), expected);
    }
}

#[test]
fn the_end_of_a_session_hands_on_all_but_what_is_in_flight_at_qos_2() {
    for shards in [1, 2] {
        let first = Options::new("a").persistent(10);
        let names = [first, Options::new("b")];
        let (mut world, publisher, members) = group(shards, &names, QoS::ExactlyOnce);
        world.publish(publisher, "t", "one", QoS::AtLeastOnce, 1);
        world.publish(publisher, "t", "b's", QoS::AtLeastOnce, 2);
        world.publish(publisher, "t", "two", QoS::ExactlyOnce, 3);
        world.pubrel(publisher, 3);
        assert_eq!(world.take(members[0]), ["t one q1 #1", "t two q2 #2"]);
        assert_eq!(world.take(members[1]), ["t b's q1 #1"]);
        world.cut(members[0]);
        assert!(world.take(members[1]).is_empty());
        world.wait_seconds(11);
        assert_eq!(world.take(members[1]), ["t one q1 #2"]);
        world.puback(members[1], 1);
        world.puback(members[1], 2);
        assert_eq!(world.sum(|stats| stats.queued_messages), 0);
    }
}

#[test]
fn several_members_may_leave_in_one_moment() {
    // Regression: what the first gave back was counted again for the second.
    let slow = |id| Options::new(id).persistent(10).property(Property::ReceiveMaximum(1));
    let names = [slow("a"), slow("b"), Options::new("c")];
    let (mut world, publisher, members) = group(1, &names, QoS::AtLeastOnce);
    publish_all(&mut world, publisher, 1..=9);
    world.cut_unsettled(members[0]);
    world.cut_unsettled(members[1]);
    world.settle();
    // Two that were sent and not acknowledged, and what the third has not acknowledged.
    assert_eq!(world.sum(|stats| stats.queued_messages), 9);
    world.wait_seconds(11);
    let mut taken = world.take(members[2]);
    taken.sort();
    let mut taken = payloads(&taken);
    taken.sort_unstable();
    assert_eq!(taken, ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert_eq!(world.sum(|stats| stats.queued_messages), 9);
    world.disconnect(members[2], ReasonCode::Success);
    world.disconnect(publisher, ReasonCode::Success);
    world.assert_empty();
}

#[test]
fn a_member_whose_session_ended_in_the_same_turn_loses_nothing() {
    // Regression: the index still named it, and the message went nowhere.
    for shards in [1, 3] {
        let names = [Options::new("a"), Options::new("b"), Options::new("c")];
        let (mut world, publisher, members) = group(shards, &names, QoS::AtLeastOnce);
        world.cut_unsettled(members[0]);
        world.cut_unsettled(members[1]);
        for id in 1..=3 {
            world.publish_unsettled(publisher, "t", &id.to_string(), id);
        }
        world.settle();
        let mut taken = world.take(members[2]);
        taken.sort();
        let mut taken = payloads(&taken);
        taken.sort_unstable();
        assert_eq!(taken, ["1", "2", "3"], "{shards} shards");
    }
}

#[test]
fn nobody_gets_more_after_unsubscribing() {
    for shards in [1, 2] {
        let names = [Options::new("a"), Options::new("b")];
        let (mut world, publisher, members) = group(shards, &names, QoS::AtMostOnce);
        world.unsubscribe(members[0], "$share/g/t");
        publish_all(&mut world, publisher, 1..=2);
        assert!(world.take(members[0]).is_empty());
        assert_eq!(world.take(members[1]), ["t 1", "t 2"]);
        world.unsubscribe(members[1], "$share/g/t");
        publish_all(&mut world, publisher, 3..=3);
        assert!(world.take(members[1]).is_empty());
        assert_eq!(world.index.filter_count(), 0);
    }
}

#[test]
fn a_refused_qos_2_message_is_not_given_to_another_member() {
    let names = [Options::new("a"), Options::new("b")];
    let (mut world, publisher, members) = group(1, &names, QoS::ExactlyOnce);
    world.publish(publisher, "t", "x", QoS::ExactlyOnce, 1);
    world.pubrel(publisher, 1);
    assert_eq!(world.take(members[0]), ["t x q2 #1"]);
    world.pubrec_with(members[0], 1, ReasonCode::UnspecifiedError);
    world.disconnect(members[0], ReasonCode::Success);
    assert!(world.take(members[1]).is_empty());
}

#[test]
fn retained_messages_are_not_sent_to_new_members() {
    let mut world = World::new();
    let client = world.connect(Options::new("c"));
    world.retain(client, "t", "kept");
    world.subscribe(client, "$share/g/t", QoS::AtMostOnce);
    assert!(world.take(client).is_empty());
}

#[test]
fn old_clients_may_share_as_well() {
    let names = [Options::new("a").version(Version::V3_1_1), Options::new("b")];
    let (mut world, publisher, members) = group(2, &names, QoS::AtMostOnce);
    publish_all(&mut world, publisher, 1..=2);
    assert_eq!(world.take(members[0]), ["t 1"]);
    assert_eq!(world.take(members[1]), ["t 2"]);
}

#[test]
fn malformed_share_names_and_no_local_are_refused() {
    for (filter, reason) in [
        ("$share//t", "TopicFilterInvalid"),
        ("$share/+/t", "TopicFilterInvalid"),
        ("$share/g", "TopicFilterInvalid"),
    ] {
        let mut world = World::new();
        let client = world.connect(Options::new("c"));
        world.subscribe_with(client, filter, options(QoS::AtMostOnce), &[]);
        assert_eq!(world.take(client), [format!("Disconnect {reason}")], "{filter}");
        assert!(!world.is_open(client));
    }
    let mut world = World::new();
    let client = world.connect(Options::new("c"));
    let mut wish = options(QoS::AtMostOnce);
    wish.no_local = true;
    world.subscribe_with(client, "$share/g/t", wish, &[]);
    assert_eq!(world.take(client), ["Disconnect ProtocolError"]);
}

//! The subscription index.

use proptest::prelude::*;

use super::{any_filter, any_topic, filter, session, subscriber, topic};
use crate::router::{Index, Matches, Subscriber};

/// Every subscription in a list.
#[derive(Default)]
struct Model(Vec<Row>);

#[derive(Clone, Debug, PartialEq)]
struct Row {
    filter: String,
    group: Option<&'static str>,
    subscriber: Subscriber,
    online: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Subscribe { filter: usize, group: Option<&'static str>, slot: u32, online: bool },
    Unsubscribe { filter: usize, group: Option<&'static str>, slot: u32 },
    SetOnline { filter: usize, group: &'static str, slot: u32, online: bool },
}

const GROUPS: [&str; 2] = ["g", "h"];

fn any_change() -> impl Strategy<Value = Change> {
    let group = || prop::option::weighted(0.3, prop::sample::select(&GROUPS));
    let filter = || any::<usize>();
    // Few sessions share many filters; now and then one of many, so that rosters become indexed.
    let slot = || prop_oneof![0..4u32, 0..60u32];
    prop_oneof![
        3 => (filter(), group(), slot(), any::<bool>()).prop_map(|(filter, group, slot, online)| {
            Change::Subscribe { filter, group, slot, online }
        }),
        2 => (filter(), group(), slot())
            .prop_map(|(filter, group, slot)| Change::Unsubscribe { filter, group, slot }),
        1 => (filter(), prop::sample::select(&GROUPS), slot(), any::<bool>()).prop_map(
            |(filter, group, slot, online)| Change::SetOnline { filter, group, slot, online }
        ),
    ]
}

impl Model {
    fn find(&self, filter: &str, group: Option<&str>, slot: u32) -> Option<usize> {
        self.0.iter().position(|row| {
            (row.filter.as_str(), row.group) == (filter, group)
                && row.subscriber.session == session(slot)
        })
    }

    /// Makes the same change here and there, and compares what is said about it.
    fn apply(&mut self, index: &mut Index, change: &Change, filters: &[String], identifier: u32) {
        let name = |n: usize| filters[n % filters.len()].as_str();
        let version = index.version();
        match *change {
            Change::Subscribe { filter: n, group, slot, online } => {
                let subscriber = subscriber(slot, identifier);
                let existed = match group {
                    Some(group) => {
                        index.subscribe_shared(group, filter(name(n)), subscriber, online)
                    }
                    None => index.subscribe(filter(name(n)), subscriber),
                };
                let row = Row { filter: name(n).into(), group, subscriber, online };
                let known = self.find(name(n), group, slot);
                assert_eq!(existed, known.is_some());
                match known {
                    Some(known) => self.0[known] = row,
                    None => self.0.push(row),
                }
                assert_ne!(version, index.version());
            }
            Change::Unsubscribe { filter: n, group, slot } => {
                let existed = remove(index, name(n), group, slot);
                let known = self.find(name(n), group, slot);
                assert_eq!(existed, known.is_some());
                assert_eq!(existed, version != index.version());
                known.map(|known| self.0.remove(known));
            }
            Change::SetOnline { filter: n, group, slot, online } => {
                index.set_online(group, filter(name(n)), session(slot), online);
                if let Some(known) = self.find(name(n), Some(group), slot) {
                    self.0[known].online = online;
                }
            }
        }
    }

    fn check(&self, index: &Index, name: &str) {
        let mut matches = Matches::default();
        index.matches(topic(name), &mut matches);
        let expected: Vec<_> =
            self.0.iter().filter(|row| filter(&row.filter).matches(topic(name))).collect();
        let key = |s: &Subscriber| (s.session, s.identifier);
        let mut plain: Vec<_> = expected
            .iter()
            .filter(|row| row.group.is_none())
            .map(|row| key(&row.subscriber))
            .collect();
        let mut found: Vec<_> = matches.plain.iter().map(key).collect();
        plain.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, plain, "{name}");

        // The groups are told apart by who takes turns in them.
        let mut groups: Vec<(&str, Option<&str>)> = Vec::new();
        for row in expected.iter().filter(|row| row.group.is_some()) {
            groups.push((&row.filter, row.group));
        }
        groups.sort_unstable();
        groups.dedup();
        let mut turns: Vec<Vec<_>> = groups.iter().map(|group| self.turns(*group)).collect();
        let mut found: Vec<Vec<_>> = Vec::new();
        for group in &matches.groups {
            let mut taken: Vec<_> =
                (0..120).filter_map(|_| index.pick(*group, None)).map(|s| key(&s)).collect();
            taken.sort_unstable();
            taken.dedup();
            found.push(taken);
        }
        turns.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, turns, "{name}");
    }

    /// Those who take turns in a group.
    fn turns(&self, (filter, group): (&str, Option<&str>)) -> Vec<(super::SessionKey, u32)> {
        let members =
            || self.0.iter().filter(|row| (row.filter.as_str(), row.group) == (filter, group));
        let anybody = members().any(|row| row.online);
        let mut turns: Vec<_> = members()
            .filter(|row| row.online || !anybody)
            .map(|row| (row.subscriber.session, row.subscriber.identifier))
            .collect();
        turns.sort_unstable();
        turns
    }
}

/// Takes up `count` of the shapes that are served fast, with filters that match nothing here.
fn crowd(count: usize) -> Vec<String> {
    let name =
        |plus| (0..32).map(|level| if level == plus { "+" } else { "q" }).collect::<Vec<_>>();
    (0..count).map(|plus| name(plus).join("/")).collect()
}

fn remove(index: &mut Index, name: &str, group: Option<&str>, slot: u32) -> bool {
    match group {
        Some(group) => index.unsubscribe_shared(group, filter(name), session(slot)),
        None => index.unsubscribe(filter(name), session(slot)),
    }
}

#[test]
fn everything_is_found_when_nothing_else_is_of_a_rare_shape() {
    // `#` came when all fast shapes were taken, so it is at the root of the trie, which has no nodes.
    let mut index = Index::new(1);
    for name in crowd(33) {
        index.subscribe(filter(&name), subscriber(999, 0));
    }
    index.unsubscribe(filter(&crowd(33)[32]), session(999));
    index.subscribe(filter("#"), subscriber(1, 5));
    let mut matches = Matches::default();
    index.matches(topic("a/b"), &mut matches);
    assert_eq!(matches.plain, [subscriber(1, 5)]);
}

proptest! {
    #[test]
    fn agrees_with_a_list_of_filters(
        seed in any::<u64>(),
        crowding in prop::sample::select(&[0, 0, 30, 32, 33]),
        filters in prop::collection::vec(any_filter(), 1..24),
        changes in prop::collection::vec(any_change(), 0..160),
        topics in prop::collection::vec(any_topic(), 1..24),
    ) {
        let mut index = Index::new(seed);
        let mut model = Model::default();
        let crowd = crowd(crowding);
        for name in &crowd {
            index.subscribe(filter(name), subscriber(999, 0));
        }
        for (n, change) in changes.iter().enumerate() {
            // Half way through the crowd leaves: later filters may be held otherwise than earlier ones.
            if n == 80 {
                crowd.iter().for_each(|name| assert!(remove(&mut index, name, None, 999)));
            }
            model.apply(&mut index, change, &filters, n as u32);
        }
        if changes.len() <= 80 {
            crowd.iter().for_each(|name| assert!(remove(&mut index, name, None, 999)));
        }
        let distinct: std::collections::BTreeSet<_> = model.0.iter().map(|row| &row.filter).collect();
        prop_assert_eq!(index.filter_count(), distinct.len());
        prop_assert_eq!(index.subscription_count(), model.0.len());
        prop_assert_eq!(index.shared_count(), model.0.iter().filter(|row| row.group.is_some()).count());
        for name in &topics {
            model.check(&index, name);
        }
        // Filters without wildcards are topics too, and the ones likeliest to match.
        for name in filters.iter().filter(|name| !name.contains(['+', '#'])) {
            model.check(&index, name);
        }
        for row in &model.0 {
            prop_assert!(remove(&mut index, &row.filter, row.group, row.subscriber.session.slot));
        }
        let counts = (index.filter_count(), index.subscription_count(), index.node_count());
        prop_assert_eq!(counts, (0, 0, 0));
    }

    #[test]
    fn the_answer_does_not_depend_on_the_seed(
        seeds in any::<(u64, u64)>(),
        filters in prop::collection::vec(any_filter(), 1..24),
        changes in prop::collection::vec(any_change(), 0..80),
        topics in prop::collection::vec(any_topic(), 1..24),
    ) {
        let answers = |seed| {
            let mut index = Index::new(seed);
            let mut model = Model::default();
            for (n, change) in changes.iter().enumerate() {
                model.apply(&mut index, change, &filters, n as u32);
            }
            let answer = |name: &String| {
                let mut matches = Matches::default();
                index.matches(topic(name), &mut matches);
                (matches.plain, matches.groups)
            };
            topics.iter().map(answer).collect::<Vec<_>>()
        };
        prop_assert_eq!(answers(seeds.0), answers(seeds.1));
    }
}

fn slots(index: &Index, name: &str) -> Vec<u32> {
    let mut matches = Matches::default();
    index.matches(topic(name), &mut matches);
    matches.plain.iter().map(|subscriber| subscriber.session.slot).collect()
}

#[test]
fn a_message_goes_out_once_for_each_subscription_that_matches() {
    let mut index = Index::new(0);
    for (identifier, name) in ["a/b", "a/+", "a/#", "#", "a/b/#", "+/b", "b"].iter().enumerate() {
        assert!(!index.subscribe(filter(name), subscriber(1, identifier as u32)));
    }
    let mut matches = Matches::default();
    index.matches(topic("a/b"), &mut matches);
    let mut identifiers: Vec<_> = matches.plain.iter().map(|s| s.identifier).collect();
    identifiers.sort_unstable();
    assert_eq!(identifiers, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn the_newest_subscription_to_a_filter_replaces_the_options() {
    let mut index = Index::new(0);
    assert!(!index.subscribe(filter("a"), subscriber(1, 5)));
    assert!(index.subscribe(filter("a"), subscriber(1, 6)));
    let mut matches = Matches::default();
    index.matches(topic("a"), &mut matches);
    assert_eq!(matches.plain, [subscriber(1, 6)]);
}

#[test]
fn subscribers_of_a_filter_come_in_the_order_they_subscribed() {
    let mut index = Index::new(0);
    for slot in [4, 2, 9, 1] {
        index.subscribe(filter("a"), subscriber(slot, 0));
    }
    assert_eq!(slots(&index, "a"), [4, 2, 9, 1]);
    // One that leaves is replaced by the newest.
    index.unsubscribe(filter("a"), session(2));
    assert_eq!(slots(&index, "a"), [4, 1, 9]);
}

#[test]
fn hidden_topics_are_not_for_wildcards_at_the_root() {
    let mut index = Index::new(0);
    for (slot, name) in (0..).zip(["#", "+/a", "$SYS/#", "$SYS/+", "+/#"]) {
        index.subscribe(filter(name), subscriber(slot, 0));
    }
    let mut found = slots(&index, "$SYS/a");
    found.sort_unstable();
    assert_eq!(found, [2, 3]);
}

#[test]
fn members_of_a_group_take_turns_and_those_online_come_first() {
    let mut index = Index::new(0);
    for slot in 1..=3 {
        index.subscribe_shared("g", filter("a/+"), subscriber(slot, 0), true);
    }
    let mut matches = Matches::default();
    index.matches(topic("a/b"), &mut matches);
    let [group] = matches.groups[..] else { panic!("one group") };
    let pick = |index: &Index, exclude| index.pick(group, exclude).map(|s| s.session.slot);
    let six: Vec<_> = (0..6).filter_map(|_| pick(&index, None)).collect();
    assert_eq!(six, [1, 2, 3, 1, 2, 3]);

    index.set_online("g", filter("a/+"), session(2), false);
    assert!((0..9).all(|_| pick(&index, None) != Some(2)));
    // Who gave the message back does not get it again while there is another.
    assert!((0..9).all(|_| pick(&index, Some(session(1))) == Some(3)));
    index.set_online("g", filter("a/+"), session(1), false);
    assert_eq!(pick(&index, Some(session(3))).map(|slot| slot < 3), Some(true));
    index.set_online("g", filter("a/+"), session(3), false);
    let mut offline: Vec<_> = (0..3).filter_map(|_| pick(&index, None)).collect();
    offline.sort_unstable();
    assert_eq!(offline, [1, 2, 3]);

    for slot in 1..=3 {
        assert!(index.unsubscribe_shared("g", filter("a/+"), session(slot)));
    }
    assert_eq!(pick(&index, None), None);
    // The number of a group that is gone is not taken for a later one in its place.
    index.subscribe_shared("g", filter("a/+"), subscriber(1, 0), true);
    assert_eq!(pick(&index, None), None);
}

#[test]
fn the_only_member_does_not_get_back_what_it_gave_back() {
    let mut index = Index::new(0);
    index.subscribe_shared("g", filter("a"), subscriber(1, 0), true);
    let mut matches = Matches::default();
    index.matches(topic("a"), &mut matches);
    assert_eq!(index.pick(matches.groups[0], Some(session(1))), None);
    assert_eq!(index.pick(matches.groups[0], None), Some(subscriber(1, 0)));
}

#[test]
fn ten_thousand_clients_leave_one_filter() {
    let mut index = Index::new(0);
    for slot in 0..10_000 {
        index.subscribe(filter("site/+/news"), subscriber(slot, 0));
    }
    assert_eq!(slots(&index, "site/1/news").len(), 10_000);
    for slot in 0..10_000 {
        assert!(index.unsubscribe(filter("site/+/news"), session(slot)));
    }
    assert_eq!((index.node_count(), index.subscription_count()), (0, 0));
}

/// Filters as deep as a topic can be, and one for every way to put `+` into sixteen levels.
#[test]
fn hostile_filters_are_found_and_leave_nothing_behind() {
    let mut index = Index::new(0);
    let deepest = "a/".repeat(30_000) + "a";
    index.subscribe(filter(&deepest), subscriber(0, 0));
    index.subscribe(filter(&"+/".repeat(30_000)), subscriber(1, 0));
    assert_eq!(slots(&index, &deepest), [0]);
    let combination = |bits: u32| {
        let level = |n: u32| if bits >> n & 1 == 1 { "+" } else { "a" };
        (0..12).map(level).collect::<Vec<_>>().join("/")
    };
    for bits in 0..1 << 12 {
        index.subscribe(filter(&combination(bits)), subscriber(bits, 0));
    }
    assert_eq!(slots(&index, &combination(0)).len(), 1 << 12);
    for bits in 0..1 << 12 {
        assert!(index.unsubscribe(filter(&combination(bits)), session(bits)));
    }
    assert!(index.unsubscribe(filter(&deepest), session(0)));
    assert!(index.unsubscribe(filter(&"+/".repeat(30_000)), session(1)));
    assert_eq!(index.node_count(), 0);
}

/// Filters come and go for long: neither filters nor texts pile up, whichever way they are held.
#[test]
fn memory_follows_what_is_subscribed() {
    for crowd in [vec![], crowd(32)] {
        let mut index = Index::new(0);
        for name in &crowd {
            index.subscribe(filter(name), subscriber(999, 0));
        }
        let name = |n: u32| format!("site/{n}/{}", "x".repeat(n as usize % 50));
        for n in 0..60_000 {
            index.subscribe(filter(&name(n)), subscriber(1, 0));
            if n >= 5_000 {
                assert!(index.unsubscribe(filter(&name(n - 5_000)), session(1)));
            }
        }
        assert_eq!(index.filter_count(), 5_000 + crowd.len());
        assert_eq!(index.node_count(), if crowd.is_empty() { 0 } else { 5_000 });
        assert!(index.memory_bytes() < 5_000 * 300, "{}", index.memory_bytes());
        for n in 55_000..60_000 {
            assert_eq!(slots(&index, &name(n)), [1]);
            assert!(index.unsubscribe(filter(&name(n)), session(1)));
        }
        for name in &crowd {
            assert!(index.unsubscribe(filter(name), session(999)));
        }
        assert!(index.memory_bytes() < 10_000, "{}", index.memory_bytes());
    }
}

#[test]
fn names_the_filters_that_a_topic_just_misses() {
    let mut index = Index::new(0);
    let names = [
        "Site/+/temp",
        "site//7/temp",
        "site/7/line/temp",
        "site/+/+/temp/#",
        "b/#",
        "site/7/Temp",
    ];
    for (slot, name) in (0..).zip(names) {
        index.subscribe(filter(name), subscriber(slot, 0));
    }
    let near = index.nearest(topic("site/7/temp"), 10);
    let expected =
        ["Site/+/temp", "site/7/Temp", "site//7/temp", "site/+/+/temp/#", "site/7/line/temp"];
    assert_eq!(near, expected);
    assert_eq!(index.nearest(topic("site/7/temp"), 2), expected[..2]);
    index.subscribe(filter("site/7/temp"), subscriber(9, 0));
    assert_eq!(index.nearest(topic("site/7/temp"), 10), expected);
}

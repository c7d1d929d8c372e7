//! The retained store.

use std::collections::BTreeMap;

use dunlin_proto::Time;
use proptest::prelude::*;

use super::{any_filter, any_topic, filter, topic};
use crate::router::Retained;

#[derive(Clone, Debug)]
enum Change {
    Put { topic: usize, expires: Option<u64> },
    Remove { topic: usize },
    Expire { budget: usize },
}

fn any_change() -> impl Strategy<Value = Change> {
    let expires = || prop::option::of(0..100u64);
    prop_oneof![
        4 => (any::<usize>(), expires()).prop_map(|(topic, expires)| Change::Put { topic, expires }),
        1 => any::<usize>().prop_map(|topic| Change::Remove { topic }),
        1 => (0..4usize).prop_map(|budget| Change::Expire { budget }),
    ]
}

/// A message is its topic and the number of the change that put it there.
type Message = (String, usize);

/// Each topic's message and when it expires.
#[derive(Default)]
struct Model(BTreeMap<String, (Message, u64)>);

impl Model {
    fn apply(
        &mut self,
        store: &mut Retained<Message>,
        change: &Change,
        names: &[String],
        n: usize,
        now: u64,
    ) {
        match *change {
            Change::Put { topic: at, expires } => {
                let name = &names[at % names.len()];
                let message = (name.clone(), n);
                let old = store.put(
                    topic(name),
                    expires.map(Time::from_micros),
                    name.len(),
                    message.clone(),
                );
                let known = self.0.insert(name.clone(), (message, expires.unwrap_or(u64::MAX)));
                assert_eq!(old, known.map(|(message, _)| message));
            }
            Change::Remove { topic: at } => {
                let name = &names[at % names.len()];
                let known = self.0.remove(name).map(|(message, _)| message);
                assert_eq!(store.remove(topic(name)), known);
            }
            Change::Expire { budget } => {
                let before = self.0.len();
                let dropped = store.expire(Time::from_micros(now), budget);
                assert!(dropped <= budget);
                self.0.retain(|name, (_, expires)| {
                    *expires > now || store.get(topic(name)).is_some()
                });
                assert_eq!(before - self.0.len(), dropped);
            }
        }
        assert_eq!(store.count(), self.0.len());
        assert_eq!(store.bytes(), self.0.keys().map(String::len).sum::<usize>());
    }
}

proptest! {
    #[test]
    fn pages_give_every_lasting_topic_once_though_others_change(
        seed in any::<u64>(),
        names in prop::collection::vec(any_topic(), 1..40),
        before in prop::collection::vec(any_change(), 0..80),
        between in prop::collection::vec(any_change(), 0..40),
        pattern in any_filter(),
        limit in 1..5usize,
        now in 0..100u64,
    ) {
        let mut store = Retained::new(seed);
        let mut model = Model::default();
        for (n, change) in before.iter().enumerate() {
            model.apply(&mut store, change, &names, n, now);
        }
        let matching = |model: &Model| -> Vec<String> {
            let live = model.0.iter().filter(|(_, (_, expires))| *expires > now);
            live.map(|(name, _)| name.clone()).filter(|name| filter(&pattern).matches(topic(name))).collect()
        };
        let mut lasting = matching(&model);
        let mut ever = lasting.clone();
        let mut given: Vec<Message> = Vec::new();
        let mut between = between.iter().enumerate();
        let mut cursor = None;
        loop {
            let start = given.len();
            cursor = store.page(filter(&pattern), cursor.as_ref(), limit, Time::from_micros(now), &mut given);
            prop_assert!(given.len() - start <= limit);
            for (name, n) in &given[start..] {
                prop_assert_eq!(model.0.get(name).map(|((_, n), _)| *n), Some(*n));
            }
            if cursor.is_none() {
                break;
            }
            for (n, change) in between.by_ref().take(3) {
                model.apply(&mut store, change, &names, 1_000 + n, now);
                let matching = matching(&model);
                lasting.retain(|name| matching.contains(name));
                ever.extend(matching);
            }
        }
        let mut given: Vec<_> = given.into_iter().map(|(name, _)| name).collect();
        let order = |name: &String| name.replace('/', "\0");
        prop_assert!(given.is_sorted_by_key(order));
        given.sort_unstable();
        prop_assert!(given.windows(2).all(|pair| pair[0] != pair[1]));
        prop_assert!(lasting.iter().all(|name| given.contains(name)));
        prop_assert!(given.iter().all(|name| ever.contains(name)));
    }
}

fn all(store: &Retained<u32>, pattern: &str, now: u64) -> Vec<u32> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        cursor =
            store.page(filter(pattern), cursor.as_ref(), 100, Time::from_micros(now), &mut found);
        if cursor.is_none() {
            return found;
        }
    }
}

#[test]
fn expired_messages_are_neither_given_nor_kept() {
    let mut store = Retained::new(0);
    let at = |micros| Some(Time::from_micros(micros));
    store.put(topic("a"), at(10), 1, 1);
    store.put(topic("b"), at(20), 1, 2);
    store.put(topic("c"), None, 1, 3);
    // Replaced by one that lasts longer, and by one that does not.
    store.put(topic("a"), at(30), 1, 4);
    store.put(topic("b"), at(5), 1, 5);
    assert_eq!(store.next_deadline(), at(5));
    assert_eq!(all(&store, "+", 4), [4, 5, 3]);
    assert_eq!(all(&store, "+", 5), [4, 3]);
    assert_eq!((all(&store, "b", 4), all(&store, "b", 5)), (vec![5], vec![]));
    assert_eq!(store.expire(Time::from_micros(15), 100), 1);
    assert_eq!((store.count(), store.bytes(), store.next_deadline()), (2, 2, at(30)));
    assert_eq!(store.expire(Time::from_micros(30), 100), 1);
    assert_eq!((store.next_deadline(), store.get(topic("c"))), (None, Some(&3)));
}

#[test]
fn hidden_topics_are_not_for_wildcards_at_the_root() {
    let mut store = Retained::new(0);
    for (n, name) in (0..).zip(["!", "$SYS/a", "$SYS/b", "%", "a"]) {
        store.put(topic(name), None, 0, n);
    }
    assert_eq!(all(&store, "#", 0), [0, 3, 4]);
    assert_eq!(all(&store, "+/a", 0), []);
    assert_eq!(all(&store, "$SYS/#", 0), [1, 2]);
}

/// A page that looks at much and finds little ends early, and the next goes on behind it.
#[test]
fn a_page_looks_at_a_bounded_number_of_topics() {
    let mut store = Retained::new(0);
    for n in 0..5_000 {
        store.put(topic(&format!("site/{n}/a")), None, 0, n);
    }
    store.put(topic("site/zzz/b"), None, 0, 77);
    let mut found = Vec::new();
    let cursor = store.page(filter("site/+/b"), None, 10, Time::ZERO, &mut found);
    assert!(cursor.is_some() && found.is_empty());
    assert_eq!(all(&store, "site/+/b", 0), [77]);
}

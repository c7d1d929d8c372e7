//! The router against models that are too simple to be wrong.

use dunlin_proto::qos::QoS;
use dunlin_proto::topic::{TopicFilter, TopicName};
use proptest::prelude::*;

use super::{SessionKey, Subscriber};

mod index;
mod retained;

fn filter(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).unwrap()
}

fn topic(text: &str) -> TopicName<'_> {
    TopicName::new(text).unwrap()
}

fn session(slot: u32) -> SessionKey {
    SessionKey { shard: (slot % 3) as u16, slot, generation: 7 }
}

fn subscriber(slot: u32, identifier: u32) -> Subscriber {
    let session = session(slot);
    Subscriber {
        session,
        identifier,
        qos: QoS::AtLeastOnce,
        no_local: false,
        retain_as_published: true,
    }
}

/// Topics of few and easily confused levels, sometimes longer than the longest run of the trie.
fn any_topic() -> impl Strategy<Value = String> {
    let levels =
        prop::collection::vec(prop::sample::select(&["", "a", "b", "A", "$x", "a\u{1}"]), 1..6);
    let long = prop::collection::vec(prop::sample::select(&["a", "b"]), 31..70);
    prop_oneof![19 => levels, 1 => long]
        .prop_map(|levels| levels.join("/"))
        .prop_filter("a topic is not empty", |topic| !topic.is_empty())
}

/// A topic with some levels replaced by wildcards.
fn any_filter() -> impl Strategy<Value = String> {
    (any_topic(), any::<u64>(), prop_oneof![Just(""), Just("#"), Just("/#")]).prop_map(
        |(topic, plus, end)| {
            let wild = |(n, level)| if plus >> (n * 2 % 64) & 3 == 0 { "+" } else { level };
            let levels: Vec<_> = topic.split('/').enumerate().map(wild).collect();
            match end {
                "#" => [&levels[..levels.len() - 1], &["#"]].concat().join("/"),
                end => levels.join("/") + end,
            }
        },
    )
}

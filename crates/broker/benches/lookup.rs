//! What it costs to find who is subscribed to a topic: `lookup FILTERS ROUNDS` looks up a thousand topics,
//! spread over that many filters, in each round.
//!
//! Small and without clock, so that instructions can be counted; `router` measures time and memory.
#![allow(missing_docs, clippy::print_stdout, reason = "a program that prints what it found")]

use dunlin_broker::router::Matches;
use dunlin_broker::{Index, SessionKey, Subscriber};
use dunlin_proto::qos::QoS;
use dunlin_proto::topic::{TopicFilter, TopicName};

const TOPICS: usize = 1000;

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let filters = numbers.next().unwrap_or(1000);
    let rounds = numbers.next().unwrap_or(100);
    let mut index = Index::new(1);
    for number in 0..filters {
        let filter = filter(number);
        let filter = TopicFilter::new(&filter).expect("valid filter");
        index.subscribe(filter, subscriber(number));
    }
    let topics: Vec<String> = (0..TOPICS).map(|number| topic(number * 7919 % filters)).collect();
    let mut matches = Matches::default();
    let mut found = 0;
    for _ in 0..rounds {
        for topic in &topics {
            index.matches(TopicName::new(topic).expect("valid topic"), &mut matches);
            found += matches.plain.len();
        }
    }
    println!("{found} subscribers found in {filters} filters");
}

fn topic(machine: usize) -> String {
    format!("site/{}/line/{}/machine/{machine}/temp", machine % 10, machine % 100)
}

/// Eight in ten exact, one with `+`, one with `#`.
fn filter(machine: usize) -> String {
    let (site, line) = (machine % 10, machine % 100);
    match machine / 100 % 10 {
        0 => format!("site/+/line/{line}/machine/{machine}/temp"),
        1 => format!("site/{site}/line/{line}/machine/{machine}/#"),
        _ => topic(machine),
    }
}

fn subscriber(number: usize) -> Subscriber {
    let slot = u32::try_from(number % 1000).expect("small");
    Subscriber {
        session: SessionKey { shard: 0, slot, generation: 0 },
        identifier: 0,
        qos: QoS::AtMostOnce,
        no_local: false,
        retain_as_published: false,
    }
}

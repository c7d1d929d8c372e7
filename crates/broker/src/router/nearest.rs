//! Filters that a topic misses by little: what to tell somebody whose messages nobody gets.

use dunlin_proto::topic::{TopicFilter, TopicName};

use super::index::Index;

impl Index {
    /// Up to `limit` subscribed filters that do not match `topic` and would if the case of a letter,
    /// an empty level or one level were different, nearest first.
    ///
    /// Looks at a bounded part of a large index, so it may miss some.
    #[must_use]
    pub fn nearest(&self, topic: TopicName<'_>, limit: usize) -> Vec<String> {
        let name: Vec<&str> = topic.levels().collect();
        if name.len() > MOST_LEVELS {
            return Vec::new();
        }
        let mut found: Vec<(Distance, String)> = Vec::new();
        for text in self.filters.texts().take(MOST_FILTERS) {
            let matches = TopicFilter::new(&text).is_ok_and(|filter| filter.matches(topic));
            if !matches && let Some(distance) = distance(&text, &name) {
                found.push((distance, text));
            }
        }
        found.sort_unstable();
        found.truncate(limit);
        found.into_iter().map(|(_, text)| text).collect()
    }
}

/// How a topic misses a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Distance {
    /// Letters in the other case.
    Case,
    /// A slash too many, or too few.
    EmptyLevel,
    /// A level that only one of them has.
    Level,
}

fn distance(filter: &str, name: &[&str]) -> Option<Distance> {
    let filter: Vec<&str> = filter.split('/').collect();
    if filter.len() > MOST_LEVELS {
        return None;
    }
    if fits(&filter, name) {
        return Some(Distance::Case);
    }
    let solid = |levels: &[&'_ str]| -> Vec<String> {
        levels.iter().filter(|level| !level.is_empty()).map(ToString::to_string).collect()
    };
    let (solid_filter, solid_name) = (solid(&filter), solid(name));
    if fits(&solid_filter, &solid_name) {
        return Some(Distance::EmptyLevel);
    }
    let one_less = (0..name.len()).any(|at| fits(&filter, &without(name, at)));
    // The level that is missing from the topic is never the `#`: without it the filter would be wider
    // than what was subscribed to.
    let named = filter.iter().filter(|level| **level != "#").count();
    let one_more = || (0..named).any(|at| fits(&without(&filter, at), name));
    (one_less || one_more()).then_some(Distance::Level)
}

/// Matching without regard to case. A wildcard alone fits everything, which tells nothing.
fn fits<L: AsRef<str>>(filter: &[L], name: &[L]) -> bool {
    let literal = |level: &L| !matches!(level.as_ref(), "+" | "#" | "");
    if !filter.iter().any(literal) {
        return false;
    }
    let mut name = name.iter().map(L::as_ref);
    for level in filter.iter().map(L::as_ref) {
        if level == "#" {
            return true;
        }
        match name.next() {
            Some(part) if level == "+" || same_but_case(level, part) => {}
            _ => return false,
        }
    }
    name.next().is_none()
}

fn same_but_case(a: &str, b: &str) -> bool {
    a.chars().flat_map(char::to_lowercase).eq(b.chars().flat_map(char::to_lowercase))
}

fn without<'a>(levels: &[&'a str], at: usize) -> Vec<&'a str> {
    levels.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, level)| *level).collect()
}

/// Filters looked at: some milliseconds.
const MOST_FILTERS: usize = 16_384;
/// Longer topics and filters are not compared; the work grows with the square.
const MOST_LEVELS: usize = 32;

//! Lines about those who are turned away: few enough that nobody fills a disk with them.
//!
//! The first of each cause from each network is told at once. For a minute then they are counted, and
//! told by their number. Where the log speaks like Mosquitto's, the first few are: tools that bar addresses count
//! them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use dunlin_broker::Time;
use parking_lot::Mutex;

use crate::log::as_mosquitto;
use crate::why::network;

/// How long others of the same kind are counted.
const QUIET: Duration = Duration::from_secs(60);

/// Lines in a minute for tools that count them. 20: whoever tries passwords is barred after less.
const FOR_TOOLS: u32 = 20;

/// Between two looks for those whose minute is over.
const LOOK: Duration = Duration::from_secs(2);

/// Kinds that are known at once. Those from further networks are counted together.
const MOST: usize = 1_024;

/// Letters that tell causes apart. What follows may have been chosen by whoever is turned away.
const CAUSE: usize = 24;

/// Stands for all networks that there is no room for.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// What was told lately. A lock and not messages: whoever is turned away on any shard may have been told of
/// by another; nobody else takes it.
#[derive(Debug, Default)]
pub(crate) struct Hush(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    heard: HashMap<(Box<str>, IpAddr), Heard>,
    looked: Time,
}

#[derive(Debug)]
struct Heard {
    until: Time,
    told: u32,
    withheld: u64,
}

/// Lines that were not written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Withheld {
    pub(crate) cause: Box<str>,
    pub(crate) from: String,
    pub(crate) count: u64,
}

impl Hush {
    /// Whether a line may be written about somebody from there; if not, it is counted.
    pub(crate) fn admits(&self, now: Time, cause: &str, from: IpAddr) -> bool {
        self.admits_some(now, cause, from, if as_mosquitto() { FOR_TOOLS } else { 1 })
    }

    fn admits_some(&self, now: Time, cause: &str, from: IpAddr, most: u32) -> bool {
        let cause: Box<str> = cause.chars().take(CAUSE).collect();
        let mut inner = self.0.lock();
        let mut kind = (cause, network(from));
        if inner.heard.len() >= MOST && !inner.heard.contains_key(&kind) {
            inner.heard.retain(|_, heard| heard.until > now || heard.withheld > 0);
            if inner.heard.len() >= MOST {
                kind.1 = ELSEWHERE;
            }
        }
        let until = now.saturating_add(QUIET);
        match inner.heard.get_mut(&kind) {
            None => {
                inner.heard.insert(kind, Heard { until, told: 1, withheld: 0 });
                true
            }
            Some(heard) if heard.until <= now && heard.withheld == 0 => {
                *heard = Heard { until, told: 1, withheld: 0 };
                true
            }
            Some(heard) if heard.told < most => {
                heard.told += 1;
                true
            }
            Some(heard) => {
                heard.withheld += 1;
                false
            }
        }
    }

    /// What was withheld in the minutes that are over. If it goes on, it is told once a minute.
    pub(crate) fn overdue(&self, now: Time) -> Vec<Withheld> {
        let mut inner = self.0.lock();
        if now.since(inner.looked) < LOOK {
            return Vec::new();
        }
        inner.looked = now;
        let mut overdue = Vec::new();
        inner.heard.retain(|(cause, from), heard| {
            if heard.until > now {
                return true;
            }
            if heard.withheld == 0 {
                return false;
            }
            let from = if *from == ELSEWHERE { "elsewhere".to_owned() } else { from.to_string() };
            overdue.push(Withheld { cause: cause.clone(), from, count: heard.withheld });
            *heard = Heard { until: now.saturating_add(QUIET), told: 1, withheld: 0 };
            true
        });
        overdue.sort_by(|one, other| (&one.cause, &one.from).cmp(&(&other.cause, &other.from)));
        overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_line_at_once_and_then_one_a_minute_with_the_number() {
        let hush = Hush::default();
        let at = |second: u64| Time::from_secs(1_000 + second);
        let from = address("10.0.0.7");
        assert!(hush.admits(at(0), "bad-password", from));
        assert!((1..40).all(|second| !hush.admits(at(second), "bad-password", from)));
        // Another cause, and another network.
        assert!(hush.admits(at(1), "banned", from));
        assert!(hush.admits(at(1), "bad-password", address("10.0.0.8")));
        assert!(hush.overdue(at(50)).is_empty());
        let told = hush.overdue(at(61));
        let withheld =
            Withheld { cause: "bad-password".into(), from: "10.0.0.7".into(), count: 39 };
        assert_eq!(told, [withheld]);
        // It goes on: no line of its own, until it has been quiet for a minute.
        assert!(!hush.admits(at(62), "bad-password", from));
        assert_eq!(hush.overdue(at(122))[0].count, 1);
        assert!(hush.overdue(at(190)).is_empty());
        assert!(hush.admits(at(191), "bad-password", from));
    }

    #[test]
    fn tools_that_count_lines_get_as_many_as_they_need() {
        let (hush, from) = (Hush::default(), address("10.0.0.7"));
        let at = |second: u64| Time::from_secs(1_000 + second);
        let admits = |second| hush.admits_some(at(second), "bad-password", from, FOR_TOOLS);
        assert_eq!((0..40).filter(|second| admits(*second)).count(), FOR_TOOLS as usize);
        assert_eq!(hush.overdue(at(61))[0].count, 20);
        // Whoever was barred for a while and goes on is told of again.
        assert_eq!((62..102).filter(|second| admits(*second)).count(), FOR_TOOLS as usize - 1);
    }

    #[test]
    fn a_host_is_one_network_whatever_address_of_it_comes() {
        let hush = Hush::default();
        assert!(hush.admits(Time::ZERO, "banned", address("2001:db8::1")));
        assert!(!hush.admits(Time::ZERO, "banned", address("2001:db8::2:3:4")));
        assert!(hush.admits(Time::ZERO, "banned", address("::ffff:10.0.0.1")));
        assert!(!hush.admits(Time::ZERO, "banned", address("10.0.0.1")));
    }

    #[test]
    fn neither_many_networks_nor_many_words_fill_the_log() {
        let hush = Hush::default();
        let word = |number: u64| format!("the same beginning, and then {number}");
        let networks = (1..=100_000_u32).map(|number| IpAddr::from(number.to_be_bytes()));
        let lines = networks
            .zip(0..)
            .filter(|(from, number)| hush.admits(Time::from_secs(5), &word(*number), *from));
        assert_eq!(lines.count(), MOST + 1);
        let told = hush.overdue(Time::from_secs(70));
        assert_eq!((told.len(), told[0].from.as_str()), (1, "elsewhere"));
        assert_eq!(told[0].count as usize, 100_000 - MOST - 1);
    }
}

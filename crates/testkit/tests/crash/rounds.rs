//! Runs with kills and without.

use std::time::SystemTime;

use crate::run::{Plan, run};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("SEED and ROUNDS are numbers"))
}

fn plan(name: &'static str, durability: &'static str, rounds: u64) -> Plan {
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64);
    let seed = number("SEED").unwrap_or(now);
    let rounds = number("ROUNDS").unwrap_or(rounds);
    Plan { name, seed, durability, rounds, graceful: 0, swallow: None }
}

fn holds(plan: &Plan) {
    let wrongs = run(plan);
    let headlines: Vec<&str> = wrongs.iter().filter_map(|wrong| wrong.lines().next()).collect();
    let told = format!("{}\n\n{}", headlines.join("\n"), wrongs.first().map_or("", |wrong| wrong));
    assert!(wrongs.is_empty(), "SEED={}: {} wrong:\n{told}", plan.seed, wrongs.len());
}

#[test]
fn connections_that_come_and_go_lose_nothing() {
    holds(&Plan { rounds: 0, ..plan("calm", "always", 0) });
}

/// What cannot fail shows nothing.
#[test]
fn a_message_that_a_subscriber_loses_is_noticed() {
    let wrongs = run(&Plan { rounds: 0, swallow: Some(100), ..plan("swallow", "off", 0) });
    assert!(wrongs.iter().any(|wrong| wrong.contains("missing")), "{wrongs:?}");
}

#[test]
fn kills_lose_nothing_that_was_acknowledged() {
    holds(&plan("kill", "always", 6));
}

#[test]
fn kills_and_stops_lose_nothing_that_was_acknowledged() {
    holds(&Plan { graceful: 50, ..plan("stop", "always", 4) });
}

/// The window of this mode is about power cuts; what was written outlives the process.
#[test]
fn kills_lose_nothing_that_was_written_between_syncs() {
    holds(&plan("kill-interval", "interval", 4));
}

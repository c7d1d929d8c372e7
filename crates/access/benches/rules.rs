//! Nanoseconds of CPU for an answer of the rules, one line for each operation.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring program prints and has nothing to recover from"
)]

use std::fmt::Write as _;
use std::hint::black_box;

use dunlin_access::acl::{Action, Cache, Rules, Source, Subscribing, Who};
use dunlin_access::password::{Hash, Kind};

fn main() {
    let rounds = std::env::var("BENCH_ROUNDS").ok().and_then(|n| n.parse().ok());
    let rounds = rounds.unwrap_or(1_000_000);
    let anna = Who { user: Some("user7"), client_id: "device7", ..Who::default() };
    for (name, text) in [
        ("10 000 rules of 2 500 users", many_users()),
        ("10 000 rules of one user", one_user()),
        ("10 000 patterns", patterns()),
    ] {
        let started = cpu_nanos();
        let source = Source::AclFile { name: "acl", text: &text };
        let rules = Rules::compile(1, &[source], Subscribing::Granted).unwrap();
        println!("{name:<28} compile {:>8} us", (cpu_nanos() - started) / 1000);
        assert_eq!(rules.len(), 10_000);
        for (kind, topic, allowed) in
            [("allowed", "site/7/device7/2/x", true), ("denied", "other/7/device7/2/x", false)]
        {
            measure(&format!("{name}, {kind}"), rounds, || {
                let topic = black_box(topic);
                assert_eq!(rules.check(&anna, Action::Publish, topic).allowed, allowed);
            });
            let mut cache = Cache::default();
            measure(&format!("{name}, {kind}, cached"), rounds, || {
                let topic = black_box(topic);
                assert_eq!(cache.check(&rules, &anna, Action::Publish, topic).allowed, allowed);
            });
        }
    }
    for kind in [Kind::Sha512, Kind::Pbkdf2Sha512, Kind::ScramSha256, Kind::Argon2id] {
        let hash = Hash::create(kind, b"password", &mut |bytes: &mut [u8]| bytes.fill(7));
        let rounds = if kind == Kind::Sha512 { rounds } else { 20 };
        measure(&format!("verify {kind:?}"), rounds, || {
            black_box(hash.verify(black_box(b"password")));
        });
    }
}

fn many_users() -> String {
    let mut text = String::new();
    for user in 0..2500 {
        writeln!(text, "user user{user}").unwrap();
        for place in 0..4 {
            writeln!(text, "topic site/{user}/device{user}/{place}/#").unwrap();
        }
    }
    text
}

fn one_user() -> String {
    let mut text = String::from("user user7\n");
    for rule in 0..2500 {
        writeln!(text, "topic site/{rule}/+/2/x\ntopic deny site/{rule}/secret/#").unwrap();
        writeln!(text, "topic read a/{rule}/#\ntopic write +/{rule}/b").unwrap();
    }
    text
}

fn patterns() -> String {
    (0..10_000).map(|rule| format!("pattern site/{rule}/%c/+/x\n")).collect()
}

fn measure(name: &str, rounds: u32, mut operation: impl FnMut()) {
    for _ in 0..rounds / 10 {
        operation();
    }
    let started = cpu_nanos();
    for _ in 0..rounds {
        operation();
    }
    let nanos = (cpu_nanos() - started) / u64::from(rounds);
    println!("{name:<46} {nanos:>10} ns");
}

/// What this thread has had of a processor: others on the machine do not count.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap()
}

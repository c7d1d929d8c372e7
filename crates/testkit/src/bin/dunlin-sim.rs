//! Runs the simulator: many seeds side by side, or one with a trace of what happens.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what a program says to who runs it")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use dunlin_testkit::sim::{Options, run};

const USAGE: &str = "usage: dunlin-sim [--seeds COUNT] [--from SEED] [--seed SEED] [--forgetful]

  --seeds COUNT  how many seeds to run (1000)
  --from SEED    the first of them (0)
  --seed SEED    one seed only, with a trace of what happens
  --forgetful    brokers without a store";

/// Failures after which the rest is not run.
const ENOUGH: u64 = 10;

struct Wish {
    from: u64,
    seeds: u64,
    single: Option<u64>,
    keep: bool,
}

fn main() -> ExitCode {
    let Some(wish) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let good = match wish.single {
        Some(seed) => replay(seed, wish.keep),
        None => run_all(&wish),
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(mut args: impl Iterator<Item = String>) -> Option<Wish> {
    let mut wish = Wish { from: 0, seeds: 1000, single: None, keep: true };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seeds" => wish.seeds = args.next()?.parse().ok()?,
            "--from" => wish.from = args.next()?.parse().ok()?,
            "--seed" => wish.single = Some(args.next()?.parse().ok()?),
            "--forgetful" => wish.keep = false,
            _ => return None,
        }
    }
    Some(wish)
}

fn replay(seed: u64, keep: bool) -> bool {
    let outcome = run(seed, Options { keep, trace: true });
    for line in &outcome.trace {
        println!("{line}");
    }
    match outcome.failure {
        Some(failure) => {
            println!("seed {seed} failed: {failure}");
            false
        }
        None => true,
    }
}

/// What all threads count.
struct Tally {
    next: AtomicU64,
    failures: AtomicU64,
    seconds: AtomicU64,
}

fn run_all(wish: &Wish) -> bool {
    let tally = Tally {
        next: AtomicU64::new(wish.from),
        failures: AtomicU64::new(0),
        seconds: AtomicU64::new(0),
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| while run_next(wish, &tally) {});
        }
    });
    let failures = tally.failures.into_inner();
    let seeds = tally.next.into_inner().min(wish.from + wish.seeds) - wish.from;
    let hours = tally.seconds.into_inner() / 3600;
    println!("{seeds} seeds, {hours} hours of virtual time, {failures} failed");
    failures == 0
}

/// Runs the next seed; false if there is none, or enough have failed.
fn run_next(wish: &Wish, tally: &Tally) -> bool {
    if tally.failures.load(Ordering::Relaxed) >= ENOUGH {
        return false;
    }
    let seed = tally.next.fetch_add(1, Ordering::Relaxed);
    if seed >= wish.from + wish.seeds {
        return false;
    }
    let outcome = run(seed, Options { keep: wish.keep, trace: false });
    tally.seconds.fetch_add(outcome.seconds, Ordering::Relaxed);
    if let Some(failure) = outcome.failure {
        tally.failures.fetch_add(1, Ordering::Relaxed);
        let forgetful = if wish.keep { "" } else { " --forgetful" };
        println!("seed {seed} failed: {failure}");
        println!(
            "  cargo run --release -p dunlin-testkit --bin dunlin-sim -- --seed {seed}{forgetful}"
        );
    }
    true
}

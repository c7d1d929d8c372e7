//! A few seeds of the simulator; `dunlin-sim` runs many.

use dunlin_testkit::sim::{Options, run};

fn run_seeds(seeds: std::ops::Range<u64>, keep: bool) {
    for seed in seeds {
        let outcome = run(seed, Options { keep, trace: false });
        if let Some(failure) = outcome.failure {
            let forgetful = if keep { "" } else { " --forgetful" };
            panic!(
                "seed {seed}: {failure}\n  cargo run --release -p dunlin-testkit --bin dunlin-sim -- --seed {seed}{forgetful}"
            );
        }
    }
}

#[test]
fn brokers_without_a_store_keep_their_promises() {
    run_seeds(0..4, false);
}

#[test]
fn brokers_with_a_store_keep_their_promises_whenever_they_die() {
    run_seeds(0..8, true);
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    let options = Options { keep: true, trace: true };
    let (one, other) = (run(5, options), run(5, options));
    assert!(one.trace.len() > 100, "something happens");
    assert!(one.trace == other.trace, "the same in every detail");
}

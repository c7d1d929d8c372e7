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
    run_seeds(0..6, false);
}

//! The store against a model that a child could check, through crashes, full disks and failing ones.
//!
//! `SEED=7 cargo test -p dunlin-store --test model` runs one seed again, `SEEDS=1000` that many.

mod generator;
mod life;
mod model;

#[test]
fn whatever_happens_the_state_is_that_of_the_last_sync_or_later() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(12),
    };
    for seed in seeds {
        life::run(seed);
    }
}

//! The real broker, killed at any moment, on a real disk.
//!
//! Publishers, subscribers, writers of retained messages, clients with wills and sessions that come
//! and go work on one broker, keep ledgers of what it acknowledged, and go on as the standard wants when
//! it is there again. What is checked is in `ledger.rs`, `retained.rs`, `churn.rs` and `wills.rs`.
//!
//! `SEED=n` repeats the choices of a run, `ROUNDS=n` sets how often the broker ends. The long run:
//!
//! ```sh
//! ROUNDS=200 cargo test --release -p dunlin-testkit --test crash kill -- --nocapture
//! ```
//!
//! `kill -9` leaves what was written in the memory of the kernel; the power cuts are in the simulator
//! and in the tests of the store.

mod churn;
mod daemon;
mod full;
mod ledger;
mod publisher;
mod queue;
mod random;
mod refusals;
mod retained;
mod rounds;
mod run;
mod subscriber;
mod team;
mod wills;
mod world;

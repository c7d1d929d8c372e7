//! `dunlin bench`: the load generator.
//!
//! It must cost less than the broker it measures: frames are made once and patched, a socket gets
//! one big write a turn, of what arrives only the stamp is read, acknowledgements leave in batches,
//! nothing is allocated per message, one thread does it all.
//!
//! The way of a run: `args` (what was typed) → `scenario` → `plan` (all numbers) → `traffic`
//! (connect through `crowd`, start a `worker`, measure, drain) → `outcome` → `report`. A worker owns
//! `publisher`s and `subscriber`s and notes what it sees on its `board`. `idle` and `storm` are
//! runs without messages; `queue` publishes to sessions whose clients are away (`nats` does so to
//! JetStream) beside what the `disk` can do; `restart` kills a broker and waits for it; `compare`
//! runs scenarios against several brokers that `launch` starts.

mod affinity;
mod args;
mod board;
mod clock;
mod compare;
mod configs;
mod crowd;
mod disk;
mod fill;
mod frames;
mod handshake;
mod idle;
mod inbox;
mod launch;
mod link;
mod nats;
mod outcome;
mod plan;
mod proc;
mod progress;
mod publisher;
mod queue;
#[cfg(test)]
mod relay;
mod report;
mod restart;
mod scenario;
mod schedule;
mod spin;
mod split;
mod stamp;
mod storm;
mod subscriber;
mod suite;
mod timer;
mod track;
mod traffic;
mod via;
mod window;
mod worker;

use std::io::{Write, stdout};

use anyhow::Result;
use serde::Serialize;

pub(crate) use args::BenchArgs;
use args::BenchCommand;
use progress::Progress;

/// Runs what was asked for and prints the result to stdout.
pub(crate) fn run(args: BenchArgs) -> Result<()> {
    let BenchArgs { target, output, command } = args;
    affinity::pin(&target.cpu)?;
    let progress = Progress::new(output.progress);
    let mut out = stdout().lock();
    match command {
        BenchCommand::Scenario(scenario) => {
            let outcome = scenario.run(&target, &progress)?;
            if output.json {
                return print_json(&mut out, &outcome);
            }
            report::print_outcome(&mut out, &outcome)?;
        }
        BenchCommand::Compare(compare) => {
            let comparison = compare.run(&target, &progress)?;
            progress.clear();
            if output.json {
                return print_json(&mut out, &comparison);
            }
            if compare.markdown {
                report::print_markdown(&mut out, &comparison)?;
            } else {
                report::print_comparison(&mut out, &comparison)?;
            }
        }
    }
    Ok(())
}

fn print_json(out: &mut impl Write, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    Ok(())
}

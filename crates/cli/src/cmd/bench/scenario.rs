//! From what was typed to the run it means.

use anyhow::{Result, bail, ensure};

use super::args::{QueueArgs, RestartArgs, Scenario, TargetArgs, nanoseconds};
use super::frames::Version;
use super::launch::Broker;
use super::outcome::Outcome;
use super::plan::{FILTERS_PER_GROUP, Layout, Plan};
use super::progress::Progress;
use super::storm::Storm;
use super::{idle, queue, restart, traffic};

/// A scenario with its numbers worked out.
#[derive(Debug, Clone)]
enum Job {
    Traffic(Plan),
    Idle { connections: u32, watch_ns: u64 },
    Queue(QueueArgs),
    Restart(RestartArgs),
    Storm(Storm),
}

impl Scenario {
    /// Runs the scenario against one broker.
    pub(super) fn run(&self, target: &TargetArgs, progress: &Progress) -> Result<Outcome> {
        let job = self.job(target);
        ensure!(target.mqtt != Version::Nats || matches!(job, Job::Queue(_)), "NATS: `queue` only");
        match job {
            Job::Traffic(plan) => traffic::run(&plan, target, progress),
            Job::Idle { connections, watch_ns } => {
                idle::run(connections, watch_ns, target, progress)
            }
            Job::Queue(args) => queue::run(&args, target, progress),
            Job::Restart(_) => bail!("`restart` needs a broker that `compare` starts"),
            Job::Storm(storm) => storm.run(target, progress),
        }
    }

    /// Runs the scenario against a broker that was started for it.
    pub(super) fn run_started(
        &self,
        broker: &mut Broker,
        target: &TargetArgs,
        progress: &Progress,
    ) -> Result<Outcome> {
        match self.job(target) {
            Job::Restart(args) => restart::run(&args, broker, target, progress),
            _ => self.run(target, progress),
        }
    }

    fn job(&self, target: &TargetArgs) -> Job {
        let plan = |layout, publishers: &u32, subscribers: &u32, traffic| {
            Job::Traffic(Plan::new(layout, *publishers, *subscribers, traffic, target))
        };
        match self {
            Self::P2p { pairs, traffic } => plan(Layout::Pairs, pairs, pairs, traffic),
            Self::Fanout { publishers, subscribers, own_topics, traffic } => {
                let layout = if *own_topics { Layout::OwnTopics } else { Layout::OneTopic };
                plan(layout, publishers, subscribers, traffic)
            }
            Self::Fanin { publishers, subscribers, traffic } => {
                plan(Layout::OwnTopics, publishers, subscribers, traffic)
            }
            Self::Shared { publishers, consumers, traffic } => {
                plan(Layout::Shared, publishers, consumers, traffic)
            }
            Self::Match { filters, clients, publishers, traffic } => {
                let groups = filters.div_ceil(FILTERS_PER_GROUP);
                plan(Layout::Groups { groups }, publishers, clients, traffic)
            }
            Self::Idle { connections, seconds } => {
                Job::Idle { connections: *connections, watch_ns: nanoseconds(*seconds) }
            }
            Self::Queue(args) => Job::Queue(args.clone()),
            Self::Restart(args) => Job::Restart(args.clone()),
            Self::Storm { lanes, rate, warmup, seconds } => Job::Storm(Storm {
                lanes: *lanes,
                rate: *rate,
                warmup_ns: nanoseconds(*warmup),
                measured_ns: nanoseconds(*seconds),
            }),
        }
    }
}

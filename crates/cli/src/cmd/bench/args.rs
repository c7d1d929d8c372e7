//! What can be typed after `dunlin bench`.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::compare::CompareArgs;
use super::frames::{Credentials, Version};
use super::via::Via;

/// Options of every scenario; they may stand before or after its name.
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(subcommand)]
    pub(super) command: BenchCommand,
}

/// The broker, and how to reach it.
#[derive(Debug, Clone, Args)]
pub(super) struct TargetArgs {
    /// Host of the broker
    #[arg(long, global = true, default_value = "127.0.0.1")]
    pub(super) host: String,
    /// Port of the broker
    #[arg(long, global = true, default_value_t = 1883)]
    pub(super) port: u16,
    /// Process id of the broker, for its CPU time and memory (same machine only)
    #[arg(long, global = true)]
    pub(super) pid: Option<u32>,
    /// MQTT version, or NATS (`queue` only)
    #[arg(long, global = true, value_enum, default_value_t = Version::V311)]
    pub(super) mqtt: Version,
    /// What the broker is reached by
    #[arg(long, global = true, value_enum, default_value_t = Via::Tcp)]
    pub(super) via: Via,
    /// User name for CONNECT
    #[arg(long, global = true)]
    pub(super) username: Option<String>,
    /// Password for CONNECT
    #[arg(long, global = true)]
    pub(super) password: Option<String>,
    /// Pin the generator to this CPU; several separated by commas
    #[arg(long, global = true, value_delimiter = ',')]
    pub(super) cpu: Vec<usize>,
    /// Threads of the generator; each needs a core of its own to be of use
    #[arg(long, global = true, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) threads: u16,
}

impl TargetArgs {
    /// What CONNECT carries.
    pub(super) fn credentials(&self) -> Credentials {
        Credentials { username: self.username.clone(), password: self.password.clone() }
    }
}

/// How results are told.
#[derive(Debug, Clone, Args)]
pub(super) struct OutputArgs {
    /// Print JSON instead of a table
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Show a line per second on stderr even if it is not a terminal
    #[arg(long, global = true)]
    pub(super) progress: bool,
}

#[derive(Debug, Clone, Subcommand)]
pub(super) enum BenchCommand {
    #[command(flatten)]
    Scenario(Scenario),
    /// Run the same scenarios against several brokers in turn and print medians and ratios
    Compare(CompareArgs),
}

/// One kind of load.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Scenario {
    /// Pairs: publisher i to subscriber i
    P2p {
        /// Pairs of one publisher and one subscriber
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        pairs: u32,
        #[command(flatten)]
        traffic: TrafficArgs,
    },
    /// Few publishers to many subscribers, each receiving everything
    Fanout {
        /// Publishers
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        publishers: u32,
        /// Subscribers
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        subscribers: u32,
        /// One topic per publisher and a `+` filter, instead of one topic for all
        #[arg(long)]
        own_topics: bool,
        #[command(flatten)]
        traffic: TrafficArgs,
    },
    /// Many publishers with a topic each to one subscriber, or to several that receive everything
    Fanin {
        /// Publishers
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        publishers: u32,
        /// Subscribers
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        subscribers: u32,
        #[command(flatten)]
        traffic: TrafficArgs,
    },
    /// Publishers to a group of consumers that share one subscription
    Shared {
        /// Publishers
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        publishers: u32,
        /// Consumers in the group
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
        consumers: u32,
        #[command(flatten)]
        traffic: TrafficArgs,
    },
    /// Many distinct filters (exact, `+`, `#`); every publish matches four of them
    Match {
        /// Distinct filters; rounded up to a multiple of four
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=4_000_000))]
        filters: u32,
        /// Clients the filters are spread over
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(4..))]
        clients: u32,
        /// Publishers
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
        publishers: u32,
        #[command(flatten)]
        traffic: TrafficArgs,
    },
    /// Connections that do nothing but hold one subscription: memory and CPU; wants a broker just
    /// started, as memory freed by earlier clients would be used again
    Idle {
        /// Connections
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
        connections: u32,
        /// Seconds the CPU is watched
        #[arg(long, default_value_t = 5.0, value_parser = seconds)]
        seconds: f64,
    },
    /// Publishers to persistent sessions whose clients are away: what an acknowledged message
    /// costs, and what of it reaches the disk
    Queue(QueueArgs),
    /// Time from the start of a broker that was killed until a session is served again; only in
    /// `compare`, with a broker that it starts
    Restart(RestartArgs),
    /// Connect and disconnect, as fast as the broker allows or at a rate
    Storm {
        /// Connections opened at a time
        #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        lanes: u32,
        /// Connections per second; as many as possible if not given
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        rate: Option<u64>,
        /// Seconds before the measured phase
        #[arg(long, default_value_t = 1.0, value_parser = seconds)]
        warmup: f64,
        /// Seconds of the measured phase
        #[arg(long, default_value_t = 5.0, value_parser = seconds)]
        seconds: f64,
    },
}

/// Who publishes to whom in `queue`, and what else goes on.
#[derive(Debug, Clone, Args)]
pub(super) struct QueueArgs {
    /// Publishers
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) publishers: u32,
    /// Sessions each message is kept for; with 1 every publisher has a session of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) receivers: u32,
    /// Times the disk below the temporary directory before and after: 4 KiB overwritten and synced
    #[arg(long)]
    pub(super) probe: bool,
    /// Keeps the first so many CPUs busy, a thread each
    #[arg(long, default_value_t = 0)]
    pub(super) spin: usize,
    #[command(flatten)]
    pub(super) traffic: TrafficArgs,
}

/// What a broker holds when it is killed in `restart`.
#[derive(Debug, Clone, Args)]
pub(super) struct RestartArgs {
    /// Retained messages
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) retained: u32,
    /// Persistent sessions with a subscription each
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) sessions: u32,
    /// Messages queued for them
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) queued: u32,
    /// Bytes of payload
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(24..=1_048_576))]
    pub(super) payload: u32,
    /// Ends the broker with SIGTERM instead of SIGKILL
    #[arg(long)]
    pub(super) graceful: bool,
}

/// The messages of a scenario and their pace.
#[derive(Debug, Clone, Args)]
pub(super) struct TrafficArgs {
    /// `QoS` of the publishers
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub(super) qos: u8,
    /// `QoS` the subscribers ask for; that of the publishers if not given
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub(super) sub_qos: Option<u8>,
    /// Bytes of payload, at least the 24 of the stamp
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(24..=16_777_216))]
    pub(super) payload: u32,
    /// Open loop: messages published per second by all publishers together
    #[arg(long, conflicts_with = "window", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) rate: Option<u64>,
    /// Open loop in bursts: send what is due every so many milliseconds
    #[arg(long, requires = "rate", default_value_t = 0)]
    pub(super) tick_ms: u64,
    /// Saturation: messages under way per publisher (default 2000 at `QoS` 0, else 100)
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) window: Option<u64>,
    /// Seconds before the measured phase
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    pub(super) warmup: f64,
    /// Seconds of the measured phase
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    pub(super) seconds: f64,
    /// Seconds to wait at most for messages under way after the last publish
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    pub(super) drain: f64,
}

/// A scenario as it stands in a suite or after `--scenario`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
pub(super) struct ScenarioLine {
    /// MQTT version, if not that of the whole comparison
    #[arg(long, global = true, value_enum)]
    pub(super) mqtt: Option<Version>,
    /// What the broker is reached by, if not as in the whole comparison
    #[arg(long, global = true, value_enum)]
    pub(super) via: Option<Via>,
    #[command(subcommand)]
    pub(super) scenario: Scenario,
}

/// Longest phase: keeps every sum of times far from overflow.
const MAX_SECONDS: f64 = 1e6;

/// Seconds as a number that is neither negative nor absurd.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("{text:?} is not a number of seconds"))?;
    if (0.0..=MAX_SECONDS).contains(&value) {
        Ok(value)
    } else {
        Err(format!("{text:?} is not between 0 and {MAX_SECONDS} seconds"))
    }
}

/// Seconds that `seconds` accepted, as nanoseconds.
pub(super) fn nanoseconds(seconds: f64) -> u64 {
    u64::try_from(Duration::from_secs_f64(seconds).as_nanos()).unwrap_or(u64::MAX)
}

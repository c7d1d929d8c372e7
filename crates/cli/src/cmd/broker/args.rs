//! What the command line of the broker says, and what it changes in a configuration.

use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use dunlin_config::command_line::{Task, Verbosity};
use dunlin_config::model::{
    Address, DamagePolicy, DurabilityPolicy, IpVersion, Listener, RefusalCodePolicy,
    WillDelayPolicy, Wording,
};
use dunlin_config::value::Limit;
use dunlin_config::{CommandLine, Config, Loaded};

/// Options of the broker. Those of Mosquitto come first, and mean what they mean there.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct BrokerArgs {
    /// Configuration: dunlin.toml, or Mosquitto's mosquitto.conf
    /// (of several the last)
    #[arg(short, long = "config-file", value_name = "FILE", overrides_with = "config_file")]
    config_file: Option<String>,
    /// Port to listen on, unless the configuration has listeners; 0 picks a free one; may be repeated
    #[arg(short, long, value_name = "PORT")]
    port: Vec<u16>,
    /// Log everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Log nothing
    #[arg(short, long)]
    quiet: bool,
    /// Leave the terminal once everything listens
    #[arg(short, long)]
    daemon: bool,
    /// Check the configuration and the files that it names, and end: status 0, or 3 with what is wrong
    #[arg(long)]
    test_config: bool,
    /// File for the secrets of TLS connections, for debugging only: who reads it reads everything
    #[arg(long, value_name = "FILE")]
    tls_keylog: Option<String>,
    #[command(flatten)]
    own: OwnArgs,
    /// What the program was started as.
    #[arg(skip)]
    name: Name,
}

/// What the program was started as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Name {
    #[default]
    Dunlin,
    Mosquitto,
}

/// Options that Mosquitto does not have. They win over the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
struct OwnArgs {
    /// Address or host name to listen on, unless the configuration has listeners; may be repeated [default:
    /// this machine only]
    #[arg(long, value_name = "ADDRESS")]
    bind: Vec<String>,
    /// Let clients in without a user name from wherever they can reach the broker
    #[arg(long)]
    allow_anonymous: bool,
    /// Threads that serve clients [default: one for each core]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024))]
    shards: Option<u16>,
    /// Seconds between refreshes of $SYS/broker/... [default: 10]; 0 turns it off
    #[arg(long, value_name = "SECONDS")]
    sys_interval: Option<u64>,
    /// Connections held at once [default: as many as the descriptor limit allows]
    #[arg(long, value_name = "NUMBER")]
    max_connections: Option<u64>,
    /// Longest time a turn is put off to gather input, in microseconds [default: 600]; 0 turns pacing off
    #[arg(long, value_name = "MICROSECONDS")]
    pacing_cap: Option<u64>,
    /// `QoS` 1 and 2 messages that may wait for one session [default: 1000]; 0 lifts this limit and those in
    /// bytes
    #[arg(long, value_name = "NUMBER")]
    max_queued: Option<u64>,
    /// Directory in which sessions, their messages and retained messages are kept; made if there is none
    /// [default: dunlin-data]
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    /// When something counts as kept and is acknowledged: `always` once it is on the disk, `interval` once
    /// it is written, with a sync every 100 ms or as given, `off` at once, and nothing is kept [default:
    /// always]
    #[arg(long, value_name = "always|interval[=100ms]|off", value_parser = keeping)]
    durability: Option<Keeping>,
    /// What to do when part of the data directory cannot be read: start without it and set it aside, or
    /// refuse to start [default: set-aside]
    #[arg(long, value_name = "WHAT")]
    on_damage: Option<DamageChoice>,
}

/// What `--durability` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeping {
    /// Nothing is kept.
    Off,
    /// What is acknowledged is on the disk.
    Always,
    /// It is written, and the disk is asked in this interval.
    Interval(Duration),
}

/// What `--on-damage` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum DamageChoice {
    /// Start with what can be read and keep a copy of the rest
    SetAside,
    /// Do not start
    Refuse,
}

/// How often the disk is asked with `--durability interval`.
const INTERVAL: Duration = Duration::from_millis(100);

impl BrokerArgs {
    /// What `mosquitto` was told.
    pub(crate) fn of_mosquitto(line: &CommandLine) -> Self {
        Self {
            config_file: line.config_file.clone(),
            port: line.ports.clone(),
            verbose: u8::from(line.verbosity == Verbosity::Verbose),
            quiet: line.verbosity == Verbosity::Quiet,
            daemon: line.daemon,
            test_config: line.task == Task::Test,
            tls_keylog: line.tls_keylog.clone(),
            own: OwnArgs::default(),
            name: Name::Mosquitto,
        }
    }

    /// Whether the configuration is only to be checked.
    pub(super) const fn only_checks(&self) -> bool {
        self.test_config
    }

    /// Whether somebody who has only just come is to be told how to go on.
    pub(super) fn wants_a_greeting(&self) -> bool {
        !self.has_file() && !self.daemon && self.name == Name::Dunlin
    }

    /// Whether there is a file.
    pub(super) const fn has_file(&self) -> bool {
        self.config_file.is_some()
    }

    /// The part that the loader of configurations understands.
    pub(super) fn command_line(&self) -> CommandLine {
        CommandLine {
            config_file: self.config_file.clone(),
            // One that is to be picked is ours to add.
            ports: self.port.iter().copied().filter(|port| *port != 0).collect(),
            verbosity: match (self.quiet, self.verbose) {
                (true, _) => Verbosity::Quiet,
                (false, 0) => Verbosity::Usual,
                (false, _) => Verbosity::Verbose,
            },
            daemon: self.daemon,
            tls_keylog: self.tls_keylog.clone(),
            task: if self.test_config { Task::Test } else { Task::Serve },
        }
    }

    /// Changes a configuration to what the command line says besides.
    pub(super) fn apply(&self, loaded: &mut Loaded) -> Result<(), String> {
        let config = &mut loaded.config;
        if config.is_local_only() {
            self.listen(config)?;
        }
        // What Mosquitto does when it is started so, and scripts that start it so rely on.
        let ports_alone = !self.port.is_empty() && self.own == OwnArgs::default();
        let as_mosquitto = !self.has_file() && (self.name == Name::Mosquitto || ports_alone);
        let configured = ["persistence.enabled", "persistence.directory"];
        if as_mosquitto && configured.iter().all(|key| config.places.get(key).is_none()) {
            config.persistence.enabled = false;
        }
        if config.places.get("delivery.refusal_codes").is_none() {
            match self.name {
                Name::Mosquitto => config.delivery.refusal_codes = RefusalCodePolicy::Mosquitto,
                Name::Dunlin if as_mosquitto => {
                    config.delivery.refusal_codes = RefusalCodePolicy::Familiar;
                }
                Name::Dunlin => {}
            }
        }
        if self.name == Name::Mosquitto && config.places.get("delivery.will_delay").is_none() {
            config.delivery.will_delay = WillDelayPolicy::Mosquitto;
        }
        if self.name == Name::Mosquitto && config.places.get("log.wording").is_none() {
            config.log.wording = Wording::Mosquitto;
        }
        self.own.apply(config);
        Ok(())
    }

    /// The addresses and ports of the command line, in place of the listener that is there by default.
    fn listen(&self, config: &mut Config) -> Result<(), String> {
        let ports = if self.port.is_empty() { &[1883][..] } else { &self.port };
        if self.own.bind.is_empty() {
            if ports.contains(&0) {
                // A port of its own choice would differ between the families.
                config.listeners = ports.iter().map(|port| Listener::implied(*port)).collect();
                config
                    .listeners
                    .iter_mut()
                    .for_each(|listener| listener.ip_version = IpVersion::V4);
            }
            return Ok(());
        }
        let mut listeners = Vec::new();
        let pairs =
            self.own.bind.iter().flat_map(|bind| ports.iter().map(move |port| (bind, *port)));
        for (address, port) in pairs {
            let host = address.trim_matches(['[', ']']);
            let found: Vec<_> = (host, port)
                .to_socket_addrs()
                .map_err(|cause| format!("cannot resolve --bind {address}: {cause}"))?
                .collect();
            let mut listener = Listener::default();
            listener.port = port;
            listener.address = Address::Named(host.to_owned());
            // Whoever is on this machine needs no password for what nobody else can reach.
            if found.iter().all(|address| address.ip().is_loopback())
                && config.security.access.allow_anonymous.is_none()
            {
                listener.access.allow_anonymous = Some(true);
            }
            listeners.push(listener);
        }
        config.listeners = listeners;
        Ok(())
    }
}

impl OwnArgs {
    fn apply(&self, config: &mut Config) {
        if self.allow_anonymous {
            config.security.access.allow_anonymous = Some(true);
        }
        if self.shards.is_some() {
            config.server.shards = self.shards;
        }
        if let Some(seconds) = self.sys_interval {
            config.server.sys_interval = Duration::from_secs(seconds);
        }
        if let Some(most) = self.max_connections {
            config.limits.connections = Limit::At(most);
        }
        if let Some(micros) = self.pacing_cap {
            config.server.pacing_cap = Duration::from_micros(micros);
        }
        match self.max_queued {
            None => {}
            Some(0) => {
                config.limits.maximum_queued_messages = Limit::Unlimited;
                config.limits.maximum_queued_bytes = Limit::Unlimited;
                config.limits.maximum_shard_queue_bytes = Limit::Unlimited;
            }
            Some(most) => config.limits.maximum_queued_messages = Limit::At(most),
        }
        self.keep(config);
    }

    fn keep(&self, config: &mut Config) {
        let persistence = &mut config.persistence;
        if let Some(directory) = &self.data_dir {
            persistence.enabled = true;
            persistence.directory.clone_from(directory);
            if persistence.durability == DurabilityPolicy::Off {
                persistence.durability = DurabilityPolicy::Always;
            }
        }
        match self.durability {
            None => {}
            Some(Keeping::Off) => persistence.enabled = false,
            Some(Keeping::Always) => {
                persistence.enabled = true;
                persistence.durability = DurabilityPolicy::Always;
            }
            Some(Keeping::Interval(interval)) => {
                persistence.enabled = true;
                persistence.durability = DurabilityPolicy::Interval;
                persistence.sync_interval = interval;
            }
        }
        match self.on_damage {
            None => {}
            Some(DamageChoice::SetAside) => persistence.on_damage = DamagePolicy::SetAside,
            Some(DamageChoice::Refuse) => persistence.on_damage = DamagePolicy::Refuse,
        }
    }
}

/// Understands the value of `--durability`.
fn keeping(text: &str) -> Result<Keeping, String> {
    match text.split_once('=') {
        None if text == "always" => Ok(Keeping::Always),
        None if text == "interval" => Ok(Keeping::Interval(INTERVAL)),
        None if text == "off" => Ok(Keeping::Off),
        Some(("interval", length)) => {
            let (digits, unit) = match length.strip_suffix("ms") {
                Some(digits) => (digits, Duration::from_millis(1)),
                None => (length.strip_suffix('s').unwrap_or_default(), Duration::from_secs(1)),
            };
            let count: u32 = digits.parse().ok().filter(|count| *count > 0).ok_or_else(|| {
                format!("`{length}` is no length of time: say for example 100ms or 1s")
            })?;
            Ok(Keeping::Interval(unit * count))
        }
        _ => Err("say always, interval, interval=100ms or off".into()),
    }
}

#[cfg(test)]
mod tests {
    use dunlin_config::{Disk, Loader};

    use super::*;
    use crate::cmd::typed::typed;

    fn parse(line: &[&str]) -> BrokerArgs {
        typed(line.iter().copied()).unwrap()
    }

    fn config(line: &[&str]) -> Config {
        let args = parse(line);
        let mut loaded = Loader::new(&Disk).load_command_line(&args.command_line()).unwrap();
        args.apply(&mut loaded).unwrap();
        loaded.config
    }

    #[test]
    fn listens_on_loopback_unless_told_otherwise() {
        let config = config(&["-v", "-p", "1884", "-p", "1885"]);
        let ports: Vec<_> = config.listeners.iter().map(|listener| listener.port).collect();
        assert_eq!(ports, [1884, 1885]);
        assert!(config.listeners.iter().all(|listener| listener.address == Address::Loopback));
        assert!(config.listeners.iter().all(|listener| config.allows_anonymous(listener)));
    }

    #[test]
    fn binds_every_address_that_is_named_and_asks_for_user_names_beyond_this_machine() {
        let config = config(&["--bind", "0.0.0.0", "--bind", "[::1]", "-p", "1885"]);
        let [wide, local] = config.listeners.as_slice() else { panic!("two listeners") };
        assert_eq!(wide.address, Address::Named("0.0.0.0".into()));
        assert_eq!(local.address, Address::Named("::1".into()));
        assert!(!config.allows_anonymous(wide) && config.allows_anonymous(local));
    }

    #[test]
    fn anybody_comes_in_where_that_is_asked_for() {
        let config = config(&["--bind", "0.0.0.0", "--allow-anonymous"]);
        assert!(config.allows_anonymous(&config.listeners[0]));
    }

    #[test]
    fn what_is_kept_follows_mosquitto_only_if_started_as_it() {
        let kept = |line: &[&str]| config(line).persistence.enabled;
        assert!(kept(&[]));
        assert!(kept(&["--shards", "1", "-p", "1884"]));
        assert!(kept(&["-p", "1884", "--data-dir", "x"]));
        assert!(!kept(&["-p", "1884", "-v"]));
        assert!(!kept(&["--durability", "off"]));
    }

    #[test]
    fn under_its_name_refusals_and_delays_of_wills_are_those_of_mosquitto() {
        let mut loaded = Loader::new(&Disk).load_command_line(&CommandLine::default()).unwrap();
        parse(&[]).apply(&mut loaded).unwrap();
        assert_eq!(loaded.config.delivery.refusal_codes, RefusalCodePolicy::Telling);
        parse(&["-p", "1884", "-v"]).apply(&mut loaded).unwrap();
        assert_eq!(loaded.config.delivery.refusal_codes, RefusalCodePolicy::Familiar);
        BrokerArgs::of_mosquitto(&CommandLine::default()).apply(&mut loaded).unwrap();
        assert_eq!(loaded.config.delivery.refusal_codes, RefusalCodePolicy::Mosquitto);
        assert_eq!(loaded.config.delivery.will_delay, WillDelayPolicy::Mosquitto);
    }

    #[test]
    fn durability_is_told_by_name_and_interval() {
        let durability = |text: &str| parse(&["--durability", text]).own.durability.unwrap();
        assert_eq!(durability("always"), Keeping::Always);
        assert_eq!(durability("off"), Keeping::Off);
        assert_eq!(durability("interval"), Keeping::Interval(Duration::from_millis(100)));
        assert_eq!(durability("interval=20ms"), Keeping::Interval(Duration::from_millis(20)));
        assert_eq!(durability("interval=2s"), Keeping::Interval(Duration::from_secs(2)));
        for wrong in ["", "never", "interval=", "interval=0ms", "interval=5", "always=1s"] {
            let parsed = typed::<BrokerArgs>(["--durability", wrong]);
            assert!(parsed.is_err(), "{wrong}");
        }
    }

    #[test]
    fn lifting_the_limit_of_queues_lifts_it_in_bytes_too() {
        let limits = config(&["--max-queued", "0"]).limits;
        assert_eq!(limits.maximum_queued_messages, Limit::Unlimited);
        assert_eq!(limits.maximum_shard_queue_bytes, Limit::Unlimited);
    }
}

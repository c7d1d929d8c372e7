//! The brokers of a comparison: already running, or started for each run and stopped after it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::affinity::pinned;
use super::args::TargetArgs;
use super::clock::{SECOND_NS, now_ns};
use super::configs;
use super::frames::Version;
use super::plan::run_tag;

/// Patience with a broker that starts, and with one that stops.
const PATIENCE_NS: u64 = 15 * SECOND_NS;

/// Ports for brokers that are started.
const PORTS: Range<u16> = 20_000..32_000;

/// Between two looks at it.
const GLANCE: Duration = Duration::from_millis(20);

/// Time after the first accepted connection for whatever else a broker does at its start.
const SETTLE: Duration = Duration::from_millis(300);

/// A broker as given by `--broker`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BrokerSpec {
    /// Name in reports.
    pub(super) name: String,
    source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Running { host: String, port: u16, pid: Option<u32> },
    Command(Vec<String>),
}

impl FromStr for BrokerSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| format!("{text:?} is not NAME=HOST:PORT[,PID] or NAME=COMMAND"))?;
        let source = match running(value) {
            Some(source) => source,
            None => Source::Command(split_words(value)?),
        };
        if name.is_empty() || source == Source::Command(Vec::new()) {
            return Err(format!("{text:?} lacks a name or a command"));
        }
        Ok(Self { name: name.to_owned(), source })
    }
}

/// How a broker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With SIGKILL: what is not on its way to the disk is lost.
    Crash,
    /// With SIGTERM.
    Graceful,
}

/// A broker ready for connections; one that was started is stopped when this is dropped.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) pid: Option<u32>,
    /// What it speaks, if that is no version of MQTT.
    speaks: Option<Version>,
    started: Option<Started>,
}

/// The process of a broker and what it takes to start it once more.
#[derive(Debug)]
struct Started {
    child: Child,
    words: Vec<String>,
    cpus: Vec<usize>,
    directory: PathBuf,
}

impl BrokerSpec {
    /// Starts the broker, if it has to be, on `cpus` and waits until it accepts.
    pub(super) fn start(&self, cpus: &[usize]) -> Result<Broker> {
        let words = match &self.source {
            Source::Running { host, port, pid } => {
                let host = host.clone();
                return Ok(Broker { host, port: *port, pid: *pid, speaks: None, started: None });
            }
            Source::Command(words) => words,
        };
        let port = free_port()?;
        let directory = std::env::temp_dir().join(format!("dunlin-bench-{:08x}", run_tag()));
        fs::create_dir(&directory).with_context(|| format!("creating {}", directory.display()))?;
        let speaks = configs::speaks_nats(words).then_some(Version::Nats);
        let child = configs::fill_in(words, port, &directory)
            .and_then(|words| Ok((pinned(cpus, || spawn(&words, &directory))?, words)));
        let (child, words) = child.inspect_err(|_| drop(fs::remove_dir_all(&directory)))?;
        let mut broker = Broker {
            host: "127.0.0.1".to_owned(),
            port,
            pid: Some(child.id()),
            speaks,
            started: Some(Started { child, words, cpus: cpus.to_vec(), directory }),
        };
        broker.wait_until_it_accepts().with_context(|| format!("starting {}", self.name))?;
        Ok(broker)
    }
}

impl Broker {
    /// The target of a scenario that runs against this broker.
    pub(super) fn target(&self, common: &TargetArgs) -> TargetArgs {
        let mqtt = self.speaks.unwrap_or(common.mqtt);
        let host = self.host.clone();
        TargetArgs { host, port: self.port, pid: self.pid, mqtt, ..common.clone() }
    }

    /// Ends the process and gives the moment it was started anew, with the same command, port and
    /// directory. Returns as soon as the process runs, not when it serves.
    pub(super) fn restart(&mut self, ending: Ending) -> Result<u64> {
        let started = self.started.as_mut().context("only a broker that was started here")?;
        match ending {
            Ending::Crash => {
                started.child.kill().context("killing the broker")?;
                started.child.wait().context("waiting for the broker's end")?;
            }
            Ending::Graceful => stop(&mut started.child),
        }
        let from_ns = now_ns();
        let (words, directory) = (&started.words, &started.directory);
        started.child = pinned(&started.cpus, || spawn(words, directory))?;
        self.pid = Some(started.child.id());
        Ok(from_ns)
    }

    /// Whether it has not ended, and where its files are.
    pub(super) fn directory(&mut self) -> Result<PathBuf> {
        self.still_runs()?;
        let started = self.started.as_ref().context("only a broker that was started here")?;
        Ok(started.directory.clone())
    }

    fn wait_until_it_accepts(&mut self) -> Result<()> {
        let deadline = now_ns() + PATIENCE_NS;
        loop {
            self.still_runs()?;
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                std::thread::sleep(SETTLE);
                return self.still_runs();
            }
            if now_ns() > deadline {
                bail!("it does not accept connections on port {}", self.port);
            }
            std::thread::sleep(GLANCE);
        }
    }

    fn still_runs(&mut self) -> Result<()> {
        let Some(started) = &mut self.started else { return Ok(()) };
        match started.child.try_wait()? {
            Some(status) => {
                bail!("it ended with {status} (its output goes nowhere: try it by hand)")
            }
            None => Ok(()),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(started) = &mut self.started {
            stop(&mut started.child);
            drop(fs::remove_dir_all(&started.directory));
        }
    }
}

/// Asks with SIGTERM, insists with SIGKILL. A process that is gone already is fine.
fn stop(child: &mut Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let is_asked = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
    let deadline = now_ns() + if is_asked { PATIENCE_NS } else { 0 };
    while matches!(child.try_wait(), Ok(None)) {
        if now_ns() > deadline {
            drop(child.kill());
            drop(child.wait());
            return;
        }
        std::thread::sleep(GLANCE);
    }
}

fn spawn(words: &[String], directory: &PathBuf) -> Result<Child> {
    let (program, arguments) = words.split_first().context("an empty command")?;
    Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {program}"))
}

/// A port nobody listens on: below the range that outgoing connections take theirs from, and
/// begun at a place that differs between two comparisons at the same time.
fn free_port() -> Result<u16> {
    let first = run_tag() as u16 % PORTS.len() as u16;
    (0..PORTS.len() as u16)
        .map(|step| PORTS.start + (first + step) % PORTS.len() as u16)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .with_context(|| format!("every port of {PORTS:?} is taken"))
}

/// `HOST:PORT` or `HOST:PORT,PID`.
fn running(text: &str) -> Option<Source> {
    let (address, pid) = match text.split_once(',') {
        Some((address, pid)) => (address, Some(pid.parse().ok()?)),
        None => (text, None),
    };
    let (host, port) = address.rsplit_once(':')?;
    if host.contains(char::is_whitespace) {
        return None;
    }
    Some(Source::Running { host: host.to_owned(), port: port.parse().ok()?, pid })
}

/// Words of a command line; quotes keep blanks together.
pub(super) fn split_words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in text.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err(format!("a quote in {text:?} is not closed"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_an_address_or_a_command() {
        let spec: BrokerSpec = "a=127.0.0.1:1884,77".parse().unwrap();
        let host = "127.0.0.1".to_owned();
        assert_eq!(spec.source, Source::Running { host, port: 1884, pid: Some(77) });
        let spec: BrokerSpec = "m=mosquitto -c {conf}".parse().unwrap();
        let words = ["mosquitto", "-c", "{conf}"].map(str::to_owned).to_vec();
        assert_eq!(spec.source, Source::Command(words));
        assert!("nothing".parse::<BrokerSpec>().is_err());
        assert!("a=".parse::<BrokerSpec>().is_err());
        assert!("=a".parse::<BrokerSpec>().is_err());
    }

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(split_words(r#"a "b c" d'' '' "#).unwrap(), ["a", "b c", "d", ""]);
        assert!(split_words("a 'b").is_err());
    }

    #[test]
    fn a_command_that_ends_at_once_is_an_error() {
        let spec: BrokerSpec = "false=false".parse().unwrap();
        let error = spec.start(&[]).unwrap_err();
        assert!(format!("{error:#}").contains("it ended"), "{error:#}");
    }
}

//! The broker as a process that can be killed.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dunlin_testkit::binary;

use crate::random::Random;

/// How long a start may take, on a machine whose disk others keep busy.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long a graceful stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(120);
/// Ends the broker when the process that holds the other end of its standard input dies.
const WATCHDOG: &str = r#"read -r _; kill -9 "$1" 2>/dev/null"#;

/// A broker with a data directory and a port that outlive its processes.
#[derive(Debug)]
pub(crate) struct Daemon {
    base: Directory,
    address: SocketAddr,
    data: PathBuf,
    options: Vec<String>,
    /// A command that runs the broker in its own place.
    through: Vec<String>,
    process: Option<(Child, Child)>,
}

impl Daemon {
    /// One that is not started, with a fresh data directory.
    pub(crate) fn new(what: &str, durability: &str) -> Self {
        let base = Directory::new(what);
        Self {
            data: base.0.join("data"),
            base,
            address: free_address(),
            options: vec!["--durability".into(), durability.into()],
            through: Vec::new(),
            process: None,
        }
    }

    /// The same with one more option.
    pub(crate) fn option(mut self, name: &str, value: &str) -> Self {
        self.options.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// The same, run by another command.
    pub(crate) fn through(mut self, command: &[&str]) -> Self {
        self.through = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// The same on the data directory of another.
    pub(crate) fn sharing(mut self, other: &Self) -> Self {
        self.data.clone_from(&other.data);
        self
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where everything of this broker lies.
    pub(crate) fn base(&self) -> &Path {
        &self.base.0
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Keeps data and log for whoever wants to know why a test failed.
    pub(crate) const fn keep(&mut self) {
        self.base.1 = true;
    }

    /// Starts a process without waiting until it serves.
    pub(crate) fn launch(&mut self, more: &[&str]) {
        assert!(self.process.is_none(), "it runs already");
        let mut words = self.through.iter().map(PathBuf::from).chain([binary()]);
        let mut broker = Command::new(words.next().expect("there is the binary at least"))
            .args(words)
            .args(["--port", &self.address.port().to_string(), "--data-dir"])
            .arg(&self.data)
            .args(&self.options)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.log_file())
            .spawn()
            .expect("the binary runs");
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "sh", &broker.id().to_string()])
            .stdin(Stdio::piped())
            .spawn();
        let Ok(watchdog) = watchdog else {
            drop(broker.kill());
            panic!("there is no shell");
        };
        self.process = Some((broker, watchdog));
    }

    /// Starts and waits until it serves.
    pub(crate) fn start(&mut self, more: &[&str]) {
        self.launch(more);
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.exited() {
                panic!("the broker ended with {status}: {}", self.log_tail());
            }
            assert!(Instant::now() < deadline, "nobody serves: {}", self.log_tail());
            sleep(Duration::from_millis(2));
        }
    }

    /// How the process ended, if it has.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.process.as_mut()?.0.try_wait().expect("a child can be waited for")
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let (mut broker, watchdog) = self.process.take().expect("it runs");
        broker.kill().expect("a child can be killed");
        broker.wait().expect("a child can be waited for");
        end(watchdog);
    }

    /// SIGTERM, and waits.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("there is kill");
        assert!(sent.success(), "no SIGTERM to {pid}");
        self.wait(STOP_LIMIT).unwrap_or_else(|| panic!("it does not stop: {}", self.log_tail()))
    }

    /// Waits for a process that ends by itself.
    pub(crate) fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.exited() {
                let (_, watchdog) = self.process.take().expect("it ran");
                end(watchdog);
                return Some(status);
            }
            sleep(Duration::from_millis(2));
        }
        None
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").0.id()
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1024)
    }

    fn log_path(&self) -> PathBuf {
        self.base.0.join("broker.log")
    }

    fn log_file(&self) -> File {
        let path = self.log_path();
        OpenOptions::new().create(true).append(true).open(path).expect("a log can be written")
    }

    /// Writes a line of the test between those of the broker.
    pub(crate) fn remark(&self, line: &str) {
        writeln!(self.log_file(), "-- {line}").expect("a log can be written");
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    pub(crate) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
        if std::thread::panicking() {
            self.keep();
        }
    }
}

fn end(mut watchdog: Child) {
    drop(watchdog.kill());
    drop(watchdog.wait());
}

/// A directory of one test, removed at its end unless it is to be kept.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf, bool);

impl Directory {
    fn new(what: &str) -> Self {
        let name = format!("dunlin-crash-{what}-{}-{}", std::process::id(), free_address().port());
        let path = std::env::var_os("CRASH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let path = path.join(name);
        std::fs::create_dir_all(&path).expect("a directory can be made");
        Self(path, false)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.1 {
            eprintln!("kept: {}", self.0.display());
        } else {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }
}

/// A free port below those the kernel gives to outgoing connections: one of these, tried again and
/// again while nobody serves there, would in the end connect to itself.
fn free_address() -> SocketAddr {
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.subsec_nanos());
    let mut random = Random::of(u64::from(std::process::id()), u64::from(now));
    loop {
        let port = 20_000 + random.below(12_000) as u16;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

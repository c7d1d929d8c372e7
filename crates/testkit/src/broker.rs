//! Runs the broker that the suite talks to.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a broker may take until it accepts.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Runs its arguments and ends them when its standard input closes, which happens whichever way
/// the process that holds the other end dies.
const WATCHDOG: &str = r#""$@" </dev/null & echo $!; read -r _; kill -9 $!; wait $! 2>/dev/null"#;

/// A broker that runs for as long as this value, or one that somebody else runs.
///
/// The binary is the one `DUNLIN_BIN` names, else the `dunlin` of the target directory the tests
/// run from, built first. `DUNLIN_TEST_ADDR=host:port` names a broker that runs already.
#[derive(Debug)]
pub struct Broker {
    address: SocketAddr,
    process: Option<(Child, u32)>,
}

impl Broker {
    /// The broker that all tests of this process share.
    ///
    /// # Panics
    /// When it does not start.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Broker> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("DUNLIN_TEST_ADDR") {
            Ok(address) => Self {
                address: address.parse().expect("DUNLIN_TEST_ADDR is host:port"),
                process: None,
            },
            Err(_) => Self::start(),
        })
    }

    /// A broker of one's own, for tests that would disturb the others.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        let binary = binary();
        let address = free_address();
        let mut child = Command::new("sh")
            .args(["-c", WATCHDOG, "sh"])
            .arg(binary)
            .args(["-p", &address.port().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log())
            .spawn()
            .expect("there is a shell");
        let stdout = child.stdout.take().expect("standard output is piped");
        let mut line = String::new();
        let mut stdout = BufReader::new(stdout);
        stdout.read_line(&mut line).expect("the watchdog tells the process identifier");
        let pid = line.trim().parse().expect("a process identifier is a number");
        // Whatever the broker prints is read on, lest it waits for room in the pipe.
        std::thread::spawn(move || drop(std::io::copy(&mut stdout, &mut std::io::sink())));
        let broker = Self { address, process: Some((child, pid)) };
        broker.wait_until_it_accepts();
        broker
    }

    fn wait_until_it_accepts(&self) {
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect(self.address).is_err() {
            assert!(Instant::now() < deadline, "no broker on {} yet", self.address);
            sleep(Duration::from_millis(10));
        }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resident memory in bytes; `None` for a broker of somebody else or where there is no /proc.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        let (_, pid) = self.process.as_ref()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1024)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.process {
            drop(child.stdin.take());
            drop(child.wait());
        }
    }
}

fn log() -> Stdio {
    if std::env::var_os("DUNLIN_TEST_LOG").is_some() { Stdio::inherit() } else { Stdio::null() }
}

/// A port that was free a moment ago.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    listener.local_addr().expect("a bound socket has an address")
}

/// The binary under test: the one `DUNLIN_BIN` names, else the `dunlin` beside the running test, built
/// first.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn binary() -> PathBuf {
    if let Ok(path) = std::env::var("DUNLIN_BIN") {
        return path.into();
    }
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build).clone()
}

/// Builds the binary beside the running test: `<target>/<profile>/deps/<test>`.
fn build() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.ancestors().nth(2).expect("tests lie in <target>/<profile>/deps");
    let target = profile.parent().expect("a profile lies in the target directory");
    let name = profile.file_name().and_then(|name| name.to_str()).expect("profiles have names");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "-p", "dunlin", "--profile"])
        .arg(if name == "debug" { "dev" } else { name })
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "cargo build -p dunlin failed");
    profile.join("dunlin")
}

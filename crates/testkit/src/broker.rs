//! Runs the broker that the suite talks to.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a broker may take until it accepts.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Runs its arguments and ends them when its standard input closes, which happens whichever way
/// the process that holds the other end dies. Removes the directory `OWN` then, unless told to keep it.
const WATCHDOG: &str = r#""$@" </dev/null & echo $!; read -r word; kill -9 $!; wait $! 2>/dev/null
[ "$word" = keep ] || [ -z "$OWN" ] || rm -rf "$OWN""#;

/// A broker that runs for as long as this value, or one that somebody else runs.
///
/// What it keeps lies in a directory of its own, removed at the end, unless it is given one.
///
/// The binary is the one `DUNLIN_BIN` names, else the `dunlin` of the target directory the tests
/// run from, built first. `DUNLIN_TEST_ADDR=host:port` names a broker that runs already.
#[derive(Debug)]
pub struct Broker {
    address: SocketAddr,
    /// `None` for one that somebody else runs, or that was killed.
    process: Option<(Child, u32)>,
    data: Option<Data>,
}

/// Where a broker keeps what is to survive it.
#[derive(Debug)]
enum Data {
    /// In a directory of the test.
    Given(PathBuf),
    /// In one that nobody else needs.
    Own(PathBuf),
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
                data: None,
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
        Self::start_on(Data::Own(temporary()))
    }

    /// A broker that keeps its data in `directory` and leaves it there.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_in(directory: &Path) -> Self {
        Self::start_on(Data::Given(directory.to_owned()))
    }

    fn start_on(data: Data) -> Self {
        let mut broker = Self { address: free_address(), process: None, data: Some(data) };
        broker.run();
        broker
    }

    /// Ends the process as `kill -9` does. Does nothing to a broker of somebody else.
    pub fn kill(&mut self) {
        self.end(b"keep\n");
    }

    fn end(&mut self, last_words: &[u8]) {
        if let Some((mut child, _)) = self.process.take() {
            // If the watchdog is gone already, so is the broker.
            drop(child.stdin.take().map(|mut stdin| stdin.write_all(last_words)));
            drop(child.wait());
        }
    }

    /// Kills the broker, if it runs, and starts it again: on the same address, with what it has kept.
    ///
    /// # Panics
    /// When it does not start, or belongs to somebody else.
    pub fn restart(&mut self) {
        self.kill();
        self.run();
    }

    fn run(&mut self) {
        let data = self.data.as_ref().expect("a broker of somebody else is not ours to start");
        let mut child = Command::new("sh")
            .args(["-c", WATCHDOG, "sh"])
            .arg(binary())
            .args(["-p", &self.address.port().to_string(), "--data-dir"])
            .arg(data.directory())
            .env("OWN", data.own())
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
        self.process = Some((child, pid));
        self.wait_until_it_accepts();
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
        self.end(b"");
        // A killed one has nobody else left to do it.
        if let Some(Data::Own(directory)) = &self.data {
            drop(std::fs::remove_dir_all(directory));
        }
    }
}

impl Data {
    fn directory(&self) -> &Path {
        let (Self::Given(directory) | Self::Own(directory)) = self;
        directory
    }

    /// What is to be removed in the end; empty for nothing.
    fn own(&self) -> &Path {
        match self {
            Self::Given(_) => Path::new(""),
            Self::Own(directory) => directory,
        }
    }
}

/// A new directory that only this user may look into.
fn temporary() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("dunlin-testkit-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    // Left behind by a process of the same number that was killed.
    drop(std::fs::remove_dir_all(&directory));
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&directory)
        .expect("there is room for a directory");
    directory
}

fn log() -> Stdio {
    if std::env::var_os("DUNLIN_TEST_LOG").is_some() { Stdio::inherit() } else { Stdio::null() }
}

/// A free port that the system gives neither to who asks for any nor to who connects: it stays free until the
/// broker has it, and while it is started again.
fn free_address() -> SocketAddr {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + (std::process::id() % 100) as u16 * 100;
    loop {
        let port = first + GIVEN.fetch_add(1, Ordering::Relaxed) % 100;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
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

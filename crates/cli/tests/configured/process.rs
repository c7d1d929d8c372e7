//! A broker with a directory of its own, and clients to try it with.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) const DUNLIN: &str = env!("CARGO_BIN_EXE_dunlin");

/// How long anything may take on a machine that has other things to do.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A directory with files, in which brokers run.
pub(crate) struct Place {
    directory: TempDir,
    ports: Vec<u16>,
}

/// A broker that runs until the value is dropped.
pub(crate) struct Broker {
    process: Child,
    log: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().expect("there is room for a directory");
        Self { directory, ports: (0..3).map(|_| free_port()).collect() }
    }

    /// Writes a file, with `PORT`, `PORT2`, `PORT3` and `DIR` replaced by what they are here.
    pub(crate) fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it is below the directory")).expect("it is made");
        fs::write(path, self.fill(text)).expect("it is written");
        self
    }

    pub(crate) fn fill(&self, text: &str) -> String {
        text.replace("PORT2", &self.ports[1].to_string())
            .replace("PORT3", &self.ports[2].to_string())
            .replace("PORT", &self.port().to_string())
            .replace("DIR", &self.directory.path().display().to_string())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("it is there and text")
    }

    pub(crate) fn port(&self) -> u16 {
        self.ports[0]
    }

    pub(crate) fn second_port(&self) -> u16 {
        self.ports[1]
    }

    /// Runs the program to its end, under a name of its own if one is given.
    pub(crate) fn run(&self, name: &str, line: &str) -> Output {
        let line = self.fill(line);
        let mut command = dunlin();
        command.arg0(name).args(line.split_whitespace()).current_dir(self.directory.path());
        command.stdin(Stdio::null()).output().expect("the binary starts")
    }

    /// Starts a broker, and waits until its ports can be reached.
    pub(crate) fn start(&self, line: &str, ports: &[u16]) -> Broker {
        self.start_as("dunlin", line, ports)
    }

    pub(crate) fn start_as(&self, name: &str, line: &str, ports: &[u16]) -> Broker {
        let log = self.path("stderr");
        let file = fs::File::create(&log).expect("the log can be written");
        let line = self.fill(line);
        let process = dunlin()
            .arg0(name)
            .args(line.split_whitespace())
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("the binary starts");
        let mut broker = Broker { process, log };
        for port in ports {
            broker.wait_until(|| is_open(*port), &format!("port {port}"));
        }
        broker
    }
}

impl Broker {
    /// What it has written to stderr.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(sent.expect("there is kill").success());
    }

    /// Waits for a text in the log.
    pub(crate) fn hears(&mut self, text: &str) {
        self.hears_times(text, 1);
    }

    pub(crate) fn hears_times(&mut self, text: &str, times: usize) {
        let log = self.log.clone();
        let is_there =
            || fs::read_to_string(&log).unwrap_or_default().matches(text).count() >= times;
        self.wait_until(is_there, text);
    }

    /// Asks it to end, and returns its status.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        let begun = Instant::now();
        while Instant::now().duration_since(begun) < LIMIT {
            if let Some(status) = self.process.try_wait().expect("it can be waited for") {
                return status.code();
            }
            sleep(Duration::from_millis(10));
        }
        panic!("it does not end: {}", self.log());
    }

    fn wait_until(&mut self, condition: impl Fn() -> bool, what: &str) {
        let begun = Instant::now();
        while !condition() {
            let ended = self.process.try_wait().expect("it can be waited for");
            assert!(ended.is_none(), "ended with {ended:?} before {what}: {}", self.log());
            let waited = Instant::now().duration_since(begun);
            assert!(waited < LIMIT, "{what} does not come: {}", self.log());
            sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The program, without variables of the tests, which it would take for settings.
fn dunlin() -> Command {
    let mut command = Command::new(DUNLIN);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DUNLIN_") {
            command.env_remove(name);
        }
    }
    command
}

/// Waits until it is so.
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(Instant::now().duration_since(begun) < LIMIT, "{what}");
        sleep(Duration::from_millis(10));
    }
}

pub(crate) fn is_open(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// A port that no other test here has, nor the system gives to those who only connect.
fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 200).unwrap_or(0) * 100;
    loop {
        let port = first + GIVEN.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}

/// Mosquitto's client if it is installed, else ours, which takes the same options.
pub(crate) fn client(name: &str) -> Command {
    let theirs = Path::new("/usr/bin").join(format!("mosquitto_{name}"));
    if theirs.exists() {
        return Command::new(theirs);
    }
    let mut ours = Command::new(DUNLIN);
    ours.arg(name);
    ours
}

/// Publishes; true if the broker took it.
pub(crate) fn publish(port: u16, line: &str) -> bool {
    let mut command = client("pub");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]).args(line.split_whitespace());
    let output = command.stdin(Stdio::null()).output().expect("the client runs");
    output.status.success()
}

/// Subscribes and returns what comes, as far as `line` says.
pub(crate) fn subscribe(port: u16, line: &str) -> String {
    let mut command = client("sub");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]).args(line.split_whitespace());
    let output = command.stdin(Stdio::null()).output().expect("the client runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The same for all that comes in a while: longer and longer, until anything does.
pub(crate) fn subscribe_for_a_while(port: u16, line: &str) -> String {
    let within = |seconds: u32| subscribe(port, &format!("{line} -W {seconds}"));
    [1, 4, 16, 60].into_iter().map(within).find(|output| !output.is_empty()).unwrap_or_default()
}

/// All of a pipe.
pub(crate) fn all_of(mut pipe: impl Read) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).expect("it is text");
    text
}

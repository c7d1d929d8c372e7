//! The broker as a process: its data directory, its words, its end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const DUNLIN: &str = env!("CARGO_BIN_EXE_dunlin");

/// A broker on a free port, in a working directory of its own, for as long as the value lives.
struct Broker {
    process: Child,
    port: String,
    /// What it said at start.
    greeting: String,
}

impl Broker {
    fn start(directory: &Path, arguments: &[&str]) -> Self {
        Self::start_with(directory, arguments, &[])
    }

    fn start_with(directory: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        let mut process = Command::new(DUNLIN)
            .args(["-p", "0", "--bind", "127.0.0.1", "-q"])
            .args(arguments)
            .envs(settings.iter().copied())
            .current_dir(directory)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut output = BufReader::new(process.stdout.take().expect("its output is piped"));
        let mut greeting = String::new();
        while !greeting.contains(" kept ") {
            let read = output.read_line(&mut greeting).expect("it says where it keeps what");
            assert!(read > 0, "ended after: {greeting}");
        }
        let first = greeting.lines().next().unwrap_or_default();
        let (_, port) = first.rsplit_once(':').expect("an address with its port");
        Self { port: port.to_owned(), process, greeting }
    }

    fn run(&self, words: &str) -> Output {
        let mut command = Command::new(DUNLIN);
        let mut words = words.split_whitespace();
        command.args(words.next()).args(["-h", "127.0.0.1", "-p", &self.port]).args(words);
        command.stdin(Stdio::null()).output().expect("the command runs")
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().expect("there is kill");
        assert!(sent.success());
    }

    /// Ends it with a signal, and returns its status.
    fn stop(mut self) -> Option<i32> {
        self.signal("-TERM");
        self.process.wait().expect("it ends").code()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn directory() -> TempDir {
    TempDir::new().expect("there is room for a directory")
}

#[test]
fn retained_messages_outlive_a_stop_in_the_directory_that_is_printed() {
    let directory = directory();
    let broker = Broker::start(directory.path(), &[]);
    let data = directory.path().join("dunlin-data").canonicalize().expect("it is there");
    assert!(broker.greeting.contains(&data.display().to_string()), "{}", broker.greeting);
    assert!(broker.run("pub -q 1 -r -t a/b -m kept").status.success());
    assert_eq!(broker.stop(), Some(0));
    let broker = Broker::start(directory.path(), &[]);
    let got = broker.run("sub -q 1 -t a/b -C 1 -W 60");
    assert_eq!(String::from_utf8_lossy(&got.stdout), "kept\n");
}

#[test]
fn nothing_is_written_where_nothing_is_to_be_kept() {
    let directory = directory();
    let broker = Broker::start(directory.path(), &["--durability", "off"]);
    assert!(broker.run("pub -q 1 -r -t a/b -m gone").status.success());
    assert_eq!(broker.stop(), Some(0));
    let left = std::fs::read_dir(directory.path()).expect("it is there").count();
    assert_eq!(left, 0);
}

/// Whether a client with a keep alive of 3 s is served on whose PINGREQ came while the process stood still for
/// longer; nothing if that did not come in time.
fn outlives_a_standstill(broker: &Broker) -> Option<bool> {
    let port = broker.port.parse().expect("a number");
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
    client.set_read_timeout(Some(Duration::from_secs(60))).expect("it is not zero");
    let begun = Instant::now();
    client.write_all(b"\x10\x0D\0\x04MQTT\x04\x02\0\x03\0\x01c").expect("it is open");
    let mut answer = [0; 4];
    client.read_exact(&mut answer).expect("CONNACK");
    assert_eq!(answer, [0x20, 2, 0, 0]);
    broker.signal("-STOP");
    let sent = client.write_all(&[0xC0, 0]);
    let in_time = sent.is_ok() && Instant::now() - begun < Duration::from_secs(4);
    sleep(Duration::from_secs(6));
    broker.signal("-CONT");
    let mut pong = [0; 2];
    let is_served = client.read_exact(&mut pong).is_ok() && pong == [0xD0, 0];
    in_time.then_some(is_served)
}

#[test]
fn who_was_not_silent_while_the_process_stood_still_stays_connected() {
    let directory = directory();
    let broker = Broker::start(directory.path(), &["--durability", "off"]);
    let stays = (0..20).find_map(|_| outlives_a_standstill(&broker));
    assert_eq!(stays, Some(true));
}

/// Whether all who sent their CONNECT while the process stood still are answered, though their time for it is
/// over; nothing if they were too slow themselves.
fn hears_everybody_after_a_standstill(broker: &Broker) -> Option<bool> {
    const CLIENTS: u8 = 90;
    let port: u16 = broker.port.parse().expect("a number");
    let begun = Instant::now();
    let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| connect()).collect();
    broker.signal("-STOP");
    for (client, number) in clients.iter_mut().zip(b'!'..) {
        client.set_read_timeout(Some(Duration::from_secs(60))).expect("it is not zero");
        // Who is not there any more was too slow.
        client
            .write_all(&[b"\x10\x0D\0\x04MQTT\x04\x02\0\0\0\x01", &[number][..]].concat())
            .ok()?;
    }
    let in_time = Instant::now().duration_since(begun) < Duration::from_millis(1_500);
    sleep(Duration::from_secs(3));
    broker.signal("-CONT");
    let mut answer = [0; 4];
    let mut is_heard = |client: &mut TcpStream| client.read_exact(&mut answer).is_ok();
    let all = clients.iter_mut().filter_map(|client| is_heard(client).then_some(())).count();
    in_time.then_some(all == clients.len())
}

#[test]
fn many_whose_connect_came_while_the_process_stood_still_are_heard() {
    let directory = directory();
    let brief = [("DUNLIN_LIMITS_CONNECT_TIMEOUT", "2s")];
    let broker = Broker::start_with(directory.path(), &["--durability", "off"], &brief);
    let heard = (0..20).find_map(|_| hears_everybody_after_a_standstill(&broker));
    assert_eq!(heard, Some(true));
}

#[test]
fn a_directory_in_use_is_refused_in_words() {
    let directory = directory();
    let _first = Broker::start(directory.path(), &[]);
    let mut second = Command::new(DUNLIN)
        .args(["-p", "0", "--bind", "127.0.0.1"])
        .current_dir(directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let status = second.wait().expect("it ends");
    let mut told = String::new();
    let mut stderr = second.stderr.take().expect("its errors are piped");
    stderr.read_to_string(&mut told).expect("errors are text");
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(told.contains("in use by another process"), "{told}");
}

//! The binary as its own broker, publisher and subscriber: three processes over loopback.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};

const DUNLIN: &str = env!("CARGO_BIN_EXE_dunlin");

/// A broker on a free port, for as long as the value lives.
struct Broker {
    process: Child,
    port: String,
}

impl Broker {
    fn start() -> Self {
        let mut process = Command::new(DUNLIN)
            .args(["-p", "0", "--bind", "127.0.0.1", "-q", "--durability", "off"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let output = process.stdout.take().expect("its output is piped");
        let mut greeting = String::new();
        BufReader::new(output).read_line(&mut greeting).expect("it says where it listens");
        let (_, port) = greeting.trim().rsplit_once(':').expect("an address with its port");
        Self { port: port.to_owned(), process }
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(DUNLIN);
        let mut words = words.split_whitespace();
        command.args(words.next()).args(["-h", "127.0.0.1", "-p", &self.port]).args(words);
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, words: &str) -> Output {
        self.command(words).output().expect("the command runs")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_retained_message_is_printed_in_every_version() {
    let broker = Broker::start();
    for version in ["31", "311", "5"] {
        for qos in 0..3 {
            let sent =
                broker.run(&format!("pub -V {version} -q {qos} -r -t a/b -m {version}-{qos}"));
            assert!(sent.status.success(), "{sent:?}");
            let got = broker.run(&format!("sub -V {version} -q 2 -v -t a/# -C 1 -W 60"));
            assert_eq!(printed(&got), format!("a/b {version}-{qos}\n"), "{got:?}");
        }
    }
}

#[test]
fn messages_wait_in_a_session_and_come_in_order() {
    let broker = Broker::start();
    assert!(broker.run("sub -i keeper -c -q 2 -t lines -E").status.success());
    let lines: String = (0..1_000).map(|number| format!("{number}\n")).collect();
    let mut publisher = broker.command("pub -q 2 -t lines -l");
    let mut publisher = publisher.stdin(Stdio::piped()).spawn().expect("the command runs");
    let mut input = publisher.stdin.take().expect("its input is piped");
    input.write_all(lines.as_bytes()).expect("it reads");
    drop(input);
    assert!(publisher.wait().expect("it ends").success());
    let got = broker.run("sub -i keeper -c -q 2 -t lines -C 1000 -W 60");
    assert!(got.status.success(), "{got:?}");
    assert_eq!(printed(&got), lines);
}

#[test]
fn nothing_to_print_in_time_is_status_27() {
    let broker = Broker::start();
    let got = broker.run("sub -t nothing -W 0.3");
    assert_eq!(got.status.code(), Some(27), "{got:?}");
}

#[test]
fn a_missing_broker_is_an_error_that_names_it() {
    // A port that is given to nobody, which one that was free a moment ago may be.
    let words = ["pub", "-h", "127.0.0.1", "-p", "1", "-t", "a", "-m", "b"];
    let failed = Command::new(DUNLIN).args(words).output().expect("the command runs");
    assert_eq!(failed.status.code(), Some(1));
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(said.contains("127.0.0.1:1") && said.contains("refused"), "{said}");
}

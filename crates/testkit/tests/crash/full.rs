//! A disk that is full or broken, and recovers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dunlin_testkit::{Connect, Event, Packet, Publish, RawClient, Version, request};

use crate::daemon::Daemon;

/// Sessions that are away, each with a topic of its own.
const SESSIONS: usize = 6;
/// Bytes of a message: a thousand and some fill a segment.
const PAYLOAD: usize = 50_000;
/// After so long, silence is silence.
const PROMPT: Duration = Duration::from_secs(4);
/// How long the broker may take to notice that the disk works again.
const RECOVERS: Duration = Duration::from_secs(60);
/// Quota exceeded.
const QUOTA: u8 = 0x97;

/// What happens to the disk, and back.
trait Fault {
    /// Whether what makes room, and what was on its way, can still be written.
    const WRITES: bool;
    fn strike(&mut self, daemon: &Daemon);
    fn mend(&mut self, daemon: &Daemon);
}

/// A file that takes all the room there is.
struct Ballast;

impl Fault for Ballast {
    const WRITES: bool = true;

    fn strike(&mut self, daemon: &Daemon) {
        let mut ballast = File::create(daemon.data().join("ballast")).expect("there is room yet");
        for size in [1 << 20, 4096, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn mend(&mut self, daemon: &Daemon) {
        std::fs::remove_file(daemon.data().join("ballast")).expect("it can be removed");
    }
}

/// No byte may be written beyond the first million of a file: every write to a segment fails.
struct NoWrites;

impl NoWrites {
    fn limit(daemon: &Daemon, bytes: &str) {
        let status = Command::new("prlimit")
            .args([format!("--pid={}", daemon.pid()), format!("--fsize={bytes}:unlimited")])
            .status();
        assert!(status.is_ok_and(|status| status.success()), "prlimit does not work");
    }
}

impl Fault for NoWrites {
    const WRITES: bool = false;

    fn strike(&mut self, daemon: &Daemon) {
        Self::limit(daemon, "1000000");
    }

    fn mend(&mut self, daemon: &Daemon) {
        Self::limit(daemon, "unlimited");
    }
}

/// No file may be made, renamed or removed in the directory; those that are there can be written.
struct Sealed;

impl Sealed {
    /// What takes the right to write anywhere from who has it, as root does.
    const THROUGH: [&str; 2] = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];

    fn set_mode(daemon: &Daemon, mode: u32) {
        let mode = Permissions::from_mode(mode);
        std::fs::set_permissions(daemon.data(), mode).expect("it is ours");
    }
}

impl Fault for Sealed {
    const WRITES: bool = true;

    fn strike(&mut self, daemon: &Daemon) {
        Self::set_mode(daemon, 0o500);
    }

    fn mend(&mut self, daemon: &Daemon) {
        Self::set_mode(daemon, 0o700);
    }
}

/// Messages to sessions that are away, and what became of them.
struct Ledger {
    publisher: RawClient,
    next: u64,
    acknowledged: BTreeMap<usize, Vec<u64>>,
    /// Sent and not answered yet.
    open: Vec<(u16, usize, u64)>,
}

impl Ledger {
    fn new(daemon: &Daemon) -> Self {
        let connect = Connect::persistent(Version::V5, "filler");
        let (publisher, _) = RawClient::connect(daemon.address(), &connect);
        Self { publisher, next: 0, acknowledged: BTreeMap::new(), open: Vec::new() }
    }

    /// Sends one message and waits: for the reason code, or in vain.
    fn send(&mut self, patience: Duration) -> Option<u8> {
        self.next += 1;
        let session = self.next as usize % SESSIONS;
        let packet_id = self.publisher.packet_id();
        let text = format!("{} {}", self.next, "x".repeat(PAYLOAD));
        let publish = Publish::new(&format!("away/{session}"), &text).qos(1, packet_id);
        self.publisher.send(&publish.bytes(Version::V5));
        self.open.push((packet_id, session, self.next));
        self.answer(packet_id, patience)
    }

    /// Takes acknowledgements until that of one packet has come.
    fn answer(&mut self, packet_id: u16, patience: Duration) -> Option<u8> {
        loop {
            match self.publisher.next(patience) {
                Event::Packet(Packet::PubAck(ack)) => {
                    let at = self.open.iter().position(|(id, ..)| *id == ack.packet_id);
                    let (_, session, number) = self.open.remove(at.expect("it was sent"));
                    if ack.reason == 0 {
                        self.acknowledged.entry(session).or_default().push(number);
                    }
                    if ack.packet_id == packet_id {
                        return Some(ack.reason);
                    }
                }
                Event::Nothing => return None,
                other => panic!("{other:?}"),
            }
        }
    }

    /// Publishes until the broker says that it can keep no more, or says nothing because the message was
    /// on its way to the disk already. Whatever it says to this publisher now has to wait for that.
    fn fill(&mut self, daemon: &Daemon) {
        for _ in 0..20_000 {
            match self.send(PROMPT) {
                Some(0) => {}
                Some(reason) => return assert_eq!(reason, QUOTA),
                None if state(daemon) != "ready" => return,
                // It is slow, on a machine that has other things to do.
                None => {}
            }
        }
        panic!("the disk does not get full: {}", daemon.log_tail());
    }

    /// One of the sessions comes back and gets what was acknowledged, and what may yet be.
    fn drain(&self, daemon: &Daemon, session: usize) {
        let connect = Connect::persistent(Version::V5, &format!("away-{session}"));
        let (mut client, answer) = RawClient::connect(daemon.address(), &connect);
        assert!(answer.session_present, "session {session} is gone");
        let due = self.acknowledged.get(&session).cloned().unwrap_or_default();
        let mut missing: BTreeSet<u64> = due.iter().copied().collect();
        let mut came = Vec::new();
        while !missing.is_empty() {
            let Event::Packet(Packet::Publish(publish)) = client.next(RECOVERS) else {
                panic!("session {session}: {} of {} missing", missing.len(), due.len());
            };
            client.send(&request::ack(request::PUBACK, publish.packet_id));
            let text = publish.text();
            let number = text.split_once(' ').and_then(|(number, _)| number.parse::<u64>().ok());
            // 0 is of another publisher, so it may come anywhere.
            if let Some(number) = number.filter(|number| *number > 0) {
                missing.remove(&number);
                came.push(number);
            }
        }
        assert!(came.is_sorted(), "session {session}: out of order: {came:?}");
        // More may be on its way: what was sent, and acknowledged to nobody so far.
        client.send(&request::disconnect());
        while client.next(RECOVERS) != Event::Closed {}
    }
}

/// A PUBLISH of 5.0 that would have to be kept is refused at once.
fn refused(daemon: &Daemon) {
    let (mut client, _) = RawClient::connect(daemon.address(), &Connect::new(Version::V5, "hasty"));
    client.send(&Publish::new("away/0", "0 refused").qos(1, 1).bytes(Version::V5));
    assert_eq!(client.expect_ack(request::PUBACK, 1), QUOTA);
    client.disconnect();
}

/// QoS 0 goes on.
fn flows(daemon: &Daemon) {
    let connect = |id| RawClient::connect(daemon.address(), &Connect::new(Version::V5, id)).0;
    let (mut subscriber, mut publisher) = (connect("quick-in"), connect("quick-out"));
    publisher.publish("quick", "before", 0);
    // SUBSCRIBE of a session that ends with its connection has nothing to wait for.
    subscriber.subscribe("quick", 0);
    publisher.publish("quick", "through", 0);
    assert_eq!(subscriber.expect_publish().text(), "through");
    subscriber.disconnect();
    publisher.disconnect();
}

/// What `$SYS` says of the store.
fn state(daemon: &Daemon) -> String {
    let connect = Connect::new(Version::V311, "looking");
    let (mut client, _) = RawClient::connect(daemon.address(), &connect);
    client.subscribe("$SYS/broker/store/state", 0);
    let state = client.expect_publish().text();
    // It may be told anew meanwhile.
    client.send(&request::disconnect());
    while !matches!(client.next(RECOVERS), Event::Closed | Event::Nothing) {}
    state
}

/// Waits until `$SYS` says so.
fn wait_for_state(daemon: &Daemon, so: impl Fn(&str) -> bool) {
    let deadline = Instant::now() + RECOVERS;
    while !so(&state(daemon)) {
        assert!(Instant::now() < deadline, "the store is {}", state(daemon));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A PUBLISH of 3.1.1, which knows no refusal: it is not answered. Neither is the CONNECT of a session
/// that is to be kept, when nothing can be written at all.
fn unanswered(daemon: &Daemon, writes: bool) -> RawClient {
    let connect = Connect::persistent(Version::V311, "patient");
    let mut client = RawClient::open(daemon.address(), Version::V311);
    client.send(&connect.bytes());
    if writes {
        assert_eq!(client.expect_connack().code, 0);
        client.send(&Publish::new("away/0", "0 later").qos(1, 1).bytes(Version::V311));
    }
    match client.next(Duration::from_secs(2)) {
        Event::Nothing | Event::Closed => client,
        Event::Packet(packet) => panic!("{packet:?}"),
    }
}

/// Repeats that PUBLISH in a new connection, until it is acknowledged.
fn repeated(daemon: &Daemon, before: RawClient) {
    drop(before);
    let connect = Connect::persistent(Version::V311, "patient");
    let (mut client, _) = RawClient::connect(daemon.address(), &connect);
    client.send(&Publish::new("away/0", "0 later").qos(1, 1).dup().bytes(Version::V311));
    assert_eq!(client.expect_ack(request::PUBACK, 1), 0);
    client.disconnect();
}

fn story<F: Fault>(daemon: &mut Daemon, fault: &mut F) {
    for session in 0..SESSIONS {
        let connect = Connect::persistent(Version::V5, &format!("away-{session}"));
        let (mut client, _) = RawClient::connect(daemon.address(), &connect);
        client.subscribe(&format!("away/{session}"), 1);
        client.disconnect();
    }
    let mut ledger = Ledger::new(daemon);
    for _ in 0..60 {
        assert_eq!(ledger.send(RECOVERS), Some(0));
    }
    fault.strike(daemon);
    ledger.fill(daemon);
    flows(daemon);
    wait_for_state(daemon, |state| state != "ready");
    assert!(daemon.log().contains("Error: "), "no alarm: {}", daemon.log_tail());
    refused(daemon);
    let patient = unanswered(daemon, F::WRITES);
    if F::WRITES {
        ledger.drain(daemon, 1);
        ledger.acknowledged.remove(&1);
    }
    flows(daemon);

    fault.mend(daemon);
    wait_for_state(daemon, |state| state == "ready");
    repeated(daemon, patient);
    while let Some((packet_id, ..)) = ledger.open.first().copied() {
        assert_eq!(ledger.answer(packet_id, RECOVERS), Some(0), "{}", daemon.log_tail());
    }
    for _ in 0..20 {
        assert_eq!(ledger.send(RECOVERS), Some(0), "{}", daemon.log_tail());
    }
    ledger.drain(daemon, 2);
    daemon.kill();
    daemon.start(&[]);
    ledger.acknowledged.remove(&2);
    for session in 0..SESSIONS {
        ledger.drain(daemon, session);
    }
}

/// A file system of its own, for as long as it lives.
pub(crate) struct Small<'a>(pub(crate) &'a Path);

impl<'a> Small<'a> {
    /// `None` where mounting is not for us.
    fn mount(path: &'a Path, size: &str) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "tmpfs"]).arg(path);
        mount.stderr(std::process::Stdio::null());
        mount.status().ok()?.success().then_some(Self(path))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0).status());
    }
}

#[test]
fn a_full_disk_stops_what_has_to_be_kept_and_nothing_else() {
    let mut daemon =
        Daemon::new("full", "always").option("--sys-interval", "1").option("--max-queued", "0");
    let data = daemon.data().to_owned();
    std::fs::create_dir(&data).expect("it can be made");
    let Some(_mounted) = Small::mount(&data, "600m") else {
        eprintln!("skipped: no file system of our own can be mounted here");
        return;
    };
    daemon.start(&[]);
    story(&mut daemon, &mut Ballast);
    daemon.kill();
}

#[test]
fn a_disk_that_refuses_writes_is_tried_again_until_it_works() {
    let mut daemon = Daemon::new("broken", "always")
        .option("--sys-interval", "1")
        .option("--max-queued", "0")
        .through(&["env", "--ignore-signal=XFSZ"]);
    daemon.start(&[]);
    story(&mut daemon, &mut NoWrites);
}

#[test]
fn a_directory_that_becomes_read_only_is_tried_again_until_it_can_be_written() {
    let mut daemon =
        Daemon::new("sealed", "always").option("--sys-interval", "1").option("--max-queued", "0");
    if std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        daemon = daemon.through(&Sealed::THROUGH);
    }
    let data = daemon.data().to_owned();
    std::fs::create_dir(&data).expect("it can be made");
    Sealed::set_mode(&daemon, 0o700);
    // Faster than most disks, if it may be.
    let _mounted = Small::mount(&data, "600m");
    daemon.start(&[]);
    story(&mut daemon, &mut Sealed);
    daemon.kill();
}

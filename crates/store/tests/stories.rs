//! Directories that are not as they should be, disks that fill up, and logs that grow for long.

use dunlin_broker::Time;
use dunlin_broker::journal::{Origin, Record, State, StoredMessage, Target};
use dunlin_proto::qos::QoS;
use dunlin_store::{
    Disk, FaultyDisk, Log, OnDamage, OpenError, Operation, Options, RealDisk, Report, Room,
    WriteError,
};

const SEGMENT: u64 = 64 << 10;

fn options() -> Options {
    Options { segment_bytes: SEGMENT, minimum_segments: 3, identity: Some(7), ..Options::default() }
}

fn open(disk: &FaultyDisk) -> (Log<FaultyDisk>, State, Report) {
    Log::open(disk.clone(), options()).expect("it opens")
}

fn why(disk: &FaultyDisk, options: Options) -> OpenError {
    let names = disk.names();
    let error = Log::open(disk.clone(), options).map(drop).expect_err("it does not open");
    assert_eq!(disk.names(), names, "nothing is changed");
    error
}

fn message(id: u64, payload: &[u8], numbers: &[u64], retained: Option<(&str, u64)>) -> Vec<u8> {
    let qos = QoS::AtLeastOnce;
    let (topic, expires) = (retained.map_or("t", |(topic, _)| topic), Time::MAX);
    let message =
        StoredMessage { topic, payload, properties: &[], expires, qos, retain: retained.is_some() };
    let targets = numbers.iter().copied().map(target).collect();
    let retained = retained.map(|(_, stamp)| stamp);
    written(&[Record::Message {
        id,
        origin: Origin::Client,
        retained,
        held: None,
        publisher: None,
        message,
        targets,
    }])
}

fn written(records: &[Record<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    records.iter().for_each(|record| record.write(&mut bytes));
    bytes
}

fn session(number: u64) -> Vec<u8> {
    written(&[Record::Session {
        number,
        client_id: "c",
        username: None,
        listener: 0,
        expiry: 60,
        will: None,
    }])
}

/// A disk with session 1 and so many messages of 1000 bytes for it, each in a frame of its own.
fn filled(messages: u64) -> FaultyDisk {
    let disk = FaultyDisk::new(1);
    let (mut log, ..) = open(&disk);
    log.append(&[&session(1)]).expect("append");
    for id in 1..=messages {
        log.append(&[&message(id, &[id as u8; 1000], &[1], None)]).expect("append");
        log.sync().expect("sync");
        log.prepare().expect("prepare");
    }
    disk
}

fn queue(state: &State) -> Vec<u64> {
    state.sessions.iter().flat_map(|session| &session.queue).map(|held| held.id).collect()
}

#[test]
fn a_directory_that_holds_something_else_is_left_alone() {
    let mut disk = FaultyDisk::new(1);
    disk.put("letters.txt", b"dear".to_vec());
    assert!(matches!(why(&disk, options()), OpenError::Foreign { file } if file == "letters.txt"));
}

#[test]
fn an_incomplete_copy_is_told_from_a_store() {
    let disk = filled(200);
    let names = disk.names();
    let segments: Vec<&String> = names.iter().filter(|name| name.ends_with(".seg")).collect();

    let mut copy = FaultyDisk::new(2);
    segments.iter().for_each(|name| copy.put(name, disk.contents(name).unwrap_or_default()));
    assert!(matches!(why(&copy, options()), OpenError::NoVersion));

    let mut copy = FaultyDisk::new(2);
    for name in names.iter().filter(|name| *name != segments[1]) {
        copy.put(name, disk.contents(name).unwrap_or_default());
    }
    assert!(matches!(why(&copy, options()), OpenError::Missing { file } if file == *segments[1]));
}

#[test]
fn segments_and_versions_of_others_are_refused() {
    let disk = filled(3);
    let segment = disk.names().into_iter().find(|name| name.ends_with(".seg")).expect("one");
    let foreign = FaultyDisk::new(2);
    drop(Log::open(foreign.clone(), Options { identity: Some(8), ..options() }).expect("a store"));
    let mut mixed = FaultyDisk::new(3);
    mixed.put("VERSION", foreign.contents("VERSION").unwrap_or_default());
    mixed.put(&segment, disk.contents(&segment).unwrap_or_default());
    assert!(matches!(why(&mixed, options()), OpenError::OtherStore { file } if file == segment));

    for (text, newer) in
        [("dunlin store\nformat 2.1\n", true), ("dunlin shop\n", false), ("", false)]
    {
        let mut disk = FaultyDisk::new(4);
        disk.put("VERSION", text.into());
        let error = why(&disk, options());
        assert_eq!(matches!(error, OpenError::Newer { major: 2, minor: 1, .. }), newer, "{error}");
        assert_eq!(matches!(error, OpenError::BadVersion), !newer, "{error}");
    }
}

#[test]
fn a_damaged_segment_is_set_aside_and_all_else_is_read() {
    let mut disk = filled(100);
    let segment = disk.names().into_iter().find(|name| name.ends_with(".seg")).expect("one");
    // The eleventh frame: 4096 of header, and frames of about 1050 bytes.
    assert!(disk.flip(&segment, 4096 + 10 * 1050 + 500, 3));
    let refuse = Options { on_damage: OnDamage::Refuse, ..options() };
    assert!(matches!(why(&disk, refuse), OpenError::Damaged { file, .. } if file == segment));

    let (_, state, report) = open(&disk);
    let [damage] = &report.damage[..] else { panic!("{report:?}") };
    assert_eq!((damage.next - damage.first, damage.sessions, damage.topics), (1, 1, 1), "{damage}");
    let copy = damage.copy.as_ref().expect("there is room");
    assert_eq!(disk.contents(copy), disk.contents(&segment));
    assert_eq!(queue(&state).len(), 99);
    let lost = damage.first - 1;
    assert!(!queue(&state).contains(&lost), "records count from 1, and the first is the session");
}

/// Damage in a group of several frames, which all state the same of what is durable.
#[test]
fn damage_is_told_from_an_unfinished_end_by_frames_further_on() {
    for further_on in [false, true] {
        let mut disk = FaultyDisk::new(1);
        let (mut log, ..) = open(&disk);
        log.append(&[&session(1)]).expect("append");
        log.sync().expect("sync");
        for id in 1..=3 {
            log.append(&[&message(id, &[id as u8; 1000], &[1], None)]).expect("append");
        }
        log.sync().expect("sync");
        if further_on {
            log.append(&[&message(4, &[4; 1000], &[1], None)]).expect("append");
            log.sync().expect("sync");
        }
        drop(log);
        let segment = disk.names().into_iter().find(|name| name.ends_with(".seg")).expect("one");
        assert!(disk.flip(&segment, 4096 + 500, 3));
        let (_, state, report) = open(&disk);
        let left = if further_on { vec![2, 3, 4] } else { Vec::new() };
        assert_eq!((queue(&state), report.damage.len()), (left, usize::from(further_on)));
        assert_eq!(report.torn.is_some(), !further_on);
    }
}

#[test]
fn a_segment_whose_header_is_damaged_is_read_all_the_same() {
    let mut disk = filled(100);
    for segment in disk.names().into_iter().filter(|name| name.ends_with(".seg")).take(2) {
        assert!(disk.flip(&segment, 30, 0));
    }
    let (_, state, _) = open(&disk);
    assert_eq!(queue(&state).len(), 100);
}

#[test]
fn damage_that_appears_while_cleaning_costs_what_is_damaged() {
    let mut disk = filled(100);
    let (mut log, ..) = open(&disk);
    let segment = disk.names().into_iter().find(|name| name.ends_with(".seg")).expect("one");
    assert!(disk.flip(&segment, 4096 + 10 * 1050 + 500, 3));
    for id in 101..1000 {
        let done = written(&[Record::Done { id, target: target(1) }]);
        log.append(&[&message(id, &[0; 1000], &[1], None), &done]).expect("append");
        log.sync().expect("sync");
        log.prepare().expect("prepare");
    }
    assert_eq!((log.status().damaged, log.status().messages), (1, 99));
    assert!(disk.names().iter().any(|name| name.ends_with(".damaged")));
    drop(log);
    let (_, state, report) = open(&disk);
    assert_eq!((queue(&state).len(), report.damage.len()), (99, 0));
}

#[test]
fn a_page_that_cannot_be_read_costs_what_lies_there() {
    let mut disk = filled(100);
    let segment = disk.names().into_iter().find(|name| name.ends_with(".seg")).expect("one");
    assert!(disk.ruin(&segment, 4096 + 10 * 1050));
    let refuse = Options { on_damage: OnDamage::Refuse, ..options() };
    assert!(matches!(why(&disk, refuse), OpenError::Damaged { file, .. } if file == segment));
    let (_, state, report) = open(&disk);
    let [damage] = &report.damage[..] else { panic!("{report:?}") };
    let lost = damage.next - damage.first;
    assert!((4..=6).contains(&lost), "a page has room for four: {damage}");
    assert_eq!(queue(&state).len() as u64, 100 - lost);
    assert!(damage.copy.is_some(), "what can be read is kept");
}

#[test]
fn a_disk_that_reads_nothing_is_no_damage() {
    let mut disk = filled(100);
    disk.fail(Operation::Read, u32::MAX);
    assert!(Log::open(disk.clone(), options()).is_err());
    disk.fail(Operation::Read, 0);
    assert_eq!(queue(&open(&disk).1).len(), 100);
}

#[test]
fn cleaning_goes_on_behind_a_page_that_cannot_be_read() {
    let mut disk = filled(100);
    let (log, ..) = open(&disk);
    let segment = disk.names().into_iter().find(|name| name.ends_with(".seg")).expect("one");
    assert!(disk.ruin(&segment, 4096 + 10 * 1050));
    cleaned_past(log, &disk);
}

/// Damage up to the end of what is read at once, and nothing can be read where the next frame is looked for.
#[test]
fn cleaning_goes_on_behind_damage_before_a_page_that_cannot_be_read() {
    let options = || Options { segment_bytes: 1 << 20, ..options() };
    let mut disk = FaultyDisk::new(1);
    let (mut log, ..) = Log::open(disk.clone(), options()).expect("it opens");
    log.append(&[&session(1)]).expect("append");
    let segment = disk.names().into_iter().find(|name| name.ends_with(".seg")).expect("one");
    let piece_end = 4096 + (256 << 10);
    for id in 1..=6000 {
        let done = written(&[Record::Done { id, target: target(1) }]);
        log.append(&[&message(id, &[0; 1000], &[1], None)]).expect("append");
        // The first thousand stay.
        log.append(&[if id > 1000 { &done[..] } else { &[] }]).expect("append");
        log.sync().expect("sync");
        if id == 1500 {
            let damage = (piece_end - 2500..piece_end).step_by(8);
            assert!(damage.fold(true, |all, offset| all & disk.flip(&segment, offset, 1)));
            assert!(disk.ruin(&segment, piece_end + 4096));
        }
        log.prepare().expect("prepare");
    }
    let (freed, left) = (log.status().freed, log.status().messages);
    assert!(freed > 1 && (985..1000).contains(&left), "{freed} freed, {left} of 1000 left");
}

/// The log is freed though part of its first segment is lost.
fn cleaned_past(mut log: Log<FaultyDisk>, disk: &FaultyDisk) {
    let (mut most, mut freed) = (0, 0);
    for id in 101..1500 {
        let done = written(&[Record::Done { id, target: target(1) }]);
        log.append(&[&message(id, &[0; 1000], &[1], None), &done]).expect("append");
        log.sync().expect("sync");
        log.prepare().expect("prepare");
        let status = log.status();
        (most, freed) = (status.disk_bytes.max(most), status.freed);
    }
    assert!(freed > 5 && most <= 12 * SEGMENT, "{freed} freed, {most} bytes");
    let left = log.status().messages;
    assert!((94..=96).contains(&left), "{left} of 100 left");
    assert_eq!(log.status().damaged, 1);
    drop(log);
    let (_, state, report) = open(disk);
    assert_eq!((queue(&state).len() as u64, report.damage.len()), (left, 0));
}

#[test]
fn what_a_session_had_leaves_the_disk_when_it_ends_though_nothing_more_comes() {
    let disk = filled(1000);
    let (mut log, ..) = open(&disk);
    assert!(log.status().disk_bytes > 12 * SEGMENT);
    log.append(&[&written(&[Record::Ended { number: 1 }])]).expect("append");
    log.sync().expect("sync");
    log.prepare().expect("prepare");
    while log.has_more() {
        log.prepare().expect("prepare");
    }
    let status = log.status();
    assert_eq!(status.messages, 0);
    assert!(status.disk_bytes <= 9 * SEGMENT, "{status:?}");
}

#[test]
fn nothing_more_is_to_be_done_while_it_has_to_wait_for_a_flush() {
    let disk = filled(1000);
    let (mut log, ..) = open(&disk);
    let before = log.status().segments;
    let mut ids = 1001..;
    while log.status().segments == before {
        let id = ids.next().expect("endless");
        log.append(&[&message(id, &[0; 1000], &[], Some(("t", id)))]).expect("append");
        log.prepare().expect("prepare");
    }
    log.append(&[&written(&[Record::Ended { number: 1 }])]).expect("append");
    let more = (0..100).take_while(|_| {
        log.prepare().expect("prepare");
        log.has_more()
    });
    assert!(more.count() < 100, "who calls again at once would do so until the flush");
    assert!(log.status().disk_bytes > 12 * SEGMENT);
    log.sync().expect("sync");
    while log.has_more() {
        log.prepare().expect("prepare");
    }
    let status = log.status();
    assert!(status.messages == 1 && status.disk_bytes <= 9 * SEGMENT, "{status:?}");
}

/// A session is away, and has some messages waiting that nobody takes, while others come and go.
#[test]
fn the_log_stays_within_twice_of_what_lives() {
    let disk = FaultyDisk::new(1);
    let (mut log, ..) = open(&disk);
    log.append(&[&session(1)]).expect("append");
    let mut id = 0;
    for away in 0..600 {
        id += 1;
        log.append(&[&message(id, &[1; 1000], &[1], None)]).expect("append");
        for _ in 0..20 {
            id += 1;
            log.append(&[&message(id, &[2; 1000], &[2], None)]).expect("append");
            log.append(&[&written(&[Record::Done { id, target: target(2) }])]).expect("append");
            log.sync().expect("sync");
            log.prepare().expect("prepare");
        }
        let status = log.status();
        let bound = (2 * status.live_bytes).max(3 * SEGMENT) + 6 * SEGMENT;
        assert!(status.disk_bytes <= bound, "after {away}: {status:?}");
    }
    let status = log.status();
    let factor = status.written_bytes as f64 / status.appended_bytes as f64;
    assert!(factor < 2.5, "each byte was written {factor} times");
    drop(log);
    let (_, state, _) = open(&disk);
    assert_eq!(queue(&state).len(), 600);
}

#[test]
fn a_store_has_room_from_the_size_on_that_it_names_as_its_least() {
    // A file of the version is there besides.
    for (bytes, room) in [(-1, Room::Full), (4096, Room::Ready)] {
        let mut disk = FaultyDisk::new(1);
        let least = open(&FaultyDisk::new(1)).0.least_bytes();
        disk.set_capacity(least.saturating_add_signed(bytes));
        let (mut log, ..) = open(&disk);
        for id in 0..4 {
            log.append(&[&session(id)]).expect("append");
            log.prepare().expect("prepare");
        }
        assert_eq!(log.status().room, room, "{bytes}");
    }
}

#[test]
fn a_full_disk_is_told_and_what_makes_room_is_still_taken() {
    let mut disk = FaultyDisk::new(1);
    let (mut log, ..) = open(&disk);
    log.append(&[&session(1)]).expect("append");
    disk.set_capacity(20 * SEGMENT);
    let mut last = 0;
    while log.status().room == Room::Ready {
        last += 1;
        log.append(&[&message(last, &[1; 1000], &[1], None)]).expect("append");
        log.sync().expect("sync");
        log.prepare().expect("full is no error");
    }
    assert!(last > 500, "only {last} were taken");
    for id in 1..=last {
        log.append(&[&written(&[Record::Done { id, target: target(1) }])])
            .expect("there is a reserve");
        log.sync().expect("sync");
        log.prepare().expect("prepare");
    }
    assert_eq!((log.status().room, log.status().messages), (Room::Ready, 0));
}

#[test]
fn when_even_the_reserve_is_used_up_nothing_is_taken_or_forgotten() {
    let mut disk = FaultyDisk::new(1);
    let (mut log, ..) = open(&disk);
    log.append(&[&session(1)]).expect("append");
    disk.set_capacity(10 * SEGMENT);
    let mut last = 0;
    let error = loop {
        match log.append(&[&message(last + 1, &[1; 1000], &[1], None)]) {
            Ok(()) => last += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, WriteError::Full), "{error}");
    log.sync().expect("what was taken can be flushed");
    disk.crash();
    let (mut log, state, _) = open(&disk);
    assert_eq!(queue(&state), (1..=last).collect::<Vec<_>>());
    disk.set_capacity(u64::MAX);
    log.append(&[&message(last + 1, &[1; 1000], &[1], None)]).expect("there is room again");
}

#[test]
fn a_flush_that_fails_once_is_not_noticed_and_one_that_keeps_failing_is() {
    let mut disk = filled(3);
    let (mut log, ..) = open(&disk);
    log.append(&[&message(4, &[1; 1000], &[1], None)]).expect("append");
    disk.fail(Operation::Sync, 1);
    log.sync().expect("it goes elsewhere");
    log.append(&[&message(5, &[1; 1000], &[1], None)]).expect("append");
    disk.fail(Operation::Sync, u32::MAX);
    assert!(matches!(log.sync(), Err(WriteError::Broken(_))));
    disk.fail(Operation::Sync, 0);
    assert!(log.load(5).expect("it is in memory").is_some());
    log.sync().expect("nothing was forgotten");
    disk.crash();
    assert_eq!(queue(&open(&disk).1), [1, 2, 3, 4, 5]);
}

#[test]
fn messages_larger_than_a_segment_are_kept() {
    let disk = FaultyDisk::new(1);
    let (mut log, ..) = open(&disk);
    let large = vec![9; 5 * SEGMENT as usize];
    for id in 1..5 {
        log.append(&[&session(1), &message(id, &large, &[1], None), &session(2)]).expect("append");
        log.sync().expect("sync");
        log.prepare().expect("prepare");
    }
    drop(log);
    let (mut log, state, _) = open(&disk);
    assert_eq!(queue(&state), [1, 2, 3, 4]);
    let message = log.load(2).expect("it can be read").expect("it is wanted");
    assert_eq!(message.payload(), large);
}

#[test]
fn a_directory_is_for_one_process_and_its_owner() {
    let parent = tempfile::tempdir().expect("a directory");
    let path = parent.path().join("data");
    assert!(matches!(RealDisk::open(&path, false), Err(OpenError::NoDirectory(_))));
    let disk = RealDisk::open(&path, true).expect("it is made");
    assert!(matches!(RealDisk::open(&path, true), Err(OpenError::Locked(_))));
    let (mut log, ..) = Log::open(disk, options()).expect("a store");
    log.append(&[&session(1), &message(1, b"x", &[1], Some(("r", 4)))]).expect("append");
    log.sync().expect("sync");
    drop(log);
    let (mut log, state, _) =
        Log::open(RealDisk::open(&path, false).expect("it is free"), options()).expect("a store");
    assert_eq!((queue(&state), state.retained.len(), state.next_stamp), (vec![1], 1, 5));
    assert_eq!(log.load(1).expect("read").map(|m| m.payload().to_vec()), Some(b"x".to_vec()));
    drop(log);
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o770)).expect("chmod");
    assert!(matches!(RealDisk::open(&path, true), Err(OpenError::Permissions { mode: 0o770, .. })));
}

#[test]
fn parts_are_written_one_behind_the_other() {
    let parent = tempfile::tempdir().expect("a directory");
    let mut disk = RealDisk::open(parent.path(), false).expect("it is there");
    let mut file = disk.create("x", 3).expect("it is new");
    assert!(disk.create("x", 3).is_err());
    disk.write_at(&mut file, 1, &[b"ab", b"", b"cde"]).expect("write");
    let mut bytes = [1; 6];
    disk.read_at(&file, 0, &mut bytes).expect("read");
    assert_eq!(&bytes, b"\0abcde");
    assert_eq!(disk.len(&file).expect("length"), 6);
    assert!(disk.read_at(&file, 1, &mut bytes).is_err(), "it ends before");
}

fn target(number: u64) -> Target {
    let qos = QoS::AtLeastOnce;
    Target { number, qos, retain: false, shared: false, identifier: 0, sent: None }
}

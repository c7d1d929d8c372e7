use dunlin_broker::Time;
use dunlin_broker::journal::{Held, Record, Target};

use super::*;
use crate::samples::{self, message, pid, retained, session, target};
use crate::view;

/// An index with what was applied to it, one record after another in segment 1.
struct Bench {
    index: Index,
    offset: u32,
}

impl Bench {
    fn new() -> Self {
        Self { index: Index::new(7), offset: 4096 }
    }

    fn say(&mut self, record: &Record<'_>) -> Place {
        let bytes = samples::written(std::slice::from_ref(record));
        let length = bytes.len() as u32;
        let place = Place { segment: 1, offset: self.offset, length };
        self.index.apply(&view::view(&bytes).expect("it is whole"), place);
        self.offset += length;
        place
    }

    fn live(&self) -> u64 {
        self.index.live.total()
    }

    fn targets(&self, id: u64) -> Vec<(u64, Option<u16>)> {
        let slot = self.index.messages.find(id);
        let targets = slot.map(|slot| self.index.messages.at(slot).targets());
        let name = |target: Target| (target.number, target.sent.map(|pid| pid.get()));
        targets.into_iter().flatten().map(name).collect()
    }
}

#[test]
fn a_message_lives_until_its_last_receiver_is_done() {
    let mut bench = Bench::new();
    bench.say(&message(5, b"x", &[3, 1, 2]));
    assert!(bench.live() > 0);
    for (number, left) in [(1, vec![2, 3]), (3, vec![2]), (9, vec![2]), (2, vec![])] {
        bench.say(&Record::Done { id: 5, target: target(number) });
        let numbers: Vec<u64> = bench.targets(5).iter().map(|target| target.0).collect();
        assert_eq!(numbers, left);
    }
    assert_eq!((bench.live(), bench.index.messages.len()), (0, 0));
}

#[test]
fn a_message_to_very_many_gives_its_memory_back_as_they_are_done() {
    let mut bench = Bench::new();
    let all: Vec<u64> = (1..=5000).collect();
    bench.say(&message(5, b"x", &all));
    for number in all.iter().rev() {
        bench.say(&Record::Done { id: 5, target: target(*number) });
        assert_eq!(bench.targets(5).len() as u64, number - 1);
    }
    assert_eq!(bench.live(), 0);
}

#[test]
fn copies_of_one_message_for_one_session_are_told_apart() {
    let mut bench = Bench::new();
    let copy = |identifier| Target { identifier, ..target(1) };
    let Record::Message { id, origin, message: stored, .. } = message(5, b"x", &[]) else {
        return;
    };
    let targets = vec![copy(10), copy(20), target(2)];
    let message = stored;
    let (retained, held, publisher) = (None, None, None);
    bench.say(&Record::Message { id, origin, retained, held, publisher, message, targets });
    let sent = |identifier, packet_id| Target { sent: Some(pid(packet_id)), ..copy(identifier) };
    bench.say(&Record::Sent { id, target: sent(20, 100) });
    bench.say(&Record::Sent { id, target: sent(20, 100) });
    assert_eq!(bench.targets(5), [(1, None), (1, Some(100)), (2, None)], "said twice, sent once");
    bench.say(&Record::Sent { id, target: sent(10, 200) });
    bench.say(&Record::Received { number: 1, packet_id: pid(200), id });
    assert_eq!(bench.targets(5), [(1, Some(100)), (2, None)]);
}

#[test]
fn a_session_that_gives_one_copy_back_keeps_the_other() {
    let mut bench = Bench::new();
    let shared = Target { shared: true, ..target(1) };
    let Record::Message { id, origin, message: stored, .. } = message(5, b"x", &[]) else {
        return;
    };
    let targets = vec![target(1), shared];
    let message = stored;
    let (retained, held, publisher) = (None, None, None);
    bench.say(&Record::Message { id, origin, retained, held, publisher, message, targets });
    bench.say(&Record::Done { id, target: shared });
    let slot = bench.index.messages.find(5).expect("one copy is left");
    let left: Vec<Target> = bench.index.messages.at(slot).targets().collect();
    assert_eq!(left, [target(1)]);
}

#[test]
fn the_highest_stamp_wins_in_whatever_order_it_is_logged() {
    let mut bench = Bench::new();
    let first = bench.say(&retained(1, "t", b"1", 11));
    bench.say(&retained(2, "t", b"2", 10));
    assert_eq!(bench.live(), u64::from(first.length), "the later change was logged first");
    let gone = bench.say(&Record::Unretained { topic: "t", stamp: 12 });
    assert_eq!(bench.live(), u64::from(gone.length));
    bench.say(&retained(3, "t", b"3", 9));
    assert_eq!((bench.index.retained.len(), bench.index.messages.len()), (0, 0));
    let last = bench.say(&retained(4, "t", b"4", 13));
    assert_eq!((bench.live(), bench.index.retained.len()), (u64::from(last.length), 1));
}

#[test]
fn that_a_topic_was_cleared_is_copied_once_and_then_forgotten() {
    let mut bench = Bench::new();
    bench.say(&Record::Unretained { topic: "t", stamp: 12 });
    let Index { retained, live, .. } = &mut bench.index;
    assert!(retained.leave(b"t", live));
    retained.is_copied(b"t");
    bench.say(&Record::Unretained { topic: "t", stamp: 12 });
    let Index { retained, live, .. } = &mut bench.index;
    assert!(!retained.leave(b"t", live), "the copy is as good as nothing");
    assert_eq!(bench.live(), 0);
}

#[test]
fn what_a_session_had_ends_with_it() {
    let mut bench = Bench::new();
    bench.say(&session(1, 60));
    bench.say(&session(2, 60));
    let subscribed =
        samples::records().into_iter().find(|r| matches!(r, Record::Subscribed { .. }));
    bench.say(&subscribed.expect("there is one"));
    bench.say(&Record::Received { number: 1, packet_id: pid(1), id: 0 });
    bench.say(&Record::Parted { number: 1, ends_at: Time::MAX, will_due: None });
    let message = bench.say(&message(5, b"x", &[1, 2]));
    bench.say(&Record::Ended { number: 1 });
    bench.index.sweep(1000);
    assert_eq!(bench.targets(5), [(2, None)]);
    bench.say(&Record::Ended { number: 2 });
    assert_eq!(bench.live(), u64::from(message.length), "found when it is looked for");
    bench.index.sweep(1000);
    assert_eq!(bench.live(), 0);
}

#[test]
fn a_held_message_waits_for_its_release() {
    let mut bench = Bench::new();
    bench.say(&session(3, 60));
    let held = Some(Held { number: 3, packet_id: pid(7) });
    let Record::Message { id, origin, message, .. } = message(5, b"x", &[]) else { return };
    let (retained, publisher, targets) = (None, None, vec![]);
    bench.say(&Record::Message { id, origin, retained, held, publisher, message, targets });
    assert_eq!(bench.index.messages.held(5), held);
    let place = bench.say(&Record::Route { id, released: held, targets: vec![target(3)] });
    assert_eq!(bench.index.messages.held(5), None);
    assert_eq!(bench.targets(5), [(3, None)], "at {place:?}");
    bench.say(&Record::Route { id, released: None, targets: vec![target(4), target(4)] });
    assert_eq!(bench.targets(5).len(), 3);
}

#[test]
fn what_is_said_before_a_session_is_known_counts_only_while_the_log_is_read() {
    let mut bench = Bench::new();
    bench.say(&Record::Received { number: 1, packet_id: pid(9), id: 0 });
    assert_eq!(bench.live(), 0);
    bench.index.begin_reading();
    bench.say(&Record::Received { number: 1, packet_id: pid(9), id: 0 });
    bench.say(&Record::Received { number: 2, packet_id: pid(9), id: 0 });
    bench.say(&message(5, b"x", &[1, 2]));
    bench.say(&session(1, 60));
    bench.index.settle();
    assert_eq!(bench.targets(5), [(1, None)]);
    let sessions: Vec<_> =
        bench.index.sessions.iter().map(|(number, s)| (number, s.releases.len())).collect();
    assert_eq!(sessions, [(1, 1)]);
}

//! Looks at all retained messages, again and again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use dunlin_testkit::{Connect, Event, Link, Packet, Publish, Version, request};

use crate::ledger::{Stream, number_in};
use crate::world::{Group, PATIENCE, Story, World, brief};

/// How long nothing must come before a look is over.
const QUIET: Duration = Duration::from_millis(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(30);

/// A subscriber without a session that compares what is retained with what was acknowledged.
#[derive(Debug)]
pub(crate) struct Watcher {
    world: Arc<World>,
    group: usize,
    story: Story,
}

impl Watcher {
    pub(crate) fn new(world: &Arc<World>, group: usize) -> Self {
        Self { world: world.clone(), group, story: Story::default() }
    }

    pub(crate) fn run(mut self) -> u64 {
        let world = self.world.clone();
        let connect = Connect::new(Version::V5, "watcher");
        while let Some((mut link, _)) = world.connect(&connect, &mut self.story) {
            if self.look(&mut link).is_some() {
                world.checked.fetch_add(1, Ordering::SeqCst);
            }
            sleep(PAUSE);
        }
        0
    }

    fn group(&self) -> &Group {
        &self.world.groups[self.group]
    }

    /// `None` when the connection ended before everything was seen.
    fn look(&mut self, link: &mut Link) -> Option<()> {
        let streams = self.group().streams.clone();
        // What is acknowledged by now must be there, or something later.
        let floors: Vec<u64> = streams.all.iter().map(Stream::acknowledged).collect();
        let filter = self.group().filter();
        link.send(&request::subscribe(link.version(), 1, &[(&filter, 0)])).ok()?;
        let mut seen = BTreeSet::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match link.next(QUIET) {
                Event::Packet(Packet::Publish(publish)) => {
                    self.story.note(&self.world, &brief(&Packet::Publish(publish.clone())));
                    let place = streams.place(&publish.topic)?;
                    self.judge(&publish, &streams.all[place], floors[place]);
                    seen.insert(place);
                }
                Event::Packet(Packet::SubAck(_)) => {}
                Event::Packet(Packet::Disconnect(_)) | Event::Closed => return None,
                Event::Packet(other) => self.wrong(&format!("{other:?}")),
                Event::Nothing => {
                    let lacking = streams.all.iter().enumerate().find(|(place, stream)| {
                        !seen.contains(place) && !may_be_absent(stream, floors[*place])
                    });
                    let Some((place, stream)) = lacking else { return Some(()) };
                    if Instant::now() > deadline {
                        let floor = floors[place];
                        self.wrong(&format!("{} is absent after {floor}", stream.topic));
                        return None;
                    }
                }
            }
        }
    }

    fn judge(&self, publish: &Publish, stream: &Stream, floor: u64) {
        let (topic, sent) = (&publish.topic, stream.sent());
        match number_in(topic, &publish.payload) {
            Some(number) if publish.retain && number < floor => {
                self.wrong(&format!("{topic}: {number} is retained, {floor} was acknowledged"));
            }
            Some(number) if number > sent => self.wrong(&format!("{topic}: {number} of {sent}")),
            None if publish.retain || !publish.payload.is_empty() => {
                self.wrong(&format!("{topic}: {}", publish.text()));
            }
            Some(_) | None => {}
        }
    }

    fn wrong(&self, what: &str) {
        self.world.wrong("watcher", what, &self.story);
    }
}

/// Whether the last write that counts may have been one that deletes.
fn may_be_absent(stream: &Stream, floor: u64) -> bool {
    (floor..=stream.sent()).any(|number| stream.deletes(number))
}

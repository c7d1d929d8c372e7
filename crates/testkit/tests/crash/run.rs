//! One run: the participants, the kills and the end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use dunlin_testkit::{Connect, Version};

use crate::churn::Churn;
use crate::daemon::Daemon;
use crate::ledger::{Book, Receipts, Stream, Streams};
use crate::publisher::Publisher;
use crate::random::Random;
use crate::retained::Watcher;
use crate::subscriber::{Habit, Subscriber};
use crate::team::Team;
use crate::wills::{Mortal, WillBook, Wills};
use crate::world::{Group, Phase, Story, World};

/// How long the drain may take.
const DRAIN_LIMIT: Duration = Duration::from_secs(120);

/// What a run does.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) seed: u64,
    pub(crate) durability: &'static str,
    /// Ends of the broker, each followed by a start.
    pub(crate) rounds: u64,
    /// How many of a hundred ends are by SIGTERM.
    pub(crate) graceful: u64,
    /// A subscriber that loses its message of this number: the run must fail.
    pub(crate) swallow: Option<u64>,
}

/// Groups of topics, by their place in the world.
const BRISK: usize = 0;
const SLOW: usize = 1;
const KEPT: usize = 2;
const WILLS: usize = 3;
const SHARED: usize = 4;

/// Publishers of each group, half of them at QoS 1 and half at QoS 2.
const PUBLISHERS: usize = 4;
/// Topics of each publisher.
const TOPICS: usize = 3;
/// Topics of each publisher of retained messages.
const KEPT_TOPICS: usize = 8;

/// Runs it; what was not as promised comes back.
pub(crate) fn run(plan: &Plan) -> Vec<String> {
    eprintln!("{plan:?}");
    let mut daemon = Daemon::new(plan.name, plan.durability).option("--sys-interval", "1");
    daemon.start(&[]);
    let wills = Arc::new(Wills::default());
    let world = Arc::new(World::new(daemon.address(), groups()));
    let mut crowd =
        Crowd { world: world.clone(), seed: plan.seed, threads: Vec::new(), members: 0 };
    crowd.subscribers(plan.swallow, &wills);
    let listening = crowd.members;
    wait_until(&world, DRAIN_LIMIT, || world.ready.load(Ordering::SeqCst) == listening);
    crowd.others(&wills);
    let mut random = Random::of(plan.seed, 0);
    for round in 1..=plan.rounds {
        disturb(&world, &mut daemon, &mut random, (round, plan.graceful));
        if !world.wrongs().is_empty() {
            break;
        }
    }
    if plan.rounds == 0 {
        sleep(Duration::from_millis(1500));
        // The one that is to be lost must have come.
        let number = plan.swallow.unwrap_or_default();
        let come = || world.groups[BRISK].received[0].load(Ordering::SeqCst);
        wait_until(&world, DRAIN_LIMIT, || come() > number);
    }
    drain(&world, &wills);
    // What was drained stays so.
    if plan.rounds > 0 && world.wrongs().is_empty() {
        end(&world, &mut daemon, false);
        daemon.start(&[]);
        let checked = world.checked.load(Ordering::SeqCst);
        wait_until(&world, DRAIN_LIMIT, || world.checked.load(Ordering::SeqCst) > checked + 1);
        sleep(Duration::from_millis(200));
    }
    world.enter(Phase::Stop);
    let repeated = crowd.join();
    let sent: u64 = world.groups.iter().map(|group| group.streams.sent()).sum();
    eprintln!("{}: {sent} messages, {repeated} came again at QoS 1", plan.name);
    let wrongs = world.wrongs();
    if !wrongs.is_empty() && plan.swallow.is_none() {
        daemon.keep();
    }
    wrongs
}

/// A wait, an end and a start.
fn disturb(world: &World, daemon: &mut Daemon, random: &mut Random, (round, graceful): (u64, u64)) {
    // At once, while clients come back, and in full work.
    let pause = match random.below(4) {
        0 => random.milliseconds(0, 40),
        1 => random.milliseconds(40, 200),
        _ => random.milliseconds(200, 900),
    };
    let until = Instant::now() + pause;
    while Instant::now() < until && world.wrongs().is_empty() {
        sleep(Duration::from_millis(5));
    }
    if !world.wrongs().is_empty() {
        return;
    }
    daemon.remark(&format!("round {round}, {} ms", world.elapsed().as_millis()));
    end(world, daemon, random.percent(graceful));
    // Where sessions live must not matter.
    let shards = (1 + random.below(3)).to_string();
    if random.percent(15) {
        daemon.launch(&["--shards", &shards]);
        sleep(random.milliseconds(0, 30));
        end(world, daemon, false);
    }
    daemon.start(&["--shards", &shards]);
}

fn end(world: &World, daemon: &mut Daemon, graceful: bool) {
    // Counted on both sides: who sees no change was not between.
    world.ends.fetch_add(1, Ordering::SeqCst);
    if graceful {
        let status = daemon.terminate();
        if !status.success() {
            world.wrong("broker", &format!("SIGTERM led to {status}"), &Story::default());
        }
    } else {
        daemon.kill();
    }
    world.ends.fetch_add(1, Ordering::SeqCst);
}

/// Lets everything come to its end.
fn drain(world: &World, wills: &Wills) {
    world.enter(Phase::Drain);
    wait_until(world, DRAIN_LIMIT, || world.busy.load(Ordering::SeqCst) == 0);
    wait_until(world, DRAIN_LIMIT, || {
        let complete = |group: &Group| {
            let sent = group.streams.sent();
            group.received.iter().all(|count| count.load(Ordering::SeqCst) >= sent)
        };
        world.groups.iter().all(complete) && wills.complete()
    });
    let checked = world.checked.load(Ordering::SeqCst);
    wait_until(world, DRAIN_LIMIT, || world.checked.load(Ordering::SeqCst) > checked + 1);
}

/// Waits until it is so, or something is wrong, or too long.
fn wait_until(world: &World, limit: Duration, so: impl Fn() -> bool) {
    let deadline = Instant::now() + limit;
    while !so() && world.wrongs().is_empty() {
        if Instant::now() > deadline {
            let busy = world.busy.load(Ordering::SeqCst);
            let groups: Vec<String> = world.groups.iter().map(Group::tell).collect();
            let what = format!("no end: {busy} busy, {}", groups.join(", "));
            world.wrong("all", &what, &Story::default());
        }
        sleep(Duration::from_millis(5));
    }
}

fn groups() -> Vec<Group> {
    let group = |name: &'static str, topics: usize, subscribers: usize| {
        let mut streams = Vec::new();
        for publisher in 0..PUBLISHERS {
            for topic in 0..topics {
                let qos = 1 + (publisher % 2) as u8;
                let topic = format!("{name}/{publisher}/{topic}");
                streams.push(Stream::new(topic, qos, name == "kept"));
            }
        }
        let streams = Arc::new(Streams::new(streams));
        let received = (0..subscribers).map(|_| AtomicU64::new(0)).collect();
        Group { name, shared: name == "shared", streams, received }
    };
    vec![
        group("brisk", TOPICS, 4),
        group("slow", TOPICS, 3),
        group("kept", KEPT_TOPICS, 0),
        group("wills", 0, 1),
        group("shared", TOPICS, 1),
    ]
}

/// The threads of the participants.
struct Crowd {
    world: Arc<World>,
    seed: u64,
    threads: Vec<JoinHandle<u64>>,
    members: usize,
}

impl Crowd {
    /// Starts one participant; a panic of its own is something wrong, too.
    fn spawn(&mut self, name: &str, run: impl FnOnce() -> u64 + Send + 'static) {
        self.members += 1;
        let (world, name) = (self.world.clone(), name.to_owned());
        self.threads.push(std::thread::spawn(move || {
            catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
                let why = panic.downcast_ref::<String>().cloned();
                world.wrong(&name, &why.unwrap_or_default(), &Story::default());
                0
            })
        }));
    }

    fn random(&self) -> Random {
        Random::of(self.seed, self.members as u64 + 1)
    }

    fn subscribers(&mut self, swallow: Option<u64>, wills: &Arc<Wills>) {
        use Habit::{Flapping, Offline, Online};
        let all = [
            (BRISK, vec![(2, Online), (1, Online), (2, Flapping), (1, Flapping)]),
            (SLOW, vec![(2, Offline), (1, Offline), (2, Flapping)]),
            (WILLS, vec![(2, Flapping)]),
            (SHARED, vec![(2, Online), (2, Flapping), (2, Flapping)]),
        ];
        let team = Team::new(&self.world.groups[SHARED].streams, 2);
        for (group, subscribers) in all {
            for (place, (qos, habit)) in subscribers.into_iter().enumerate() {
                let name = format!("subscriber-{}-{place}", self.world.groups[group].name);
                let connect = Connect::persistent(Version::OASIS[self.members % 2], &name);
                let streams = &self.world.groups[group].streams;
                let book: Box<dyn Book> = match group {
                    WILLS => Box::new(WillBook(wills.clone())),
                    SHARED => Box::new(team.clone()),
                    _ => Box::new(Receipts::new(streams, qos)),
                };
                let random = self.random();
                // A team counts together.
                let at = (group, if group == SHARED { 0 } else { place });
                let world = &self.world;
                let mut subscriber =
                    Subscriber::new(world, connect, at, (qos, habit), book, random);
                if let Some(number) = swallow.filter(|_| (group, place) == (BRISK, 0)) {
                    subscriber = subscriber.swallowing(number);
                }
                self.spawn(&name, || subscriber.run());
            }
        }
    }

    fn others(&mut self, wills: &Arc<Wills>) {
        for (group, topics, pause) in
            [(BRISK, TOPICS, 2), (SLOW, TOPICS, 25), (KEPT, KEPT_TOPICS, 8), (SHARED, TOPICS, 10)]
        {
            for number in 0..PUBLISHERS {
                let name = format!("publisher-{}-{number}", self.world.groups[group].name);
                let connect = Connect::persistent(Version::OASIS[number / 2 % 2], &name);
                let streams = (number * topics..(number + 1) * topics).collect();
                let random = self.random();
                let publisher =
                    Publisher::new(&self.world, connect, (group, streams), pause, random);
                self.world.busy.fetch_add(1, Ordering::SeqCst);
                self.spawn(&name, || publisher.run());
            }
        }
        for number in 0..2 {
            let name = format!("churn-{number}");
            let churn = Churn::new(&self.world, &name, 10, self.random());
            self.world.busy.fetch_add(1, Ordering::SeqCst);
            self.spawn(&name, || churn.run());
        }
        for number in 0..4 {
            let mortal = Mortal {
                world: self.world.clone(),
                wills: wills.clone(),
                name: format!("mortal-{number}"),
                version: Version::OASIS[number % 2],
                persistent: number >= 2,
                random: self.random(),
            };
            self.world.busy.fetch_add(1, Ordering::SeqCst);
            self.spawn(&mortal.name.clone(), || mortal.run());
        }
        let watcher = Watcher::new(&self.world, KEPT);
        self.spawn("watcher", || watcher.run());
    }

    /// Waits for all and counts what came again.
    fn join(self) -> u64 {
        self.threads.into_iter().map(|thread| thread.join().unwrap_or_default()).sum()
    }
}

//! One run: a process at a time, its disk, the clients, and the weather, driven by events.

use core::time::Duration;

use dunlin_broker::Time;
use dunlin_broker::journal::State;
use dunlin_store::{FaultyDisk, Log, OnDamage, Operation, Options};

use super::client::Client;
use super::oracle::Oracle;
use super::plan::{Fault, Plan};
use super::random::Random;
use super::rules::Rules;
use super::scene::Scene;
use super::schedule::{Event, Schedule};
use super::server::Process;
use super::trace::Trace;

/// When runs begin: some day, so that times are as large as real ones.
const START: Time = Time::from_secs(1_800_000_000);

pub(super) struct World {
    pub(super) scene: Scene,
    pub(super) clients: Vec<Client>,
    pub(super) process: Option<Process>,
    disk: FaultyDisk,
    identity: u128,
    epochs: u32,
    /// The disk may refuse something just now.
    ailing: bool,
}

impl World {
    pub(super) fn new(seed: u64, options: super::Options) -> Self {
        let mut random = Random::new(seed);
        let mut plan = Plan::new(&mut random, options.keep);
        plan.vary(seed);
        let clients = plan.clients.iter().cloned().enumerate();
        let clients = clients.map(|(number, character)| Client::new(number, character)).collect();
        let disk = FaultyDisk::new(random.next());
        let identity = u128::from(random.next());
        // All but the witness.
        let rules = Rules::of(seed, plan.clients.len() - 1);
        let oracle = Oracle::new(&plan, rules);
        let mut world = Self {
            scene: Scene {
                plan,
                schedule: Schedule::new(START),
                random,
                trace: Trace::new(options.trace),
                oracle,
                links: Vec::new(),
                calm: false,
                slow_until: Time::ZERO,
            },
            clients,
            process: None,
            disk,
            identity,
            epochs: 0,
            ailing: false,
        };
        let plan = format!("{:?}", world.scene.plan);
        world.scene.trace(|| plan);
        let shards = world.scene.plan.shards;
        world.start(shards);
        for client in 0..world.clients.len() {
            let delay = world.scene.random.delay(Duration::from_millis(500));
            world.scene.schedule.after(delay, Event::Act { client });
        }
        world.plan_fault();
        world.change_rules();
        world
    }

    /// Lets so much time pass; false if a promise was broken.
    pub(super) fn run(&mut self, time: Duration) -> bool {
        let until = self.scene.schedule.now.saturating_add(time);
        while self.scene.oracle.failure().is_none()
            && let Some(event) = self.scene.schedule.next(until)
        {
            self.handle(event);
        }
        self.scene.oracle.failure().is_none()
    }

    fn handle(&mut self, event: Event) {
        let Self { scene, clients, process, .. } = self;
        let now = scene.schedule.now;
        match event {
            Event::Turn { epoch, shard } => {
                if let Some(process) = process.as_mut().filter(|one| one.epoch() == epoch) {
                    process.turn(scene, shard);
                }
            }
            Event::Wake { epoch, shard } => {
                if let Some(process) = process.as_mut().filter(|one| one.epoch() == epoch) {
                    process.wake(scene, shard);
                }
            }
            Event::Store { epoch } => {
                if let Some(process) = process.as_mut().filter(|one| one.epoch() == epoch) {
                    process.keep(scene);
                }
            }
            Event::Accept { link } => match process {
                Some(process) if scene.links[link].client_open => process.accept(scene, link),
                _ => {
                    scene.oracle.broker_closed(now, link);
                    scene.schedule.after(scene.links[link].latency, Event::ClientNotices { link });
                }
            },
            Event::Up { link } => {
                scene.links[link].up.arrive(now);
                if let Some(process) = process {
                    process.readable(scene, link);
                }
            }
            Event::Down { link } => self.deliver(link),
            Event::BrokerNotices { link } => {
                if let Some(process) = process {
                    process.hung_up(scene, link);
                }
            }
            Event::ClientNotices { link } => {
                let client = scene.links[link].client;
                clients[client].notices(scene, link);
            }
            Event::Act { client } => clients[client].act(scene),
            Event::Fault => self.fault(),
            Event::Rules => self.change_rules(),
            Event::Heal => self.heal(),
            Event::Restart => self.restart(),
        }
    }

    /// A client takes what has arrived, if it is reading.
    fn deliver(&mut self, link: usize) {
        let Self { scene, clients, process, .. } = self;
        let held = &mut scene.links[link];
        held.down.arrive(scene.schedule.now);
        if !held.reading || !held.client_open {
            return;
        }
        let client = held.client;
        clients[client].receive(scene, link);
        if let Some(process) = process {
            process.writable(scene, link);
        }
    }

    fn change_rules(&mut self) {
        let Self { scene, process, .. } = self;
        let Some(rules) = scene.oracle.rules.as_mut().filter(|_| !scene.calm) else { return };
        let next = rules.change(scene.schedule.now);
        scene.schedule.at(next, Event::Rules);
        scene.trace(|| "the rules change".to_owned());
        if let Some(process) = process {
            process.rouse_all(scene);
        }
    }

    fn plan_fault(&mut self) {
        let mean = self.scene.plan.faults * 2;
        let delay = self.scene.random.delay(mean);
        self.scene.schedule.after(delay, Event::Fault);
    }

    fn fault(&mut self) {
        if self.scene.calm {
            return;
        }
        let fault = self.scene.plan.fault(&mut self.scene.random);
        self.scene.trace(|| format!("FAULT {fault:?}"));
        let random = &mut self.scene.random;
        match fault {
            Fault::Cut => self.cut_some(),
            Fault::Kill => self.die(false),
            Fault::PowerCut => self.die(true),
            Fault::Full => {
                let spare = random.below(2 * self.scene.plan.segment);
                let room = self.disk.used() + if random.chance(500) { 0 } else { spare };
                self.disk.set_capacity(room);
                self.ail();
            }
            Fault::Error => {
                let operation =
                    random.pick(&[Operation::Write, Operation::Sync, Operation::Directory]);
                self.disk.fail(operation, random.pick(&[1, 1, 3]));
                self.ail();
            }
            Fault::Slow => {
                let time = random.delay(Duration::from_secs(2));
                self.scene.slow_until = self.scene.schedule.now.saturating_add(time);
            }
        }
        self.plan_fault();
    }

    fn ail(&mut self) {
        self.ailing = true;
        let time = self.scene.random.delay(Duration::from_secs(5));
        self.scene.schedule.after(time, Event::Heal);
    }

    fn heal(&mut self) {
        self.scene.trace(|| "the disk is well".to_owned());
        self.ailing = false;
        self.disk.set_capacity(u64::MAX);
        for operation in [Operation::Write, Operation::Sync, Operation::Directory] {
            self.disk.fail(operation, 0);
        }
    }

    fn cut_some(&mut self) {
        let links = self.scene.links.iter().enumerate();
        let open: Vec<usize> = links
            .filter(|(_, link)| link.client_open && link.broker_open)
            .map(|(number, _)| number)
            .collect();
        if !open.is_empty() {
            let link = open[self.scene.random.index(open.len())];
            self.scene.trace(|| format!("link {link} is cut"));
            self.scene.cut(link);
        }
    }

    /// The process ends in the middle of whatever it does.
    pub(super) fn die(&mut self, power: bool) {
        let Some(process) = self.process.take() else { return };
        let durable = process.durable(self.scene.schedule.now);
        self.scene.trace(|| "the broker dies".to_owned());
        let scene = &mut self.scene;
        scene.oracle.died(scene.schedule.now, durable);
        for link in 0..scene.links.len() {
            let held = &mut scene.links[link];
            if core::mem::take(&mut held.broker_open) {
                held.up.close();
                held.down.cut(&mut scene.random);
                let at = held.down.last().max(scene.schedule.now.saturating_add(held.latency));
                scene.schedule.at(at, Event::ClientNotices { link });
            }
        }
        if power {
            self.disk.crash();
        } else {
            self.disk.kill();
        }
        let typical = self.scene.random.pick(&[1, 100, 3_000]);
        let down = self.scene.random.delay(Duration::from_millis(typical));
        self.scene.schedule.after(down, Event::Restart);
    }

    pub(super) fn restart(&mut self) {
        let shards = self.scene.random.pick(&[1, 2, 3]);
        self.start(shards);
    }

    fn start(&mut self, shards: u16) {
        self.epochs += 1;
        let kept = if self.scene.plan.settings.keep {
            let options = Options {
                segment_bytes: self.scene.plan.segment,
                minimum_segments: 3,
                on_damage: OnDamage::Refuse,
                identity: Some(self.identity),
            };
            match Log::open(self.disk.clone(), options) {
                Ok((mut log, state, report)) => {
                    if !report.damage.is_empty() {
                        self.scene.oracle.fail(format!("damage without cause: {report:?}"));
                    }
                    self.scene.trace(|| format!("store: {report:?}{}", brief(&state, &mut log)));
                    Some((log, state))
                }
                Err(why) if self.ailing => {
                    self.scene.trace(|| format!("cannot start: {why}"));
                    self.scene.schedule.after(Duration::from_secs(1), Event::Restart);
                    return;
                }
                Err(why) => return self.scene.oracle.fail(format!("cannot start: {why}")),
            }
        } else {
            None
        };
        let now = self.scene.schedule.now;
        self.scene.oracle.restarted(now);
        self.scene.trace(|| format!("the broker starts with {shards} shards"));
        self.process = Some(Process::start(&mut self.scene, self.epochs, shards, kept));
    }

    /// From now on nothing goes wrong.
    pub(super) fn calm(&mut self) {
        self.scene.calm = true;
        self.scene.slow_until = Time::ZERO;
        self.heal();
        self.scene.trace(|| "CALM".to_owned());
    }
}

/// What a store held, a line for each session.
fn brief(state: &State, log: &mut Log<FaultyDisk>) -> String {
    let mut name = |id: u64| match log.load(id) {
        Ok(Some(message)) => {
            let payload = String::from_utf8_lossy(message.payload());
            payload.split(':').next().unwrap_or("?").to_owned()
        }
        _ => "?".to_owned(),
    };
    let sessions = state.sessions.iter().map(|one| {
        let filters: Vec<&str> = one.subscriptions.iter().map(|one| one.filter.as_str()).collect();
        let queue = one.queue.iter().map(|one| {
            let sent = one.target.sent.map_or(String::new(), |id| format!("#{}", id.get()));
            format!("{}@{}{sent}", name(one.id), one.id)
        });
        let queue = queue.collect::<Vec<_>>().join(" ");
        let held: Vec<(u16, u64)> =
            one.held.iter().map(|one| (one.packet_id.get(), one.message.id())).collect();
        format!(
            "\n  {} = {}: ends {:?}, will {}, {filters:?}, queue [{queue}], releases {:?}, held {held:?}",
            one.client_id,
            one.number,
            one.ends_at,
            one.will.as_ref().map_or_else(|| "none".to_owned(), |will| format!("due {:?}", will.due)),
            one.releases,
        )
    });
    let sessions: String = sessions.collect();
    let retained = state.retained.iter().map(|one| {
        let payload = String::from_utf8_lossy(one.message.payload());
        let name = payload.split(':').next().unwrap_or("?");
        format!(" {}={name}@{}/{}", one.message.topic().as_str(), one.message.id(), one.stamp)
    });
    let retained: String = retained.collect();
    format!("{sessions}\n  retained{retained}")
}

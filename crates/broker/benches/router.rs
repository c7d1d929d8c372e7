//! What the subscription index and the retained store cost at 1 k, 100 k and 1 M entries.
//!
//! Every machine of a plant has eight subscriptions: five exact ones, `+` and `#` below it, and one
//! with a `+` further up. Topics are of random machines, so that at 1 M each finds the cache cold.
//! Run with `cargo bench -p dunlin-broker --bench router`; behind `--`, a number runs that size only,
//! and `index` or `retained` one part. Resident memory is right for the first size in a process.
#![expect(clippy::print_stdout, reason = "the measurements are its output")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use dunlin_broker::router::{Index, Matches, Retained, SessionKey, Subscriber};
use dunlin_proto::Time;
use dunlin_proto::qos::QoS;
use dunlin_proto::topic::{TopicFilter, TopicName};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let size = arguments.iter().find_map(|argument| argument.parse().ok());
    let sizes = size.map_or_else(|| vec![1_000, 100_000, 1_000_000], |size| vec![size]);
    let chosen = |name: &str| arguments.iter().any(|argument| argument == name);
    if !chosen("retained") {
        println!("index      first: filters; ns: mean of all calls; max: the slowest of them");
        sizes.iter().for_each(|filters| index(*filters));
        fan_out();
        hostile();
    }
    if !chosen("index") {
        println!("retained   first: messages");
        sizes.iter().for_each(|messages| retained(*messages));
    }
}

fn index(filters: usize) {
    let mut random = Random(1);
    let mut names: Vec<String> = (0..filters).map(filter_name).collect();
    random.shuffle(&mut names);
    let topics: Vec<String> =
        (0..1_000_000).map(|_| topic_name(&mut random, filters / 8)).collect();
    let resident = resident_bytes();
    let mut index = Index::new(7);
    let add = timed(filters, |n| {
        index.subscribe(filter(&names[n]), subscriber(n));
    });
    let grown = resident_bytes().saturating_sub(resident) / filters;
    let accounted = index.memory_bytes() / filters;

    let mut matches = Matches::default();
    // Slices, because on a machine that others use too, the quiet moments tell what the code costs.
    let (mut found, mut slices) = (0, Vec::new());
    for slice in topics.chunks(SLICE) {
        // A topic was just decoded when it is looked up.
        let slice: Vec<_> = slice.iter().map(|name| topic(name)).collect();
        let start = Instant::now();
        for topic in &slice {
            index.matches(*topic, &mut matches);
            found += black_box(&matches).plain.len();
        }
        slices.push(nanos(start, slice.len()));
    }
    slices.sort_by(f64::total_cmp);
    let (quiet, median) = (slices[slices.len() / 20], slices[slices.len() / 2]);
    let mut leaving: Vec<usize> = (0..filters).collect();
    random.shuffle(&mut leaving);
    let remove = timed(filters, |n| {
        let n = leaving[n];
        index.unsubscribe(filter(&names[n]), subscriber(n).session);
    });
    assert_eq!(index.subscription_count(), 0, "every subscription was found again");
    println!(
        "{filters:>9}  match {quiet:4.0} ns (median {median:.0} ns, {:.2} found)  subscribe {:5.0} ns (max {:.0} us)  \
         unsubscribe {:5.0} ns (max {:.0} us)  {accounted} B/filter \
         ({grown} B resident)",
        found as f64 / topics.len() as f64,
        add.mean,
        add.slowest,
        remove.mean,
        remove.slowest,
    );
}

/// Ten thousand clients of one filter come, get a message and leave.
fn fan_out() {
    const CLIENTS: usize = 10_000;
    let mut index = Index::new(7);
    let news = filter("plant/+/news");
    let add = timed(CLIENTS, |n| {
        index.subscribe(news, subscriber(n));
    });
    let mut matches = Matches::default();
    let start = Instant::now();
    for _ in 0..1_000 {
        index.matches(topic("plant/7/news"), &mut matches);
        black_box(&matches);
    }
    let each = nanos(start, 1_000 * CLIENTS);
    let remove = timed(CLIENTS, |n| {
        index.unsubscribe(news, subscriber(n).session);
    });
    println!(
        "{CLIENTS} clients of one filter: join {:.0} ns, match {each:.2} ns each, leave {:.0} ns",
        add.mean, remove.mean
    );
}

/// Filters chosen to make a match expensive.
fn hostile() {
    let mut index = Index::new(7);
    for bits in 0..1usize << 14 {
        let level = |n: usize| if bits >> n & 1 == 1 { "+" } else { "a" };
        let name = (0..14).map(level).collect::<Vec<_>>().join("/");
        // One level more than the topic: all the way, and nobody at the end.
        index.subscribe(filter(&(name + "/b")), subscriber(bits));
    }
    let mut matches = Matches::default();
    let name = "a/".repeat(13) + "a";
    let start = Instant::now();
    index.matches(topic(&name), &mut matches);
    let combinations = start.elapsed_micros();
    let nodes = index.node_count();

    let mut index = Index::new(7);
    for depth in 1..200 {
        index.subscribe(
            filter(&("+/".repeat(depth) + &"a/".repeat(200 - depth) + "b")),
            subscriber(depth),
        );
    }
    let name = "a/".repeat(199) + "a";
    let start = Instant::now();
    index.matches(topic(&name), &mut matches);
    println!(
        "hostile: 16384 combinations of + and a ({nodes} nodes) {combinations:.0} us; \
         199 filters 200 levels deep ({} nodes) {:.0} us",
        index.node_count(),
        start.elapsed_micros(),
    );
}

fn retained(messages: usize) {
    let mut random = Random(2);
    let machines = messages / 8;
    let mut names: Vec<String> = (0..messages).map(|n| topic_of(n / 8, n % 8)).collect();
    let text: usize = names.iter().map(String::len).sum();
    random.shuffle(&mut names);
    let resident = resident_bytes();
    let mut store: Retained<u64> = Retained::new(7);
    let expires = |n: usize| n.is_multiple_of(2).then(|| Time::from_secs(1_000 + n as u64));
    let put = timed(messages, |n| {
        store.put(topic(&names[n]), expires(n), 100, n as u64);
    });
    let overhead = (resident_bytes().saturating_sub(resident)).saturating_sub(text) / messages;
    random.shuffle(&mut names);
    let replace = timed(messages, |n| {
        store.put(topic(&names[n]), expires(n), 100, n as u64);
    });
    let get = timed(messages, |n| {
        black_box(store.get(topic(&names[n])));
    });
    let everything = paged(&store, "#");
    let metric = paged(&store, "site/+/line/+/machine/+/temp");
    let machine = timed(machines.min(10_000), |n| {
        let mut out = Vec::new();
        let name = topic_of(n * 7_919 % machines, 0);
        let whole =
            name.rsplit_once('/').map_or_else(String::new, |(machine, _)| format!("{machine}/#"));
        black_box(store.page(filter(&whole), None, 100, Time::ZERO, &mut out));
    });
    let remove = timed(messages, |n| {
        store.remove(topic(&names[n]));
    });
    println!(
        "{messages:>9}  put {:5.0} ns (max {:.0} us)  replace {:4.0} ns  get {:4.0} ns  remove {:5.0} ns  \
         {everything}  {metric}  machine/# {:.1} us  {overhead} B each besides topic",
        put.mean,
        put.slowest,
        replace.mean,
        get.mean,
        remove.mean,
        machine.mean / 1_000.0,
    );
}

/// Walks everything that matches, a hundred at a time.
fn paged(store: &Retained<u64>, pattern: &str) -> String {
    let (mut out, mut cursor, mut found, mut pages) = (Vec::new(), None, 0, 0);
    let (start, mut slowest) = (Instant::now(), Duration::ZERO);
    loop {
        out.clear();
        let begin = Instant::now();
        cursor = store.page(filter(pattern), cursor.as_ref(), 100, Time::ZERO, &mut out);
        slowest = slowest.max(Instant::now() - begin);
        found += out.len();
        pages += 1;
        if cursor.is_none() {
            break;
        }
    }
    let each = nanos(start, found);
    format!(
        "{pattern} {each:.0} ns each ({found} in {pages} pages, max {} us)",
        slowest.as_micros()
    )
}

/// Eight subscriptions for each machine.
fn filter_name(n: usize) -> String {
    let machine = n / 8;
    match n % 8 {
        metric @ 0..=4 => topic_of(machine, metric),
        5 => format!("{}/+", machine_of(machine)),
        6 => format!("{}/#", machine_of(machine)),
        _ => format!("site/{}/+/{}/machine/{machine}/temp", machine / 1_000, machine / 20 % 50),
    }
}

fn topic_name(random: &mut Random, machines: usize) -> String {
    let machine = random.below(machines);
    topic_of(machine, random.below(METRICS.len()))
}

fn topic_of(machine: usize, metric: usize) -> String {
    format!("{}/{}", machine_of(machine), METRICS[metric])
}

fn machine_of(machine: usize) -> String {
    format!("site/{}/line/{}/machine/{machine}", machine / 1_000, machine / 20 % 50)
}

fn subscriber(n: usize) -> Subscriber {
    Subscriber {
        session: SessionKey { shard: (n % 2) as u16, slot: (n % SESSIONS) as u32, generation: 1 },
        identifier: 0,
        qos: QoS::AtLeastOnce,
        no_local: false,
        retain_as_published: false,
    }
}

fn filter(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).expect("the filters here are valid")
}

fn topic(text: &str) -> TopicName<'_> {
    TopicName::new(text).expect("the topics here are valid")
}

struct Cost {
    /// Nanoseconds.
    mean: f64,
    /// Microseconds.
    slowest: f64,
}

fn timed(calls: usize, mut call: impl FnMut(usize)) -> Cost {
    let (start, mut slowest) = (Instant::now(), Duration::ZERO);
    let mut before = start;
    for n in 0..calls {
        call(n);
        let after = Instant::now();
        slowest = slowest.max(after - before);
        before = after;
    }
    Cost { mean: nanos(start, calls), slowest: slowest.as_secs_f64() * 1e6 }
}

fn nanos(start: Instant, calls: usize) -> f64 {
    (Instant::now() - start).as_secs_f64() * 1e9 / calls as f64
}

/// Linux: what the process has in memory; elsewhere zero.
fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4_096
}

trait ElapsedMicros {
    fn elapsed_micros(&self) -> f64;
}

impl ElapsedMicros for Instant {
    fn elapsed_micros(&self) -> f64 {
        (Self::now() - *self).as_secs_f64() * 1e6
    }
}

/// A fixed sequence, the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % limit.max(1) as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for n in (1..items.len()).rev() {
            items.swap(n, self.below(n + 1));
        }
    }
}

/// Topics in a row that are timed together.
const SLICE: usize = 1_000;
const SESSIONS: usize = 10_000;
const METRICS: [&str; 8] =
    ["temp", "pressure", "speed", "state", "alarm", "energy", "vibration", "count"];

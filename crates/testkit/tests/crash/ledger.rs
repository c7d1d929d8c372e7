//! What was promised to publishers and what reached subscribers.
//!
//! A stream is what one publisher sends to one topic at one QoS, numbered from 1. A publisher repeats
//! what is not acknowledged until it is, so in the end all it ever sent was acknowledged, and a
//! subscriber that was there all the time must have got every number. Because a stream keeps its
//! order, one number for each stream says what a subscriber has: everything up to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// In a retained stream every so many messages delete instead.
const DELETES: u64 = 7;

/// One publisher, one topic, one QoS.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) topic: String,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    sent: AtomicU64,
    acknowledged: AtomicU64,
}

impl Stream {
    pub(crate) const fn new(topic: String, qos: u8, retain: bool) -> Self {
        Self { topic, qos, retain, sent: AtomicU64::new(0), acknowledged: AtomicU64::new(0) }
    }

    /// The number of the message that is about to be sent.
    pub(crate) fn next(&self) -> u64 {
        self.sent.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn acknowledge(&self, number: u64) {
        self.acknowledged.fetch_max(number, Ordering::SeqCst);
    }

    /// The number of the last message that was sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// The number of the last message that was acknowledged, and all before it were.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// What message `number` says.
    pub(crate) fn payload(&self, number: u64) -> String {
        if self.deletes(number) { String::new() } else { format!("{} {number}", self.topic) }
    }

    /// Whether message `number` deletes the retained message. So does 0, the time before the first.
    pub(crate) const fn deletes(&self, number: u64) -> bool {
        self.retain && number.is_multiple_of(DELETES)
    }
}

/// The number in a payload of a topic.
pub(crate) fn number_in(topic: &str, payload: &[u8]) -> Option<u64> {
    let payload = std::str::from_utf8(payload).ok()?;
    payload.strip_prefix(topic)?.strip_prefix(' ')?.parse().ok()
}

/// The streams of one group and, by topic, their places.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) all: Vec<Stream>,
    places: BTreeMap<String, usize>,
}

impl Streams {
    pub(crate) fn new(all: Vec<Stream>) -> Self {
        let places = all.iter().enumerate().map(|(at, stream)| (stream.topic.clone(), at));
        Self { places: places.collect(), all }
    }

    pub(crate) fn place(&self, topic: &str) -> Option<usize> {
        self.places.get(topic).copied()
    }

    pub(crate) fn sent(&self) -> u64 {
        self.all.iter().map(Stream::sent).sum()
    }
}

/// How a promise was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Messages that were acknowledged, or sent before one that came, did not come.
    Missing { topic: String, from: u64, to: u64 },
    /// A message came again where it must come once.
    Again { topic: String, number: u64 },
    /// A message came that nobody sent.
    Invented { topic: String, payload: String },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { topic, from, to } => write!(f, "{topic}: {from} to {to} are missing"),
            Self::Again { topic, number } => write!(f, "{topic}: {number} came again"),
            Self::Invented { topic, payload } => write!(f, "{topic}: nobody sent {payload:?}"),
        }
    }
}

/// Where a subscriber writes what it gets.
pub(crate) trait Book: Send {
    /// A message has come.
    fn take(&mut self, topic: &str, payload: &[u8]) -> Result<(), Broken>;
    /// How many different messages came.
    fn count(&self) -> u64;
    /// Messages that came more often than once, where that is allowed.
    fn repeated(&self) -> u64;
    /// What should have come by now: everything that was promised.
    fn missing(&self) -> Vec<Broken>;
}

/// What one subscriber got of the streams of its group.
#[derive(Debug)]
pub(crate) struct Receipts {
    streams: Arc<Streams>,
    /// Granted to the subscription.
    qos: u8,
    /// Of each stream, up to which number.
    last: Vec<u64>,
    /// Messages that came more often than once, where that is allowed.
    repeated: u64,
}

impl Receipts {
    pub(crate) fn new(streams: &Arc<Streams>, qos: u8) -> Self {
        let last = vec![0; streams.all.len()];
        Self { streams: streams.clone(), qos, last, repeated: 0 }
    }
}

impl Book for Receipts {
    fn take(&mut self, topic: &str, payload: &[u8]) -> Result<(), Broken> {
        let invented = || Broken::Invented {
            topic: topic.to_owned(),
            payload: String::from_utf8_lossy(payload).into_owned(),
        };
        let place = self.streams.place(topic).ok_or_else(invented)?;
        let stream = &self.streams.all[place];
        let number = number_in(topic, payload).ok_or_else(invented)?;
        if number == 0 || number > stream.sent() {
            return Err(invented());
        }
        let last = &mut self.last[place];
        if number <= *last {
            if stream.qos == 2 && self.qos == 2 {
                return Err(Broken::Again { topic: topic.to_owned(), number });
            }
            self.repeated += 1;
            return Ok(());
        }
        let due = *last + 1;
        *last = number;
        if number > due {
            return Err(Broken::Missing { topic: topic.to_owned(), from: due, to: number - 1 });
        }
        Ok(())
    }

    fn count(&self) -> u64 {
        self.last.iter().sum()
    }

    fn repeated(&self) -> u64 {
        self.repeated
    }

    fn missing(&self) -> Vec<Broken> {
        let pairs = self.streams.all.iter().zip(&self.last);
        let lacking = pairs.filter(|(stream, last)| **last < stream.acknowledged());
        lacking
            .map(|(stream, last)| Broken::Missing {
                topic: stream.topic.clone(),
                from: last + 1,
                to: stream.acknowledged(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two streams of which five messages each were sent and acknowledged.
    fn receipts(qos: u8) -> Receipts {
        let streams = Arc::new(Streams::new(vec![
            Stream::new("once".into(), 2, false),
            Stream::new("often".into(), 1, false),
        ]));
        for stream in &streams.all {
            for _ in 0..5 {
                let number = stream.next();
                stream.acknowledge(number);
            }
        }
        Receipts::new(&streams, qos)
    }

    fn take(receipts: &mut Receipts, topic: &str, number: u64) -> Option<Broken> {
        receipts.take(topic, format!("{topic} {number}").as_bytes()).err()
    }

    #[test]
    fn everything_in_order_keeps_the_promise() {
        let mut receipts = receipts(2);
        for number in 1..=5 {
            assert_eq!(take(&mut receipts, "once", number), None);
            assert_eq!(take(&mut receipts, "often", number), None);
        }
        assert_eq!((receipts.count(), receipts.missing()), (10, vec![]));
    }

    #[test]
    fn what_is_lost_on_the_way_is_noticed_at_once() {
        let mut receipts = receipts(1);
        assert_eq!(take(&mut receipts, "often", 1), None);
        let missing = Broken::Missing { topic: "often".into(), from: 2, to: 3 };
        assert_eq!(take(&mut receipts, "often", 4), Some(missing));
    }

    #[test]
    fn what_is_lost_at_the_end_is_noticed_at_the_end() {
        let mut receipts = receipts(2);
        for number in 1..=5 {
            take(&mut receipts, "often", number);
        }
        assert_eq!(take(&mut receipts, "once", 1), None);
        let missing = Broken::Missing { topic: "once".into(), from: 2, to: 5 };
        assert_eq!(receipts.missing(), vec![missing]);
    }

    #[test]
    fn once_is_once_only_at_qos_2_on_both_sides() {
        let (mut once, mut lower) = (receipts(2), receipts(1));
        for receipts in [&mut once, &mut lower] {
            take(receipts, "once", 1);
            take(receipts, "often", 1);
            assert_eq!(take(receipts, "often", 1), None);
        }
        let again = Broken::Again { topic: "once".into(), number: 1 };
        assert_eq!(take(&mut once, "once", 1), Some(again));
        assert_eq!(take(&mut lower, "once", 1), None);
        assert_eq!((once.repeated(), lower.repeated()), (1, 2));
    }

    #[test]
    fn what_nobody_sent_is_noticed() {
        let mut receipts = receipts(2);
        for (topic, payload) in [("else", "else 1"), ("once", "often 1"), ("once", "once 6")] {
            let broken = receipts.take(topic, payload.as_bytes());
            assert!(matches!(broken, Err(Broken::Invented { .. })), "{topic} {payload}");
        }
    }
}

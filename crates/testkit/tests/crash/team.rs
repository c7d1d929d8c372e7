//! What the members of a shared subscription got together.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ledger::{Book, Broken, Stream, Streams, number_in};

/// The common book of one shared subscription; each member holds a copy. Which member gets a message
/// is up to the broker, so there is no order to check: only that one of them gets it.
#[derive(Debug, Clone)]
pub(crate) struct Team {
    streams: Arc<Streams>,
    qos: u8,
    got: Arc<Mutex<Got>>,
}

#[derive(Debug, Default)]
struct Got {
    /// Streams by place, and numbers.
    all: BTreeSet<(usize, u64)>,
    repeated: u64,
}

impl Team {
    pub(crate) fn new(streams: &Arc<Streams>, qos: u8) -> Self {
        Self { streams: streams.clone(), qos, got: Arc::default() }
    }

    fn got(&self) -> MutexGuard<'_, Got> {
        self.got.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book for Team {
    fn take(&mut self, topic: &str, payload: &[u8]) -> Result<(), Broken> {
        let place = self.streams.place(topic);
        let number = number_in(topic, payload);
        let sent = |stream: &Stream, number| (1..=stream.sent()).contains(&number);
        match (place, number) {
            (Some(place), Some(number)) if sent(&self.streams.all[place], number) => {
                let mut got = self.got();
                if got.all.insert((place, number)) {
                    return Ok(());
                }
                if self.streams.all[place].qos == 2 && self.qos == 2 {
                    return Err(Broken::Again { topic: topic.to_owned(), number });
                }
                got.repeated += 1;
                Ok(())
            }
            _ => Err(Broken::Invented {
                topic: topic.to_owned(),
                payload: String::from_utf8_lossy(payload).into_owned(),
            }),
        }
    }

    fn count(&self) -> u64 {
        self.got().all.len() as u64
    }

    fn repeated(&self) -> u64 {
        std::mem::take(&mut self.got().repeated)
    }

    fn missing(&self) -> Vec<Broken> {
        let got = self.got();
        let mut missing = Vec::new();
        for (place, stream) in self.streams.all.iter().enumerate() {
            for number in 1..=stream.acknowledged() {
                if !got.all.contains(&(place, number)) {
                    let topic = stream.topic.clone();
                    missing.push(Broken::Missing { topic, from: number, to: number });
                }
            }
        }
        missing
    }
}

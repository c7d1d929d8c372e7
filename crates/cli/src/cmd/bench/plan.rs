//! A scenario with all its numbers: who publishes what, who must receive it, and when.

use super::args::{TargetArgs, TrafficArgs, nanoseconds};
use super::clock::SECOND_NS;
use super::frames::Version;

/// Filters that match each publish of the `match` scenario.
pub(super) const FILTERS_PER_GROUP: u32 = 4;

/// Groups in one area of the `match` topic tree.
const GROUPS_PER_AREA: u32 = 1000;

/// In flight per publisher in an open loop; more waits at the publisher and counts as latency.
const OPEN_LOOP_WINDOW: u64 = 4096;

/// Saturation at QoS 0: a few full writes under way keep both sides at work.
const USUAL_WINDOW_QOS_0: u64 = 2000;

/// Saturation with acknowledgements: in the order of what clients allow themselves.
const USUAL_WINDOW: u64 = 100;

/// Everything a traffic run needs to know.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) publishers: u32,
    pub(super) subscribers: u32,
    pub(super) layout: Layout,
    pub(super) audience: Audience,
    pub(super) version: Version,
    pub(super) qos: u8,
    pub(super) sub_qos: u8,
    pub(super) payload: usize,
    pub(super) pace: Pace,
    pub(super) phases: Phases,
    /// Marks this run in topics, client identifiers and stamps.
    pub(super) run: u32,
}

/// Whether the subscribers are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// Connected, and every message is waited for.
    Present,
    /// Away, with sessions that stay: what counts is the acknowledgement.
    Away,
}

/// How topics join publishers and subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Publisher i to subscriber i.
    Pairs,
    /// One topic, everybody receives everything.
    OneTopic,
    /// A topic per publisher, everybody receives everything.
    OwnTopics,
    /// A topic per publisher, one shared subscription.
    Shared,
    /// `groups` topics with four distinct filters each.
    Groups {
        /// How many topics there are.
        groups: u32,
    },
}

/// When messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Open loop.
    Rate {
        /// Messages per second over all publishers.
        per_second: u64,
        /// Length of a sending tick; 0 for none.
        tick_ns: u64,
    },
    /// As fast as messages come back or are acknowledged.
    Window(u64),
}

/// Lengths of the phases of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phases {
    pub(super) warmup_ns: u64,
    pub(super) measured_ns: u64,
    pub(super) drain_ns: u64,
}

impl Plan {
    /// A plan of `publishers` and `subscribers` in a layout.
    pub(super) fn new(
        layout: Layout,
        publishers: u32,
        subscribers: u32,
        traffic: &TrafficArgs,
        target: &TargetArgs,
    ) -> Self {
        let pace = match traffic.rate {
            Some(per_second) => Pace::Rate { per_second, tick_ns: traffic.tick_ms * 1_000_000 },
            None => {
                let usual = if traffic.qos == 0 { USUAL_WINDOW_QOS_0 } else { USUAL_WINDOW };
                Pace::Window(traffic.window.unwrap_or(usual))
            }
        };
        Self {
            publishers,
            subscribers,
            layout,
            audience: Audience::Present,
            version: target.mqtt,
            qos: traffic.qos,
            sub_qos: traffic.sub_qos.unwrap_or(traffic.qos),
            payload: traffic.payload as usize,
            pace,
            phases: Phases {
                warmup_ns: nanoseconds(traffic.warmup),
                measured_ns: nanoseconds(traffic.seconds).max(1),
                drain_ns: nanoseconds(traffic.drain),
            },
            run: run_tag(),
        }
    }

    /// Deliveries each publish is due.
    pub(super) fn deliveries_per_publish(&self) -> u64 {
        if self.audience == Audience::Away {
            return 0;
        }
        match self.layout {
            Layout::Pairs | Layout::Shared => 1,
            Layout::OneTopic | Layout::OwnTopics => u64::from(self.subscribers),
            Layout::Groups { .. } => u64::from(FILTERS_PER_GROUP),
        }
    }

    /// Messages a publisher may have in flight.
    pub(super) fn window(&self) -> u64 {
        match self.pace {
            Pace::Rate { .. } if self.qos == 0 => u64::MAX,
            Pace::Rate { .. } => OPEN_LOOP_WINDOW,
            Pace::Window(size) => size,
        }
    }

    /// At QoS 0 in saturation the arrival of messages is what opens the window.
    pub(super) fn window_by_arrival(&self) -> bool {
        self.qos == 0 && matches!(self.pace, Pace::Window(_))
    }

    /// The topic of a publisher; in `Groups` that of group 0, to be changed by `group_topic`.
    pub(super) fn topic(&self, publisher: u32) -> String {
        let root = self.root();
        match self.layout {
            Layout::OneTopic => format!("{root}/one"),
            Layout::Pairs | Layout::OwnTopics | Layout::Shared => {
                format!("{root}/p/{publisher:07}")
            }
            Layout::Groups { .. } => group_topic(&root, 0),
        }
    }

    /// The filters of a subscriber.
    pub(super) fn filters(&self, subscriber: u32) -> Vec<String> {
        let root = self.root();
        match self.layout {
            Layout::Pairs => vec![format!("{root}/p/{subscriber:07}")],
            Layout::OneTopic => vec![format!("{root}/one")],
            Layout::OwnTopics => vec![format!("{root}/p/+")],
            Layout::Shared => vec![format!("$share/bench/{root}/p/+")],
            Layout::Groups { groups } => (subscriber..groups * FILTERS_PER_GROUP)
                .step_by(self.subscribers as usize)
                .map(|filter| group_filter(&root, filter))
                .collect(),
        }
    }

    /// When the phases end if the run starts at `start_ns`.
    pub(super) fn timeline(&self, start_ns: u64) -> Timeline {
        let measure_ns = start_ns.saturating_add(self.phases.warmup_ns);
        let stop_ns = measure_ns.saturating_add(self.phases.measured_ns);
        Timeline { start_ns, measure_ns, stop_ns }
    }

    fn root(&self) -> String {
        format!("bench/{:08x}", self.run)
    }
}

/// Instants of a run on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeline {
    /// First publish.
    pub(super) start_ns: u64,
    /// End of the warm-up.
    pub(super) measure_ns: u64,
    /// End of the measured phase and of publishing.
    pub(super) stop_ns: u64,
}

/// Where the digits of a group stand in its topic, counted from the topic's start.
#[derive(Debug, Clone, Copy)]
pub(super) struct GroupDigits {
    area_at: usize,
    group_at: usize,
    groups: u32,
}

impl GroupDigits {
    const AREA_DIGITS: usize = 4;
    const GROUP_DIGITS: usize = 7;

    /// The places in every topic of a plan; `None` if its topics do not change.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        let Layout::Groups { groups } = plan.layout else { return None };
        let area_at = plan.root().len() + 2;
        Some(Self { area_at, group_at: area_at + Self::AREA_DIGITS + 2, groups })
    }

    /// Turns the topic into that of the group which message `sequence` of `publisher` goes to:
    /// neighbours in time are far apart in the tree.
    pub(super) fn rewrite(&self, topic: &mut [u8], publisher: u32, sequence: u64) {
        let step = sequence.wrapping_mul(7919).wrapping_add(u64::from(publisher) * 104_729);
        let group = (step % u64::from(self.groups)) as u32;
        let digits = |place: &mut [u8], mut value: u32| {
            for digit in place.iter_mut().rev() {
                *digit = b'0' + (value % 10) as u8;
                value /= 10;
            }
        };
        digits(&mut topic[self.area_at..][..Self::AREA_DIGITS], group / GROUPS_PER_AREA);
        digits(&mut topic[self.group_at..][..Self::GROUP_DIGITS], group);
    }
}

fn group_topic(root: &str, group: u32) -> String {
    format!("{root}/a{:04}/g{group:07}/v", group / GROUPS_PER_AREA)
}

/// Filter number `filter`: four kinds for each group.
fn group_filter(root: &str, filter: u32) -> String {
    let group = filter / FILTERS_PER_GROUP;
    let area = group / GROUPS_PER_AREA;
    match filter % FILTERS_PER_GROUP {
        0 => group_topic(root, group),
        1 => format!("{root}/+/g{group:07}/v"),
        2 => format!("{root}/a{area:04}/g{group:07}/+"),
        _ => format!("{root}/a{area:04}/g{group:07}/#"),
    }
}

/// Differs from run to run on one machine.
pub(super) fn run_tag() -> u32 {
    let now = super::clock::now_ns();
    let mixed = (now ^ (u64::from(std::process::id()) << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as u32
}

/// Seconds of a span of nanoseconds.
pub(super) fn in_seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / SECOND_NS as f64
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A plan for tests: 3.1.1, QoS 0, 64 bytes, one second.
    pub(in super::super) fn plan(layout: Layout, publishers: u32, subscribers: u32) -> Plan {
        Plan {
            publishers,
            subscribers,
            layout,
            audience: Audience::Present,
            version: Version::V311,
            qos: 0,
            sub_qos: 0,
            payload: 64,
            pace: Pace::Window(100),
            phases: Phases {
                warmup_ns: SECOND_NS / 10,
                measured_ns: SECOND_NS / 2,
                drain_ns: SECOND_NS,
            },
            run: 0xab,
        }
    }

    #[test]
    fn a_group_has_four_distinct_filters_at_four_clients() {
        let plan = plan(Layout::Groups { groups: 2500 }, 1, 10);
        let mut holders = Vec::new();
        let mut all = Vec::new();
        for subscriber in 0..10 {
            let filters = plan.filters(subscriber);
            if filters.iter().any(|filter| filter.contains("g0001234")) {
                holders.push(subscriber);
            }
            all.extend(filters);
        }
        assert_eq!((all.len(), holders.len()), (10_000, 4));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 10_000);
        assert!(all.contains(&"bench/000000ab/a0001/g0001234/#".to_owned()));
    }

    #[test]
    fn rewritten_topics_are_those_of_the_filters() {
        let plan = plan(Layout::Groups { groups: 2500 }, 1, 4);
        let digits = GroupDigits::of(&plan).unwrap();
        let exact = plan.filters(0);
        for sequence in 0..100 {
            let mut topic = plan.topic(0).into_bytes();
            digits.rewrite(&mut topic, 0, sequence);
            let topic = String::from_utf8(topic).unwrap();
            assert!(exact.contains(&topic), "{topic}");
        }
    }

    #[test]
    fn every_layout_knows_its_deliveries() {
        for (layout, deliveries) in [
            (Layout::Pairs, 1),
            (Layout::OneTopic, 7),
            (Layout::OwnTopics, 7),
            (Layout::Shared, 1),
            (Layout::Groups { groups: 3 }, 4),
        ] {
            assert_eq!(plan(layout, 7, 7).deliveries_per_publish(), deliveries);
        }
    }
}

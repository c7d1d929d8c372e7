//! Named lists of scenarios. A row is what one would type, so each can be repeated by hand.

use clap::ValueEnum;

/// The lists there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Suite {
    /// The published comparison
    Numbers,
    /// What it costs to keep messages
    Durable,
    /// A few seconds of everything, to see that it runs
    Smoke,
}

impl Suite {
    /// Title and command line of each scenario.
    pub(super) fn rows(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Numbers => NUMBERS,
            Self::Durable => DURABLE,
            Self::Smoke => SMOKE,
        }
    }
}

const NUMBERS: &[(&str, &str)] = &[
    ("1 pair, QoS 0, saturated", "p2p"),
    ("10 pairs, QoS 1, window 100", "p2p --pairs 10 --qos 1 --window 100"),
    ("10 pairs, QoS 2, window 100", "p2p --pairs 10 --qos 2 --window 100"),
    ("fan-out 10 to 100, QoS 0, saturated", "fanout --publishers 10 --window 100"),
    ("500 pairs, QoS 0, 20 k/s", "p2p --pairs 500 --rate 20000"),
    ("500 pairs, QoS 1, 10 k/s", "p2p --pairs 500 --qos 1 --rate 10000"),
    ("fan-in 500 to 1, QoS 0, 30 k/s", "fanin --publishers 500 --rate 30000"),
    ("fan-out 1 to 1000, QoS 0, 100 k/s", "fanout --subscribers 1000 --rate 100"),
    ("fan-out 1 to 1000, QoS 1, 50 k/s", "fanout --subscribers 1000 --qos 1 --rate 50"),
    ("fan-out 1 to 100, 16 KiB, 10 k/s", "fanout --subscribers 100 --payload 16384 --rate 100"),
    (
        "shared group of 5, 500 publishers, QoS 1, 10 k/s",
        "shared --publishers 500 --qos 1 --rate 10000",
    ),
    ("15 000 idle connections", "idle --connections 15000"),
    ("connect and disconnect", "storm"),
    ("1 k filters, fan 4, QoS 0, saturated", "match --filters 1000"),
    ("1 M filters, fan 4, QoS 0, saturated", "match --filters 1000000"),
];

const DURABLE: &[(&str, &str)] = &[
    (
        "1000 publishers, 1 in flight, 128 B",
        "queue --qos 1 --publishers 1000 --window 1 --payload 128 --warmup 0.5 --seconds 3",
    ),
    (
        "10 publishers, 1000 in flight, 128 B",
        "queue --qos 1 --publishers 10 --window 1000 --payload 128 --warmup 0.5 --seconds 3",
    ),
    (
        "100 publishers, 100 in flight, 64 B",
        "queue --qos 1 --publishers 100 --window 100 --payload 64 --warmup 0.5 --seconds 3",
    ),
    (
        "1 publisher, 1 in flight",
        "queue --qos 1 --publishers 1 --window 1 --probe --warmup 0.5 --seconds 2",
    ),
    (
        "1 publisher, 1 in flight, two CPUs busy",
        "queue --qos 1 --publishers 1 --window 1 --probe --spin 2 --warmup 0.5 --seconds 2",
    ),
    (
        "10 publishers, 100 in flight, 100 receivers, 1 KiB",
        "queue --qos 1 --publishers 10 --receivers 100 --window 100 --payload 1024 --warmup 0.5 \
         --seconds 3",
    ),
];

const SMOKE: &[(&str, &str)] = &[
    ("1 pair, QoS 0, saturated", "p2p --warmup 0.2 --seconds 1"),
    ("10 pairs, QoS 1, window 100", "p2p --pairs 10 --qos 1 --warmup 0.2 --seconds 1"),
    ("10 pairs, QoS 2, window 100", "p2p --pairs 10 --qos 2 --warmup 0.2 --seconds 1"),
    ("100 pairs, QoS 0, 5 k/s", "p2p --pairs 100 --rate 5000 --warmup 0.2 --seconds 1"),
    ("fan-out 1 to 100, 10 k/s", "fanout --rate 100 --warmup 0.2 --seconds 1"),
    ("fan-in 100 to 1, 5 k/s", "fanin --rate 5000 --warmup 0.2 --seconds 1"),
    ("shared group of 5, QoS 1, 5 k/s", "shared --qos 1 --rate 5000 --warmup 0.2 --seconds 1"),
    ("1000 idle connections", "idle --seconds 1"),
    ("10 publishers to sessions", "queue --qos 1 --publishers 10 --warmup 0.2 --seconds 1"),
    ("connect and disconnect", "storm --warmup 0.2 --seconds 1"),
    ("10 k filters, fan 4", "match --filters 10000 --warmup 0.2 --seconds 1"),
];

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::ScenarioLine;
    use super::*;

    #[test]
    fn every_row_can_be_typed() {
        for suite in Suite::value_variants() {
            for (title, line) in suite.rows() {
                let parsed = ScenarioLine::try_parse_from(line.split_whitespace());
                assert!(parsed.is_ok(), "{title}: {parsed:?}");
            }
        }
    }
}

//! The same scenarios against several brokers, in interleaved rounds, so that what disturbs the
//! machine disturbs all of them; medians and ratios of the rounds.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser};
use serde::Serialize;

use super::args::{ScenarioLine, TargetArgs};
use super::crowd::raise_descriptor_limit;
use super::frames::Version;
use super::launch::{BrokerSpec, split_words};
use super::outcome::{Measure, Outcome, median};
use super::progress::Progress;
use super::suite::Suite;

/// Options of `dunlin bench compare`.
#[derive(Debug, Clone, Args)]
pub(super) struct CompareArgs {
    /// A broker, at least once: `NAME=HOST:PORT,PID` if it runs, or `NAME=COMMAND` to start it for
    /// each run, with {port}, {dir} (a temporary directory), {conf} (a Mosquitto configuration
    /// without limits), {persistent-conf} (the same, saving every second), {nats-conf} and
    /// {nats-always-conf} (JetStream in files, synced every two minutes or always) replaced.
    /// Ratios are those of the first to each other
    #[arg(long = "broker", required = true)]
    brokers: Vec<BrokerSpec>,
    /// A scenario as one would type it, such as 'p2p --pairs 10 --qos 1'; may be repeated
    #[arg(long = "scenario")]
    scenarios: Vec<String>,
    /// A named list of scenarios, before those of --scenario
    #[arg(long, value_enum)]
    suite: Option<Suite>,
    /// Only scenarios whose title or command line contains this
    #[arg(long)]
    only: Option<String>,
    /// Rounds; every broker runs every scenario once in each
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Pin brokers that are started to this CPU; several separated by commas
    #[arg(long, value_delimiter = ',')]
    broker_cpu: Vec<usize>,
    /// Print a Markdown table
    #[arg(long)]
    pub(super) markdown: bool,
}

/// Results of all scenarios.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    /// Names, in the order given.
    pub(super) brokers: Vec<String>,
    pub(super) rounds: u32,
    pub(super) rows: Vec<Row>,
}

/// Results of one scenario.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) title: String,
    /// How to repeat it by hand.
    pub(super) command: String,
    /// Per broker, in their order.
    pub(super) results: Vec<Results>,
    #[serde(skip)]
    line: ScenarioLine,
}

/// What one broker showed in one scenario.
#[derive(Debug, Default, Serialize)]
pub(super) struct Results {
    pub(super) medians: Outcome,
    pub(super) rounds: Vec<Outcome>,
    /// Rounds that failed, and why.
    pub(super) errors: Vec<String>,
}

impl CompareArgs {
    /// Runs everything. A round that fails is part of the result, not the end of the comparison.
    pub(super) fn run(&self, common: &TargetArgs, progress: &Progress) -> Result<Comparison> {
        let mut rows = self.rows()?;
        raise_descriptor_limit()?;
        for round in 0..self.rounds {
            for row in &mut rows {
                for (at, broker) in self.brokers.iter().enumerate() {
                    let place = format!("round {} {}: {}", round + 1, broker.name, row.title);
                    let progress = progress.with_prefix(&place);
                    let outcome = self.run_once(broker, &row.line, common, &progress);
                    match outcome {
                        Ok(outcome) => row.results[at].rounds.push(outcome),
                        Err(error) => row.results[at].errors.push(format!("{error:#}")),
                    }
                }
            }
        }
        for results in rows.iter_mut().flat_map(|row| &mut row.results) {
            results.medians = medians(&results.rounds);
        }
        let brokers = self.brokers.iter().map(|broker| broker.name.clone()).collect();
        Ok(Comparison { brokers, rounds: self.rounds, rows })
    }

    fn run_once(
        &self,
        broker: &BrokerSpec,
        line: &ScenarioLine,
        common: &TargetArgs,
        progress: &Progress,
    ) -> Result<Outcome> {
        progress.say("starting");
        let mut broker = broker.start(&self.broker_cpu)?;
        let target = broker.target(common);
        let mqtt = match target.mqtt {
            Version::Nats => Version::Nats,
            mqtt => line.mqtt.unwrap_or(mqtt),
        };
        let via = line.via.unwrap_or(target.via);
        line.scenario.run_started(&mut broker, &TargetArgs { mqtt, via, ..target }, progress)
    }

    fn rows(&self) -> Result<Vec<Row>> {
        let suite = self.suite.map_or(&[][..], Suite::rows).iter();
        let listed = suite.map(|(title, line)| (*title, *line));
        let typed = self.scenarios.iter().map(|line| (line.as_str(), line.as_str()));
        let wanted = |text: &str| self.only.as_ref().is_none_or(|only| text.contains(only));
        let rows: Vec<Row> = listed
            .chain(typed)
            .filter(|(title, line)| wanted(title) || wanted(line))
            .map(|(title, line)| self.row(title, line))
            .collect::<Result<_>>()?;
        ensure!(!rows.is_empty(), "nothing to run: give --suite or --scenario");
        Ok(rows)
    }

    fn row(&self, title: &str, line: &str) -> Result<Row> {
        let words = split_words(line).map_err(anyhow::Error::msg)?;
        let parsed = ScenarioLine::try_parse_from(words)
            .with_context(|| format!("the scenario {line:?}"))?;
        Ok(Row {
            title: title.to_owned(),
            command: format!("dunlin bench {line}"),
            results: self.brokers.iter().map(|_| Results::default()).collect(),
            line: parsed,
        })
    }
}

fn medians(rounds: &[Outcome]) -> Outcome {
    let mut values: BTreeMap<Measure, Vec<f64>> = BTreeMap::new();
    for (measure, value) in rounds.iter().flat_map(|round| &round.values) {
        values.entry(*measure).or_default().push(*value);
    }
    let mut outcome = Outcome::default();
    for (measure, values) in values {
        outcome.set_known(measure, typical(measure, values));
    }
    outcome
}

/// The median, but of faults the worst round: one lost message must not vanish.
fn typical(measure: Measure, values: Vec<f64>) -> Option<f64> {
    if measure.is_fault() {
        values.into_iter().max_by(f64::total_cmp)
    } else {
        median(values.into_iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(lost: f64, delivered: f64) -> Outcome {
        let mut outcome = Outcome::default();
        outcome.set(Measure::Lost, lost);
        outcome.set(Measure::DeliveredPerS, delivered);
        outcome
    }

    #[test]
    fn faults_are_not_hidden_by_the_median() {
        let rounds = [outcome(0.0, 5.0), outcome(7.0, 1.0), outcome(0.0, 2.0)];
        assert_eq!(medians(&rounds), outcome(7.0, 2.0));
    }
}

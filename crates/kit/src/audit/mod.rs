//! A judgement of a configuration by seven rules: TLS, no anonymous clients, strong passwords, rules for
//! topics, certificates that are renewed, logs, and clients with certificates.

mod certificates;
mod logs;
mod passwords;
mod subject;
mod topics;
mod transport;

use dunlin_config::Loaded;

use crate::UnixSeconds;
use subject::Subject;

/// What was found.
#[derive(Debug, Clone)]
pub struct Report {
    /// The seven rules, in their order.
    pub rules: Vec<Judged>,
}

/// A rule, and what was found about it.
#[derive(Debug, Clone)]
pub struct Judged {
    /// What it asks for.
    pub title: &'static str,
    /// Why it is not kept, and what else should be known.
    pub findings: Vec<Finding>,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it breaks the rule.
    pub weight: Weight,
    /// The file, with the line if there is one.
    pub place: Option<String>,
    /// What is so.
    pub what: String,
    /// What to do about it.
    pub change: String,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The rule is kept; it could be kept better.
    Hint,
    /// The rule is broken.
    Broken,
}

impl Judged {
    /// Whether the rule is kept.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.findings.iter().all(|finding| finding.weight == Weight::Hint)
    }
}

impl Report {
    /// How many rules are kept.
    #[must_use]
    pub fn score(&self) -> usize {
        self.rules.iter().filter(|rule| rule.is_kept()).count()
    }

    /// Whether all are.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.score() == self.rules.len()
    }
}

/// Judges a configuration and the files that it names, which are read from the disk.
#[must_use]
pub fn audit(loaded: &Loaded, now: UnixSeconds) -> Report {
    let subject = Subject::new(loaded, now);
    let rules: [(&'static str, Rule); 7] = [
        ("TLS for all who come from other machines", transport::encrypted),
        ("No client without a name", transport::named),
        ("Strong passwords, kept well", passwords::strong),
        ("Rules for who may read and write which topics", topics::ruled),
        ("Certificates that hold, and are renewed in time", certificates::in_order),
        ("A log that shows who tries what", logs::watched),
        ("Clients with certificates", transport::mutual),
    ];
    let judge = |(title, rule): (&'static str, Rule)| {
        let mut findings = Findings(Vec::new());
        rule(&subject, &mut findings);
        Judged { title, findings: findings.0 }
    };
    Report { rules: rules.into_iter().map(judge).collect() }
}

/// Looks at the subject and says what it finds.
type Rule = fn(&Subject<'_>, &mut Findings);

/// Collects what is found.
struct Findings(Vec<Finding>);

impl Findings {
    fn broken(
        &mut self,
        place: Option<String>,
        what: impl Into<String>,
        change: impl Into<String>,
    ) {
        self.add(Weight::Broken, place, what.into(), change.into());
    }

    fn hint(&mut self, place: Option<String>, what: impl Into<String>, change: impl Into<String>) {
        self.add(Weight::Hint, place, what.into(), change.into());
    }

    /// What several listeners share is told once.
    fn add(&mut self, weight: Weight, place: Option<String>, what: String, change: String) {
        let finding = Finding { weight, place, what, change };
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
    }
}

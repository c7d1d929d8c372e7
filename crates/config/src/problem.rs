//! What is wrong with a configuration, and what is worth saying about one that is right.

use std::fmt;

use crate::place::Place;

/// One reason not to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it is, if it is at one place.
    pub place: Option<Place>,
    /// What is wrong and what would be right.
    pub what: String,
    /// What Mosquitto says of it, where it is in a file or on a command line of Mosquitto's: scripts look for it.
    pub(crate) mosquitto: Option<String>,
    /// Mosquitto finds it only when it opens its listeners, and ends with another status then.
    pub(crate) late: bool,
}

impl Problem {
    pub(crate) fn new(place: Option<Place>, what: impl Into<String>) -> Self {
        Self { place, what: what.into(), mosquitto: None, late: false }
    }

    pub(crate) fn at(place: &Place, what: impl Into<String>) -> Self {
        Self::new(Some(place.clone()), what)
    }

    pub(crate) fn nowhere(what: impl Into<String>) -> Self {
        Self::new(None, what)
    }

    /// What Mosquitto says of it.
    #[must_use]
    pub(crate) fn in_mosquittos_words(self, words: impl Into<String>) -> Self {
        Self { mosquitto: Some(words.into()), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// All that is wrong, in the order in which it was found; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// The first one, which the others may follow from.
    #[must_use]
    pub fn first(&self) -> Option<&Problem> {
        self.0.first()
    }

    /// A line for each, or two where Mosquitto has words of its own: these come first and alone, as scripts know
    /// them.
    #[must_use]
    pub fn in_both_words(&self) -> String {
        let lines = self.0.iter().flat_map(|problem| {
            problem.mosquitto.clone().into_iter().chain(Some(problem.to_string()))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Whether Mosquitto would have found nothing wrong before it opened its listeners.
    #[must_use]
    pub fn are_late(&self) -> bool {
        self.0.iter().all(|problem| problem.late)
    }

    /// `value`, unless there are problems.
    pub(crate) fn unless_any<T>(problems: Vec<Problem>, value: T) -> Result<T, Self> {
        if problems.is_empty() { Ok(value) } else { Err(Self(problems)) }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// One line for the log about something that is no reason not to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it is about.
    pub place: Option<Place>,
    /// The key as it was written.
    pub key: String,
    /// How much it matters.
    pub weight: Weight,
    /// What the user should know.
    pub text: String,
}

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It explains; nothing behaves differently.
    Information,
    /// Something that was asked for does not happen.
    Warning,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}: {}", self.key, self.text)
    }
}

//! What is wrong in a file, and where.

use std::fmt;
use std::sync::Arc;

/// One thing that is wrong, at its place. The text never quotes a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Name of the file as the caller gave it.
    pub file: Arc<str>,
    /// Counted from 1; 0 when the fault has no line.
    pub line: u32,
    /// Whether the file can be used all the same.
    pub severity: Severity,
    /// What it is, and what to do about it.
    pub message: String,
}

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// What the line asks for is not done.
    Error,
    /// It is done, but is probably not what was meant.
    Warning,
}

impl Fault {
    pub(crate) fn error(file: &Arc<str>, line: u32, message: impl Into<String>) -> Self {
        Self { file: file.clone(), line, severity: Severity::Error, message: message.into() }
    }

    pub(crate) fn warning(file: &Arc<str>, line: u32, message: impl Into<String>) -> Self {
        Self { file: file.clone(), line, severity: Severity::Warning, message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}

/// The lines of a text with their numbers, without line ends.
pub(crate) fn numbered(text: &str) -> impl Iterator<Item = (u32, &str)> {
    text.lines().zip(1..).map(|(line, number)| (number, line))
}

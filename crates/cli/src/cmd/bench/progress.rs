//! The line per second on stderr while something runs.

use std::io::{IsTerminal, Write, stderr};

/// Shows what is going on, if somebody looks.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    is_shown: bool,
    rewrites_line: bool,
    prefix: String,
}

impl Progress {
    /// Shown on a terminal, or if `wanted`.
    pub(super) fn new(wanted: bool) -> Self {
        let is_terminal = stderr().is_terminal();
        Self { is_shown: wanted || is_terminal, rewrites_line: is_terminal, prefix: String::new() }
    }

    /// The same, each line after `prefix`.
    pub(super) fn with_prefix(&self, prefix: &str) -> Self {
        Self { prefix: format!("{prefix}  "), ..self.clone() }
    }

    /// Says what happens now. Nobody depends on it, so a closed stderr is no error.
    pub(super) fn say(&self, text: &str) {
        if self.is_shown {
            let (start, end) = if self.rewrites_line { ("\r\x1b[K", "") } else { ("", "\n") };
            drop(write!(stderr().lock(), "{start}{}{text}{end}", self.prefix));
        }
    }

    /// Takes the line away before results are printed.
    pub(super) fn clear(&self) {
        if self.is_shown && self.rewrites_line {
            drop(write!(stderr().lock(), "\r\x1b[K"));
        }
    }
}

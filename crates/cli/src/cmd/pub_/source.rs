//! Where the payloads come from.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

/// Bytes of the standard input read at a time.
const READ_SIZE: usize = 64 * 1024;

/// The payload, as typed: exactly one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct SourceOptions {
    /// Payload of the message
    #[arg(short, long, allow_hyphen_values = true)]
    message: Option<String>,
    /// The payload is what this file contains
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// Each line of the standard input is a message
    #[arg(short = 'l', long)]
    stdin_line: bool,
    /// The whole standard input is one message
    #[arg(short = 's', long)]
    stdin_file: bool,
    /// The payload is empty
    #[arg(short, long)]
    null_message: bool,
}

/// One payload, or lines as they come.
#[derive(Debug)]
pub(super) enum Source {
    Payload(Vec<u8>),
    Lines(Lines),
}

impl SourceOptions {
    /// Reads what is to be read before connecting.
    pub(super) fn open(self) -> Result<Source> {
        if self.stdin_line {
            return Ok(Source::Lines(Lines::default()));
        }
        Ok(Source::Payload(match (self.message, self.file) {
            (Some(message), _) => message.into_bytes(),
            (None, Some(path)) => {
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?
            }
            (None, None) if self.stdin_file => {
                let mut payload = Vec::new();
                let read = io::stdin().lock().read_to_end(&mut payload);
                read.context("cannot read the standard input")?;
                payload
            }
            (None, None) => Vec::new(),
        }))
    }
}

/// The lines of the standard input, read when there is something.
#[derive(Debug, Default)]
pub(super) struct Lines {
    complete: VecDeque<Vec<u8>>,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
    is_at_end: bool,
}

impl Lines {
    /// The next line, without its end.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        self.complete.pop_front()
    }

    /// Whether there are no more lines and never will be.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end && self.complete.is_empty()
    }

    /// Reads once; waits unless there is something to read.
    pub(super) fn read(&mut self) -> io::Result<()> {
        let mut bytes = vec![0; READ_SIZE];
        // Not through `Stdin`: what its buffer held back would not wake anyone.
        let len = rustix::io::read(rustix::stdio::stdin(), &mut bytes)?;
        self.take(bytes.get(..len).unwrap_or_default());
        Ok(())
    }

    /// Nothing is the end; a last line may lack its line feed.
    fn take(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.is_at_end = true;
            if !self.partial.is_empty() {
                self.complete.push_back(std::mem::take(&mut self.partial));
            }
            return;
        }
        let mut parts = bytes.split(|&byte| byte == b'\n');
        self.partial.extend_from_slice(parts.next().unwrap_or_default());
        for part in parts {
            self.complete.push_back(std::mem::replace(&mut self.partial, part.to_vec()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_from_pieces() {
        let mut lines = Lines::default();
        lines.take(b"one\ntw");
        assert_eq!(lines.next(), Some(b"one".to_vec()));
        assert_eq!(lines.next(), None);
        lines.take(b"o\n\nlast");
        lines.take(b"");
        assert!(!lines.is_at_end());
        let rest: Vec<_> = std::iter::from_fn(|| lines.next()).collect();
        assert_eq!(rest, [b"two".to_vec(), b"".to_vec(), b"last".to_vec()]);
        assert!(lines.is_at_end());
    }
}

//! What can be chosen, and what is told.

use core::fmt;

/// How a store is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Length of a segment in bytes. 64 MiB: a few a second at full speed, and short enough to copy a few
    /// live bytes out of.
    pub segment_bytes: u64,
    /// Below so many segments nothing is cleaned. 8: half a gigabyte costs nothing, and copying does.
    pub minimum_segments: u32,
    /// What to do with a segment that is damaged.
    pub on_damage: OnDamage,
    /// The name of the store if it is a new one; chosen at random if `None`.
    pub identity: Option<u128>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            minimum_segments: 8,
            on_damage: OnDamage::SetAside,
            identity: None,
        }
    }
}

/// What to do with a segment that is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDamage {
    /// Keep a copy of it, start with everything that can be read, and report.
    SetAside,
    /// Do not start.
    Refuse,
}

/// What was found when a store was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// There was none before.
    pub created: bool,
    /// Segments that were read.
    pub segments: u64,
    /// Frames that were read.
    pub frames: u64,
    /// Records that were read.
    pub records: u64,
    /// The end of the log that was being written when the program or the machine stopped.
    pub torn: Option<Torn>,
    /// What could not be read though it had been durable.
    pub damage: Vec<Damage>,
}

/// An unfinished group of records at the end of the log. Nobody was told that it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The segment.
    pub file: String,
    /// Where the log ends now.
    pub offset: u64,
}

/// Part of a segment that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub file: String,
    /// The copy that was kept of it, if there was room.
    pub copy: Option<String>,
    /// The first byte that is lost.
    pub offset: u64,
    /// The first byte that can be read again.
    pub end: u64,
    /// Number of the first record that is lost.
    pub first: u64,
    /// Number of the first record that can be read again.
    pub next: u64,
    /// Sessions that can still be made out in what is lost, at least.
    pub sessions: u64,
    /// Topics that can still be made out in what is lost, at least.
    pub topics: u64,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: unfinished records from byte {} on were cut off", self.file, self.offset)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, end, first, next, sessions, topics, .. } = self;
        let records = next - first;
        write!(
            f,
            "{file}: bytes {offset} to {end} are damaged, {records} records from number {first} on "
        )?;
        write!(f, "are lost, touching at least {sessions} sessions and {topics} topics")?;
        match &self.copy {
            Some(copy) => write!(f, "; the segment was copied to {copy}"),
            None => write!(f, "; the segment could not be copied"),
        }
    }
}

/// Whether new messages should be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Room {
    /// Yes.
    #[default]
    Ready,
    /// No: what is left is for records that make room.
    Full,
}

/// How the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// Whether new messages should be taken in.
    pub room: Room,
    /// Segments of the log.
    pub segments: u64,
    /// Segments that are ready to be written.
    pub spares: u64,
    /// What both take on the disk, in bytes.
    pub disk_bytes: u64,
    /// Records that are still needed, in bytes.
    pub live_bytes: u64,
    /// Messages that somebody is still to have.
    pub messages: u64,
    /// Sessions.
    pub sessions: u64,
    /// Topics with a retained message.
    pub retained: u64,
    /// Frames written since the store was opened.
    pub frames: u64,
    /// Records appended since then.
    pub records: u64,
    /// Bytes of these records.
    pub appended_bytes: u64,
    /// Bytes of records that were copied because their segment was the oldest.
    pub copied_bytes: u64,
    /// All bytes written, with headers.
    pub written_bytes: u64,
    /// Flushes.
    pub syncs: u64,
    /// Segments that were freed.
    pub freed: u64,
    /// Segments in which damage was found since the store was opened.
    pub damaged: u64,
    /// Writes, flushes and other calls that failed.
    pub failures: u64,
}

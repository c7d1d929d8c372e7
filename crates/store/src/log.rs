//! The log: what is appended, and what is still needed of it.

use std::collections::VecDeque;

use dunlin_broker::Message;
use dunlin_broker::journal::{RetainedState, State};

use crate::clean::Cleaning;
use crate::disk::Disk;
use crate::error::{OpenError, ReadError, WriteError};
use crate::format::{Identity, SEGMENT_HEADER};
use crate::group::Group;
use crate::index::Index;
use crate::options::{Options, Report, Room, Status};
use crate::segment::{Pool, SPARES, Segment};
use crate::view::{View, view};

/// Bytes that are written and not flushed, from which on [`Log::append`] flushes by itself: they are kept in
/// memory, too.
const UNFLUSHED_BYTES: usize = 16 << 20;

/// Messages looked at in one go for those of sessions that have ended.
const SWEEP: usize = 1024;

/// A store that is open.
pub struct Log<D: Disk> {
    pub(crate) disk: D,
    pub(crate) options: Options,
    pub(crate) identity: Identity,
    pub(crate) index: Index,
    /// The log, from the oldest on. The last one is being written if `active` says so.
    pub(crate) segments: VecDeque<Segment<D::File>>,
    pub(crate) active: bool,
    pub(crate) pool: Pool<D::File>,
    pub(crate) group: Group,
    /// Part of the group could not be written or flushed: all of it has to go elsewhere.
    pub(crate) broken: bool,
    /// Number of the next record.
    pub(crate) next: u64,
    /// All records below this are durable.
    pub(crate) durable: u64,
    /// Of so many of the oldest segments everything was copied that lives: each can go when all records
    /// below a number are durable.
    pub(crate) cleaned: VecDeque<u64>,
    pub(crate) cleaning: Option<Cleaning>,
    /// Something died that no append has cleaned behind: it went with an ended session.
    pub(crate) owes_cleaning: bool,
    pub(crate) room: Room,
    pub(crate) counters: Status,
}

impl<D: Disk> Log<D> {
    /// Opens the store in a directory, or makes one there if it is empty.
    ///
    /// # Errors
    /// Nothing was changed on the disk then.
    pub fn open(disk: D, options: Options) -> Result<(Self, State, Report), OpenError> {
        let mut retained = Vec::new();
        let (log, mut state, report) =
            Self::open_each(disk, options, &mut |message| retained.push(message))?;
        state.retained = retained;
        Ok((log, state, report))
    }

    /// The same, with retained messages handed to `retained` one by one as they are read, so that they can
    /// be taken in meanwhile; what comes before an error is worth nothing.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_each(
        disk: D,
        options: Options,
        retained: &mut dyn FnMut(RetainedState),
    ) -> Result<(Self, State, Report), OpenError> {
        crate::open::open(disk, options, retained)
    }

    /// Appends the records of one group, which are durable after [`Log::sync`]. If the disk fails now, that
    /// is found out there.
    ///
    /// # Errors
    /// None of the records was taken; they may be appended again.
    ///
    /// # Panics
    /// If the batches are not what `journal` writes.
    pub fn append(&mut self, batches: &[&[u8]]) -> Result<(), WriteError> {
        let total: usize = batches.iter().map(|batch| batch.len()).sum();
        if total == 0 {
            return Ok(());
        }
        if Group::bound(total) > self.capacity() && batches.len() > 1 {
            return batches.iter().try_for_each(|batch| self.append(&[*batch]));
        }
        self.mend()?;
        self.make_room(total)?;
        for batch in batches {
            self.put(batch);
        }
        self.counters.appended_bytes += total as u64;
        self.counters.frames += u64::from(self.group.close(self.identity));
        self.write();
        self.clean_beside(total);
        self.sweep();
        if self.group.bytes.len() > UNFLUSHED_BYTES {
            // Should this fail, the next call says so.
            drop(self.sync());
        }
        Ok(())
    }

    /// Makes everything durable that was appended.
    ///
    /// # Errors
    /// Nothing is forgotten: call this again until it succeeds.
    pub fn sync(&mut self) -> Result<(), WriteError> {
        self.mend()?;
        if self.flush().is_ok() {
            return Ok(());
        }
        // A place on the disk is bad, or all of it is: another place tells.
        self.mend()?;
        self.flush()
    }

    /// Reads a message that somebody is still to have; `None` if nobody is.
    ///
    /// # Errors
    /// It is there, but cannot be read.
    pub fn load(&mut self, id: u64) -> Result<Option<Message>, ReadError> {
        let Some(slot) = self.index.messages.find(id) else { return Ok(None) };
        let place = self.index.messages.at(slot).place;
        let mut bytes = vec![0; place.length as usize];
        let offset = u64::from(place.offset);
        if place.segment == self.group.segment && offset >= self.group.start {
            let start = (offset - self.group.start) as usize;
            let end = start + bytes.len();
            bytes.copy_from_slice(&self.group.bytes[start..end]);
        } else {
            let damaged = || ReadError::Damaged { id };
            let at = self.segments.binary_search_by_key(&place.segment, |segment| segment.id);
            let file = &self.segments[at.map_err(|_| damaged())?].file;
            let read = self.disk.read_at(file, offset, &mut bytes);
            read.map_err(|source| ReadError::Io { id, source })?;
        }
        match view(&bytes) {
            Some(View::Message(m)) if m.id == id => m
                .stored()
                .and_then(|stored| Message::restored(id, &stored))
                .map_or(Err(ReadError::Damaged { id }), |message| Ok(Some(message))),
            _ => Err(ReadError::Damaged { id }),
        }
    }

    /// Makes ready what the next calls need, and frees what is not needed any more. To be called between
    /// commits; does nothing, or one thing that takes some milliseconds.
    ///
    /// # Errors
    /// The disk fails. That it is full is no error here, but told by [`Log::status`].
    pub fn prepare(&mut self) -> Result<(), WriteError> {
        self.sweep();
        if self.may_free() {
            let removed = self.pool.remove_discarded(&mut self.disk);
            removed.inspect_err(|_| self.counters.failures += 1)?;
            self.clean_after_sweep();
            self.free()?;
        }
        match self.pool.fill(&mut self.disk).map_err(WriteError::from) {
            Ok(()) => {
                if self.pool.spares.len() >= SPARES {
                    self.room = Room::Ready;
                }
                Ok(())
            }
            Err(error) => {
                self.room = Room::Full;
                self.counters.failures += 1;
                match self.clean_for_room().and(Err(error)) {
                    Ok(()) | Err(WriteError::Full) => Ok(()),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Whether [`Log::prepare`] has more to do, so that it should be called again though nothing comes.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.index.is_swept() || self.owes_cleaning && self.may_free()
    }

    /// How the store is.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            room: self.room,
            segments: self.segments.len() as u64,
            spares: self.pool.spares.len() as u64,
            disk_bytes: self.pool.disk_bytes,
            live_bytes: self.index.live.total(),
            messages: self.index.messages.len() as u64,
            sessions: self.index.sessions.len() as u64,
            retained: self.index.retained.len() as u64,
            ..self.counters
        }
    }

    /// What a store takes in which there is nothing: the segment that is written, and those that are kept ready.
    #[must_use]
    pub const fn least_bytes(&self) -> u64 {
        self.options.segment_bytes * (1 + SPARES as u64)
    }

    /// What a segment has room for, frames included.
    pub(crate) const fn capacity(&self) -> u64 {
        self.options.segment_bytes - SEGMENT_HEADER
    }

    /// Without the header of the last segment the log would end before it, after a restart: until that is
    /// durable, nothing goes.
    const fn may_free(&self) -> bool {
        !self.active || self.group.start > 0
    }

    fn sweep(&mut self) {
        let before = self.index.live.total();
        self.index.sweep(SWEEP);
        self.owes_cleaning |= self.index.live.total() < before;
    }

    /// Frees segments that were cleaned.
    fn free(&mut self) -> Result<(), WriteError> {
        while self.cleaned.front().is_some_and(|needed| *needed <= self.durable) {
            let Some(segment) = self.segments.pop_front() else { break };
            self.cleaned.pop_front();
            self.index.live.begin_at(segment.id + 1);
            self.counters.freed += 1;
            let freed = self.pool.give_back(&mut self.disk, segment);
            freed.inspect_err(|_| self.counters.failures += 1)?;
        }
        Ok(())
    }
}

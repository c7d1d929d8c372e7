//! Cleaning: what lives in the oldest segment is copied to the end of the log, then the segment can go.
//!
//! Copies are records like any other and say what the index knows at that moment. They are appended behind
//! the records of the group that they travel with.

use std::io;

use dunlin_broker::journal::{Origin, Record, Records};

use crate::disk::Disk;
use crate::error::WriteError;
use crate::format::damaged_name;
use crate::index::Place;
use crate::log::Log;
use crate::options::Room;
use crate::reader::{Frame, Frames, read_blocks};
use crate::view::{MessageView, View, Views};

/// Bytes that are copied beside one group, if that is not larger itself: a millisecond or less.
const COPY: usize = 256 << 10;

/// Bytes that are read for it.
const READ: usize = 1 << 20;

/// For each byte appended so many are read and copied: more than one would do if half of the log lives, and
/// all of it may at times.
const PACE: usize = 3;

/// Bytes read from the disk at once.
const PIECE: usize = 256 << 10;

/// A segment that is being cleaned.
pub(crate) struct Cleaning {
    segment: u32,
    frames: Frames,
    /// So many bytes of records of the next frame are done.
    done: usize,
    damaged: bool,
}

/// What may still be spent.
struct Budget {
    copy: usize,
    read: usize,
}

impl<D: Disk> Log<D> {
    /// Cleans a little, in proportion to what was appended.
    pub(crate) fn clean_beside(&mut self, appended: usize) {
        if self.broken || (self.cleaning.is_none() && !self.wants_cleaning()) {
            return;
        }
        let most = (self.capacity() / 4) as usize;
        let copy = COPY.max(PACE * appended).min(most);
        // Should this fail, it is tried again beside the next group.
        let budget = Budget { copy, read: READ.max(PACE * appended) };
        drop(self.clean(budget));
        self.counters.frames += u64::from(self.group.close(self.identity));
        self.write();
    }

    /// While there is no room, does at once what would be done bit by bit, one segment in a call.
    pub(crate) fn clean_for_room(&mut self) -> Result<(), WriteError> {
        if self.broken || (self.cleaning.is_none() && !self.wants_cleaning()) {
            return Ok(());
        }
        let cleaned = self.cleaned.len();
        while self.cleaned.len() == cleaned && (self.cleaning.is_some() || self.wants_cleaning()) {
            let done = self.clean(Budget { copy: COPY, read: READ });
            self.counters.frames += u64::from(self.group.close(self.identity));
            self.write();
            done?;
            self.sync()?;
        }
        Ok(())
    }

    /// Cleans a little of what sessions left that have ended, though nothing is appended.
    pub(crate) fn clean_after_sweep(&mut self) {
        if !self.owes_cleaning || !self.index.is_swept() {
            return;
        }
        self.owes_cleaning = false;
        if self.broken || (self.cleaning.is_none() && !self.wants_cleaning()) {
            return;
        }
        // Should this fail, it is tried again beside the next group.
        let cleaned = self.clean(Budget { copy: COPY, read: READ });
        self.counters.frames += u64::from(self.group.close(self.identity));
        self.write();
        self.owes_cleaning = cleaned.is_ok() && self.sync().is_ok();
    }

    /// Whether the oldest segment should go. Nothing but the oldest ever does, and never the one that is written.
    fn wants_cleaning(&self) -> bool {
        let mut uncleaned = self.segments.iter().skip(self.cleaned.len());
        let Some(oldest) = uncleaned.next() else { return false };
        let Some(second) = uncleaned.next() else { return false };
        let live = self.index.live.total();
        if self.index.live.of(oldest.id) == 0 {
            return true;
        }
        let segments = 2 + uncleaned.len() as u64;
        let bytes =
            oldest.bytes + second.bytes + uncleaned.map(|segment| segment.bytes).sum::<u64>();
        match self.room {
            Room::Ready => segments > u64::from(self.options.minimum_segments) && bytes > 2 * live,
            // Worth it only if something is gained.
            Room::Full => bytes > live + bytes / 8,
        }
    }

    fn clean(&mut self, mut budget: Budget) -> Result<(), WriteError> {
        while budget.copy > 0 && budget.read > 0 {
            let mut cleaning = match self.cleaning.take() {
                Some(cleaning) => cleaning,
                None if self.wants_cleaning() => match self.begin() {
                    Some(cleaning) => cleaning,
                    None => continue,
                },
                None => return Ok(()),
            };
            let done = self.clean_segment(&mut cleaning, &mut budget);
            if matches!(done, Ok(true)) {
                if cleaning.damaged {
                    self.index.forget(cleaning.segment);
                }
                if let Some(segment) = self.segments.get_mut(self.cleaned.len()) {
                    // Not to be written again where it could not be read.
                    segment.failed |= cleaning.frames.was_refused();
                }
                self.cleaned.push_back(self.next);
            } else {
                self.cleaning = Some(cleaning);
                done?;
            }
        }
        Ok(())
    }

    /// Begins with the oldest segment that was not cleaned; `None` if it is done already.
    fn begin(&mut self) -> Option<Cleaning> {
        let segment = self.segments.get(self.cleaned.len())?;
        if self.index.live.of(segment.id) == 0 {
            self.cleaned.push_back(self.next);
            return None;
        }
        let frames = Frames::new(segment.id, self.identity, segment.end, PIECE);
        Some(Cleaning { segment: segment.id, frames, done: 0, damaged: false })
    }

    /// Copies what lives in a segment; whether that was all.
    fn clean_segment(
        &mut self,
        cleaning: &mut Cleaning,
        budget: &mut Budget,
    ) -> Result<bool, WriteError> {
        let at = self.cleaned.len();
        let Cleaning { frames, done, damaged, .. } = cleaning;
        while budget.copy > 0 && budget.read > 0 {
            let file = &self.segments[at].file;
            let Some(frame) = frames.next(&mut self.disk, file)? else {
                if frames.is_at_end() {
                    return Ok(true);
                }
                if !*damaged {
                    *damaged = true;
                    self.counters.damaged += 1;
                    self.keep_copy(at);
                }
                if frames.resync(&mut self.disk, &self.segments[at].file)?.is_none() {
                    return Ok(true);
                }
                continue;
            };
            budget.read = budget.read.saturating_sub(frame.header.size());
            let offset = frame.offset;
            match self.clean_frame(&frame, done, &mut budget.copy) {
                Ok(true) => *done = 0,
                left => {
                    frames.back_to(offset);
                    return left;
                }
            }
        }
        Ok(false)
    }

    /// Copies what lives in a frame, behind what was done of it; whether that was all.
    fn clean_frame(
        &mut self,
        frame: &Frame<'_>,
        done: &mut usize,
        budget: &mut usize,
    ) -> Result<bool, WriteError> {
        let (segment, start) = (frame.header.segment, frame.start() as usize);
        // Records that are not understood were refused when the log was read.
        for (record, view) in Views::new(&frame.records[*done..]).flatten() {
            let offset = (start + *done) as u32;
            let place = Place { segment, offset, length: record.len() as u32 };
            if self.index.is_live(&view, place) {
                if *budget == 0 {
                    return Ok(false);
                }
                let copied = self.copy(record, &view, place)?;
                *budget = budget.saturating_sub(copied);
            }
            *done += record.len();
        }
        Ok(true)
    }

    /// Copies one live record to the end of the log, with what belongs to it.
    fn copy(&mut self, record: &[u8], view: &View<'_>, place: Place) -> Result<usize, WriteError> {
        let mut bytes = Vec::new();
        match *view {
            View::Message(ref message) => self.say_message(message, &mut bytes),
            View::Session { number, .. } => self.say_session(number, record, &mut bytes),
            View::Received { number, .. } => {
                // All of them, so that their order stays what it is. Without the message: the session may be
                // waiting for another copy of it.
                for held in self.index.sessions.get(number).map_or(&[][..], |s| &s.releases) {
                    let (packet_id, id) = (held.packet_id, 0);
                    Record::Received { number, packet_id, id }.write(&mut bytes);
                }
            }
            View::Unretained { topic, .. } => {
                let Self { index, .. } = self;
                if index.retained.leave(topic, &mut index.live) {
                    bytes.extend_from_slice(record);
                }
            }
            _ => bytes.extend_from_slice(record),
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        // The group may end here and its segment, too.
        if !self.fits(bytes.len()) {
            self.counters.frames += u64::from(self.group.close(self.identity));
        }
        self.make_room(bytes.len())?;
        self.put(&bytes);
        match *view {
            View::Unknown => self.index.live.remove(place),
            View::Unretained { topic, .. } => self.index.retained.is_copied(topic),
            _ => {}
        }
        self.counters.copied_bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn say_message(&mut self, m: &MessageView<'_>, into: &mut Vec<u8>) {
        // The session of a target may have begun in another shard, whose record comes a little later. By now
        // it has come.
        let settled = self.segments.len() - self.cleaned.len() > 2;
        let Some(slot) = self.index.message_left(m.id, settled) else { return };
        let Some(message) = m.stored() else { return };
        let entry = self.index.messages.at(slot);
        let retained = entry.is_retained().then(|| self.index.retained.stamp(entry.topic()));
        let held = self.index.messages.held(m.id);
        let targets = entry.targets().collect();
        // That it was a will is known to its session, whose record is older and was copied before.
        let (id, origin) = (m.id, Origin::Client);
        let publisher = retained.and_then(|_| m.publisher());
        Record::Message { id, origin, retained, held, publisher, message, targets }.write(into);
    }

    fn say_session(&self, number: u64, record: &[u8], into: &mut Vec<u8>) {
        let Some(session) = self.index.sessions.get(number) else { return };
        let said = Records::new(record).next().and_then(Result::ok).and_then(|(_, said)| said);
        let Some(Record::Session { client_id, username, listener, expiry, will, .. }) = said else {
            return;
        };
        let will = will.filter(|_| session.will);
        Record::Session { number, client_id, username, listener, expiry, will }.write(into);
        if let Some(parted) = session.parted {
            let (ends_at, will_due) = (parted.ends_at, parted.due);
            Record::Parted { number, ends_at, will_due }.write(into);
        }
    }

    /// Keeps a copy of a damaged segment, if there is room for it.
    fn keep_copy(&mut self, at: usize) {
        let segment = &self.segments[at];
        if keep_copy(&mut self.disk, &segment.file, segment.id).is_err() {
            self.counters.failures += 1;
        }
    }
}

/// Copies a damaged segment, unless that was done; returns the name of the copy.
pub(crate) fn keep_copy<D: Disk>(disk: &mut D, file: &D::File, id: u32) -> io::Result<String> {
    let name = damaged_name(id);
    let bytes = disk.len(file)?;
    let mut copy = match disk.create(&name, bytes) {
        Ok(copy) => copy,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(name),
        Err(error) => return Err(error),
    };
    let copied = fill_copy(disk, file, &mut copy, bytes);
    if copied.is_err() {
        disk.remove(&name)?;
    }
    copied.map(|()| name)
}

fn fill_copy<D: Disk>(
    disk: &mut D,
    file: &D::File,
    copy: &mut D::File,
    bytes: u64,
) -> io::Result<()> {
    let mut offset = 0;
    let mut piece = vec![0; PIECE];
    while offset < bytes {
        let length = (bytes - offset).min(PIECE as u64) as usize;
        let into = &mut piece[..length];
        disk.read_at(file, offset, into)
            .or_else(|error| read_blocks(disk, file, offset, into, error))?;
        disk.write_at(copy, offset, &[&piece[..length]])?;
        offset += length as u64;
    }
    disk.sync(copy)?;
    disk.sync_directory()
}

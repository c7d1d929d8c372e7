//! Segments, and those that are ready to become some.

use std::collections::VecDeque;
use std::io;

use crate::disk::Disk;
use crate::error::WriteError;
use crate::format::segment_name;

/// Segments kept ready: the next one, and two in reserve, so that records that make room can be written
/// when no more can be had.
pub(crate) const SPARES: usize = 3;

/// A segment of the log, or a file that is ready to become one.
pub(crate) struct Segment<F> {
    pub(crate) id: u32,
    pub(crate) file: F,
    /// Where what belongs to the log ends.
    pub(crate) end: u64,
    /// What the file takes.
    pub(crate) bytes: u64,
    /// Writing to it has failed: it is not used again.
    pub(crate) failed: bool,
}

/// The files that are not part of the log.
pub(crate) struct Pool<F> {
    pub(crate) spares: VecDeque<Segment<F>>,
    /// Files that are to be removed, before anything else is.
    pub(crate) discarded: Vec<String>,
    /// Names are never used again.
    pub(crate) next_id: u32,
    pub(crate) segment_bytes: u64,
    /// Bytes of all files, the log's included.
    pub(crate) disk_bytes: u64,
}

impl<F> Pool<F> {
    /// The file for the next segment.
    pub(crate) fn take<D: Disk<File = F>>(&mut self, disk: &mut D) -> io::Result<Segment<F>> {
        match self.spares.pop_front() {
            Some(spare) => Ok(spare),
            None => self.create(disk),
        }
    }

    /// Makes one more spare, if there are too few.
    pub(crate) fn fill<D: Disk<File = F>>(&mut self, disk: &mut D) -> io::Result<()> {
        if self.spares.len() < SPARES {
            let spare = self.create(disk)?;
            self.spares.push_back(spare);
        }
        Ok(())
    }

    fn create<D: Disk<File = F>>(&mut self, disk: &mut D) -> io::Result<Segment<F>> {
        let id = self.next_id;
        self.next_id += 1;
        let (name, bytes) = (segment_name(id), self.segment_bytes);
        let mut file = disk.create(&name, bytes)?;
        let durable = disk.sync(&mut file).and_then(|()| disk.sync_directory());
        if let Err(error) = durable {
            self.discarded.push(name);
            return Err(error);
        }
        self.disk_bytes += bytes;
        Ok(Segment { id, file, end: 0, bytes, failed: false })
    }

    /// A segment is no longer part of the log: its file becomes a spare, or goes. The next one may be given
    /// back only when this is durable, else the log could have a hole after a restart.
    pub(crate) fn give_back<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        mut segment: Segment<F>,
    ) -> Result<(), WriteError> {
        let name = segment_name(segment.id);
        let fits = segment.bytes == self.segment_bytes && !segment.failed;
        if !fits || self.spares.len() >= SPARES {
            self.disk_bytes -= segment.bytes;
            self.discarded.push(name);
            return self.remove_discarded(disk);
        }
        let id = self.next_id;
        self.next_id += 1;
        let renamed = disk.rename(&name, &segment_name(id));
        if let Err(error) = renamed.and_then(|()| disk.sync_directory()) {
            self.disk_bytes -= segment.bytes;
            self.discarded.extend([name, segment_name(id)]);
            return Err(error.into());
        }
        segment.id = id;
        segment.end = 0;
        self.spares.push_back(segment);
        Ok(())
    }

    pub(crate) fn remove_discarded<D: Disk>(&mut self, disk: &mut D) -> Result<(), WriteError> {
        if self.discarded.is_empty() {
            return Ok(());
        }
        for name in &self.discarded {
            match disk.remove(name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        disk.sync_directory()?;
        self.discarded.clear();
        Ok(())
    }
}

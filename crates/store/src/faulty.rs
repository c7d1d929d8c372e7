//! A disk in memory that does all that disks may do to a program.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::Disk;

/// A disk in memory whose faults follow from a seed. Clones are the same disk, so that a test keeps hold
/// of the disk whose power it cuts.
///
/// When the power fails, only what was made durable is certain to survive: of the rest each page of
/// 4 KiB is there, missing, or there in part, and each change of the directory is there or not.
#[derive(Debug, Clone)]
pub struct FaultyDisk {
    inner: Arc<Mutex<Inner>>,
}

/// What a disk can fail at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Listing, opening, asking for the length, reading.
    Read,
    /// Writing.
    Write,
    /// Making what was written durable.
    Sync,
    /// Creating, renaming, removing and making that durable.
    Directory,
}

#[derive(Debug)]
struct Inner {
    random: Random,
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Since the directory was last made durable.
    changes: Vec<Change>,
    capacity: u64,
    failures: BTreeMap<Operation, u32>,
    /// Pages of files that cannot be read until they are written again.
    ruined: BTreeSet<(usize, usize)>,
}

#[derive(Debug, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Pages that differ from what is durable, and may get there before they are told to.
    dirty: BTreeSet<usize>,
}

#[derive(Debug, Clone)]
enum Change {
    Create(String, usize),
    Rename(String, String),
    Remove(String),
}

/// What is lost or kept as a whole.
const PAGE: usize = 4096;
/// What a disk writes as a whole even when the power fails.
const SECTOR: usize = 512;

impl FaultyDisk {
    /// An empty disk without faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let inner = Inner {
            random: Random(seed),
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            capacity: u64::MAX,
            failures: BTreeMap::new(),
            ruined: BTreeSet::new(),
        };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Cuts the power: what was not durable survives in part.
    pub fn crash(&mut self) {
        self.inner().crash();
    }

    /// Ends the process: everything that was written survives.
    pub fn kill(&mut self) {
        // The kernel has it all; what was not durable before is not so now either.
    }

    /// Sets how many bytes all files together may take.
    pub fn set_capacity(&mut self, bytes: u64) {
        self.inner().capacity = bytes;
    }

    /// What all files together take, in bytes.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.inner().used()
    }

    /// Lets the next so many calls of one sort fail; `u32::MAX` is until further notice, 0 ends it.
    pub fn fail(&mut self, operation: Operation, times: u32) {
        self.inner().failures.insert(operation, times);
    }

    /// The names of all files, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.inner().names.keys().cloned().collect()
    }

    /// What a file holds.
    #[must_use]
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let inner = self.inner();
        inner.names.get(name).map(|file| inner.files[*file].now.clone())
    }

    /// Turns one bit of a file over, for good. `false` if there is no such file or place.
    pub fn flip(&mut self, name: &str, offset: u64, bit: u8) -> bool {
        let mut inner = self.inner();
        let Some(file) = inner.names.get(name).copied() else { return false };
        let content = &mut inner.files[file];
        let offset = offset as usize;
        let Some(byte) = content.now.get_mut(offset) else { return false };
        *byte ^= 1 << (bit & 7);
        if let Some(byte) = content.durable.get_mut(offset) {
            *byte ^= 1 << (bit & 7);
        }
        true
    }

    /// Makes the page of 4 KiB around a place in a file unreadable until it is written again. `false` if there
    /// is no such file.
    pub fn ruin(&mut self, name: &str, offset: u64) -> bool {
        let mut inner = self.inner();
        let Some(file) = inner.names.get(name).copied() else { return false };
        inner.ruined.insert((file, offset as usize / PAGE))
    }

    /// Puts a file there, durably, as a restored backup would.
    pub fn put(&mut self, name: &str, bytes: Vec<u8>) {
        let mut inner = self.inner();
        let file = inner.files.len();
        inner.files.push(Content { now: bytes.clone(), durable: bytes, dirty: BTreeSet::new() });
        inner.names.insert(name.to_owned(), file);
        inner.durable_names.insert(name.to_owned(), file);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A lock because clones are in the hands of a test and of the store.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn used(&self) -> u64 {
        self.names.values().map(|file| self.files[*file].now.len() as u64).sum()
    }

    fn attempt(&mut self, operation: Operation) -> io::Result<()> {
        match self.failures.get_mut(&operation) {
            None | Some(0) => Ok(()),
            Some(times) => {
                *times = if *times == u32::MAX { u32::MAX } else { *times - 1 };
                Err(io::Error::other("the disk was told to fail"))
            }
        }
    }

    fn file(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn free(&self, name: &str) -> io::Result<()> {
        if self.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(())
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    fn room(&self, bytes: u64) -> io::Result<()> {
        if self.used().saturating_add(bytes) > self.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn crash(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            if self.random.below(2) == 0 {
                change.apply(&mut self.durable_names);
            }
        }
        self.names.clone_from(&self.durable_names);
        for content in &mut self.files {
            content.crash(&mut self.random);
        }
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Create(name, file) => {
                names.insert(name.clone(), *file);
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl Content {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.now.len() < end {
            self.now.resize(end, 0);
        }
        self.now[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / PAGE..end.div_ceil(PAGE));
    }

    fn crash(&mut self, random: &mut Random) {
        if self.durable.len() < self.now.len() && random.below(2) == 0 {
            self.durable.resize(self.now.len(), 0);
        }
        for page in std::mem::take(&mut self.dirty) {
            let fate = random.below(4);
            for sector in page * PAGE / SECTOR..(page + 1) * PAGE / SECTOR {
                let survives = fate < 2 || (fate == 2 && random.below(2) == 0);
                let range = sector * SECTOR..((sector + 1) * SECTOR).min(self.durable.len());
                if survives && range.start < range.end {
                    self.durable[range.clone()].copy_from_slice(&self.now[range]);
                }
            }
        }
        self.now.clone_from(&self.durable);
    }
}

impl Disk for FaultyDisk {
    type File = usize;

    fn list(&mut self) -> io::Result<Vec<String>> {
        let mut inner = self.inner();
        inner.attempt(Operation::Read)?;
        Ok(inner.names.keys().cloned().collect())
    }

    fn create(&mut self, name: &str, bytes: u64) -> io::Result<usize> {
        let mut inner = self.inner();
        inner.attempt(Operation::Directory)?;
        inner.free(name)?;
        inner.room(bytes)?;
        let file = inner.files.len();
        inner.files.push(Content { now: vec![0; bytes as usize], ..Content::default() });
        inner.change(Change::Create(name.to_owned(), file));
        Ok(file)
    }

    fn open(&mut self, name: &str) -> io::Result<usize> {
        let mut inner = self.inner();
        inner.attempt(Operation::Read)?;
        inner.file(name)
    }

    fn len(&mut self, file: &usize) -> io::Result<u64> {
        let mut inner = self.inner();
        inner.attempt(Operation::Read)?;
        Ok(inner.files[*file].now.len() as u64)
    }

    fn read_at(&mut self, file: &usize, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let mut inner = self.inner();
        inner.attempt(Operation::Read)?;
        let content = &inner.files[*file].now;
        let from = content.get(offset as usize..).and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        let (first, last) = (offset as usize / PAGE, (offset as usize + into.len()).div_ceil(PAGE));
        if inner.ruined.range((*file, first)..(*file, last)).next().is_some() {
            return Err(io::Error::other("a page that cannot be read"));
        }
        Ok(())
    }

    fn write_at(&mut self, file: &mut usize, offset: u64, parts: &[&[u8]]) -> io::Result<()> {
        let mut inner = self.inner();
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let end = offset + length as u64;
        let grown = end.saturating_sub(inner.files[*file].now.len() as u64);
        if grown > 0 {
            inner.room(grown)?;
        }
        let failed = inner.attempt(Operation::Write);
        // A write that fails may have been done in part.
        let mut done = if failed.is_ok() { length } else { inner.random.below(length + 1) };
        let mut offset = offset as usize;
        let pages = offset / PAGE..(offset + done).div_ceil(PAGE);
        inner.ruined.retain(|(at, page)| at != file || !pages.contains(page));
        for part in parts {
            let part = &part[..part.len().min(done)];
            inner.files[*file].write(offset, part);
            offset += part.len();
            done -= part.len();
        }
        failed
    }

    fn sync(&mut self, file: &mut usize) -> io::Result<()> {
        let mut inner = self.inner();
        let failed = inner.attempt(Operation::Sync);
        let Inner { files, random, .. } = &mut *inner;
        let content = &mut files[*file];
        if failed.is_err() {
            // The kernel forgets that pages are dirty though they never got to the disk.
            content.dirty.retain(|_| random.below(2) == 0);
            return failed;
        }
        content.durable.resize(content.now.len(), 0);
        for page in std::mem::take(&mut content.dirty) {
            let range = page * PAGE..((page + 1) * PAGE).min(content.now.len());
            content.durable[range.clone()].copy_from_slice(&content.now[range]);
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut inner = self.inner();
        inner.attempt(Operation::Directory)?;
        inner.file(from)?;
        inner.free(to)?;
        inner.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut inner = self.inner();
        inner.attempt(Operation::Directory)?;
        inner.file(name)?;
        inner.change(Change::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        let mut inner = self.inner();
        inner.attempt(Operation::Directory)?;
        inner.durable_names = inner.names.clone();
        inner.changes.clear();
        Ok(())
    }
}

/// Enough chance for faults: splitmix64.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }
}

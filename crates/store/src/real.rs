//! A directory of the operating system.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

use crate::disk::Disk;
use crate::error::OpenError;
use crate::version;

/// A directory of files, which no other process uses.
#[derive(Debug)]
pub struct RealDisk {
    path: PathBuf,
    directory: File,
    /// Held as long as this lives.
    _lock: File,
}

impl RealDisk {
    /// Takes a directory, which is made if `create` says so.
    pub fn open(path: &Path, create: bool) -> Result<Self, OpenError> {
        if create && !path.exists() {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
            made.map_err(OpenError::io(format!("make {}", path.display())))?;
        }
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(OpenError::NoDirectory(path.to_owned()));
            }
            Err(error) => return Err(OpenError::io(format!("look at {}", path.display()))(error)),
        };
        if !metadata.is_dir() {
            return Err(OpenError::NotADirectory(path.to_owned()));
        }
        // The files are for the owner alone, but who may write to the directory can put others in their place.
        let mode = metadata.mode() & 0o777;
        if mode & 0o022 != 0 {
            return Err(OpenError::Permissions { directory: path.to_owned(), mode });
        }
        // Not even a lock is left behind in a directory of something else.
        let names = names(path).map_err(OpenError::io(format!("list {}", path.display())))?;
        if let Some(refusal) = version::refuse(&names) {
            return Err(refusal);
        }
        let lock = Self::lock(path)?;
        let directory =
            File::open(path).map_err(OpenError::io(format!("open {}", path.display())))?;
        Ok(Self { path: path.to_owned(), directory, _lock: lock })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn lock(path: &Path) -> Result<File, OpenError> {
        let name = path.join("LOCK");
        let what = || OpenError::io(format!("lock {}", name.display()));
        let opened =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&name);
        let lock = opened.map_err(what())?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(what()(error)),
        }
    }
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        // A name that is no text is none of ours, but shows that the directory is another's.
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

impl Disk for RealDisk {
    type File = File;

    fn list(&mut self) -> io::Result<Vec<String>> {
        names(&self.path)
    }

    fn create(&mut self, name: &str, bytes: u64) -> io::Result<File> {
        let path = self.path.join(name);
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        if let Err(error) = reserve(&file, bytes) {
            // Half a file would only take the room that is wanted elsewhere.
            fs::remove_file(&path)?;
            return Err(error);
        }
        Ok(file)
    }

    fn open(&mut self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.path.join(name))
    }

    fn len(&mut self, file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.len())
    }

    fn read_at(&mut self, file: &File, offset: u64, into: &mut [u8]) -> io::Result<()> {
        file.read_exact_at(into, offset)
    }

    fn write_at(&mut self, file: &mut File, offset: u64, parts: &[&[u8]]) -> io::Result<()> {
        let [part] = parts else { return write_parts(file, offset, parts) };
        file.write_all_at(part, offset)
    }

    fn sync(&mut self, file: &mut File) -> io::Result<()> {
        file.sync_data()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        self.directory.sync_all()
    }
}

/// Takes room for a new file, so that writing to it later does not fail for want of it.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => fill(file, bytes),
        Err(error) => Err(error.into()),
    }
}

/// Takes room where the file system knows no other way.
fn fill(file: &File, bytes: u64) -> io::Result<()> {
    let zeros = vec![0; 1 << 20];
    let mut offset = 0;
    while offset < bytes {
        let length = (bytes - offset).min(zeros.len() as u64);
        file.write_all_at(&zeros[..length as usize], offset)?;
        offset += length;
    }
    Ok(())
}

fn write_parts(file: &File, mut offset: u64, parts: &[&[u8]]) -> io::Result<()> {
    // No kernel takes more at once.
    const MAXIMUM_PARTS: usize = 1024;
    let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut left = &mut slices[..];
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        let count = left.len().min(MAXIMUM_PARTS);
        match rustix::io::pwritev(file, &left[..count], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(&mut left, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

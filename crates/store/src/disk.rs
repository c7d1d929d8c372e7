//! What the store asks of a disk.

use std::io;

/// One directory of files. Names are file names, never paths.
///
/// What was written is durable after `sync` of its file, what was created, renamed or removed after
/// `sync_directory`; before that any part of it may be lost when the power fails, and none when only the
/// process dies.
pub trait Disk {
    /// An open file.
    type File;

    /// The names of all files, in any order.
    fn list(&mut self) -> io::Result<Vec<String>>;

    /// Makes a file of so many bytes, whose space is reserved; an error if the name is taken.
    fn create(&mut self, name: &str, bytes: u64) -> io::Result<Self::File>;

    /// Opens a file for reading and writing.
    fn open(&mut self, name: &str) -> io::Result<Self::File>;

    /// How long a file is.
    fn len(&mut self, file: &Self::File) -> io::Result<u64>;

    /// Fills `into` with what lies at `offset`; an error if the file ends before.
    fn read_at(&mut self, file: &Self::File, offset: u64, into: &mut [u8]) -> io::Result<()>;

    /// Writes all `parts`, one behind the other; a file that is too short grows.
    fn write_at(&mut self, file: &mut Self::File, offset: u64, parts: &[&[u8]]) -> io::Result<()>;

    /// Makes durable what was written to a file. After an error it is unknown what was.
    fn sync(&mut self, file: &mut Self::File) -> io::Result<()>;

    /// Gives a file another name, which must be free.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Makes durable which files there are.
    fn sync_directory(&mut self) -> io::Result<()>;
}

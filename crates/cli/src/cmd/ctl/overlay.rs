//! A disk that is only read: what is written to it stays in memory.
//!
//! Opening a log may cut its end, set damaged segments aside and prepare new ones. Who only wants to look
//! opens it on this, and nothing of that happens on the disk.

use std::collections::BTreeMap;
use std::io;

use dunlin_store::Disk;

/// Another disk and the changes to it.
pub(super) struct Overlay<D: Disk> {
    disk: D,
    /// Index of the file with each name, once it was opened.
    names: BTreeMap<String, Option<usize>>,
    files: Vec<File<D::File>>,
}

struct File<F> {
    /// The file on the disk and its length; none for one that was made here.
    below: Option<(F, u64)>,
    length: u64,
    /// By their numbers. What no page covers is as on the disk, or zero.
    pages: BTreeMap<u64, Box<[u8]>>,
}

const PAGE: u64 = 4096;

impl<D: Disk> Overlay<D> {
    pub(super) fn new(mut disk: D) -> io::Result<Self> {
        let names = disk.list()?.into_iter().map(|name| (name, None)).collect();
        Ok(Self { disk, names, files: Vec::new() })
    }

    fn add(&mut self, name: &str, below: Option<(D::File, u64)>, length: u64) -> usize {
        self.files.push(File { below, length, pages: BTreeMap::new() });
        let index = self.files.len() - 1;
        self.names.insert(name.to_owned(), Some(index));
        index
    }

    /// Reads what may reach beyond the end, which is then zero.
    fn read(&mut self, index: usize, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let Self { disk, files, .. } = self;
        let file = files.get(index).ok_or(io::ErrorKind::NotFound)?;
        into.fill(0);
        if let Some((below, length)) = &file.below {
            let length = length.saturating_sub(offset).min(into.len() as u64);
            if let Some(part) = into.get_mut(..usize::try_from(length).unwrap_or(0)) {
                disk.read_at(below, offset, part)?;
            }
        }
        let end = offset + into.len() as u64;
        for (number, page) in file.pages.range(offset / PAGE..end.div_ceil(PAGE)) {
            let start = number * PAGE;
            let (from, to) = (start.max(offset), (start + PAGE).min(end));
            let source = page.get((from - start) as usize..(to - start) as usize);
            let target = into.get_mut((from - offset) as usize..(to - offset) as usize);
            if let (Some(source), Some(target)) = (source, target) {
                target.copy_from_slice(source);
            }
        }
        Ok(())
    }

    fn write(&mut self, index: usize, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset + bytes.len() as u64;
        for number in offset / PAGE..end.div_ceil(PAGE) {
            let start = number * PAGE;
            let mut page = vec![0; PAGE as usize];
            self.read(index, start, &mut page)?;
            let (from, to) = (start.max(offset), (start + PAGE).min(end));
            let target = page.get_mut((from - start) as usize..(to - start) as usize);
            let source = bytes.get((from - offset) as usize..(to - offset) as usize);
            if let (Some(source), Some(target)) = (source, target) {
                target.copy_from_slice(source);
            }
            self.files
                .get_mut(index)
                .ok_or(io::ErrorKind::NotFound)?
                .pages
                .insert(number, page.into());
        }
        let file = self.files.get_mut(index).ok_or(io::ErrorKind::NotFound)?;
        file.length = file.length.max(end);
        Ok(())
    }
}

impl<D: Disk> Disk for Overlay<D> {
    type File = usize;

    fn list(&mut self) -> io::Result<Vec<String>> {
        Ok(self.names.keys().cloned().collect())
    }

    fn create(&mut self, name: &str, bytes: u64) -> io::Result<usize> {
        if self.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(self.add(name, None, bytes))
    }

    fn open(&mut self, name: &str) -> io::Result<usize> {
        match self.names.get(name) {
            None => Err(io::ErrorKind::NotFound.into()),
            Some(Some(index)) => Ok(*index),
            Some(None) => {
                let file = self.disk.open(name)?;
                let length = self.disk.len(&file)?;
                Ok(self.add(name, Some((file, length)), length))
            }
        }
    }

    fn len(&mut self, file: &usize) -> io::Result<u64> {
        Ok(self.files.get(*file).ok_or(io::ErrorKind::NotFound)?.length)
    }

    fn read_at(&mut self, file: &usize, offset: u64, into: &mut [u8]) -> io::Result<()> {
        if offset + into.len() as u64 > self.len(file)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read(*file, offset, into)
    }

    fn write_at(&mut self, file: &mut usize, mut offset: u64, parts: &[&[u8]]) -> io::Result<()> {
        for part in parts {
            self.write(*file, offset, part)?;
            offset += part.len() as u64;
        }
        Ok(())
    }

    fn sync(&mut self, _: &mut usize) -> io::Result<()> {
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        // By its old name the disk would not find it any more.
        let index = self.open(from)?;
        self.names.remove(from);
        self.names.insert(to.to_owned(), Some(index));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.names.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dunlin_store::RealDisk;

    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_not_on_the_disk() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let mut disk = RealDisk::open(&path, true).unwrap();
        let mut file = disk.create("a", 0).unwrap();
        disk.write_at(&mut file, 0, &[&[1; 10_000]]).unwrap();
        let mut overlay = Overlay::new(disk).unwrap();
        let mut a = overlay.open("a").unwrap();
        overlay.write_at(&mut a, 4090, &[&[2; 10], &[3; 10_000]]).unwrap();
        assert_eq!(overlay.len(&a).unwrap(), 14_100);
        let mut bytes = vec![0; 14_100];
        overlay.read_at(&a, 0, &mut bytes).unwrap();
        assert_eq!(bytes, [vec![1; 4090], vec![2; 10], vec![3; 10_000]].concat());
        assert!(overlay.read_at(&a, 1, &mut bytes).is_err(), "beyond the end");
        let fresh = overlay.create("b", 100).unwrap();
        overlay.read_at(&fresh, 0, &mut bytes[..100]).unwrap();
        assert_eq!(bytes[..100], [0; 100]);
        overlay.rename("a", "c").unwrap();
        assert!(overlay.open("a").is_err());
        overlay.remove("b").unwrap();
        assert_eq!(overlay.list().unwrap(), ["LOCK", "c"]);
        assert_eq!(std::fs::read(path.join("a")).unwrap(), vec![1; 10_000]);
        assert!(!path.join("c").exists());
    }
}

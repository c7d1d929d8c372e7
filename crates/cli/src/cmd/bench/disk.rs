//! What the disk itself can do: 4 KiB that are there already are overwritten and synced.

use std::fs::{File, remove_file};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;

use super::affinity::run_soon;
use super::clock::{SECOND_NS, now_ns};
use super::plan::run_tag;

/// Bytes of one write: a block.
const BLOCK: usize = 4096;

/// Blocks of the file, written in turn as a log would.
const BLOCKS: u64 = 1024;

/// How long one look takes.
const LOOK_NS: u64 = SECOND_NS / 2;

/// Longest sync told apart.
const LONGEST_NS: u64 = 60 * SECOND_NS;

/// A sync faster than this never reached a disk.
const FASTEST_DISK_NS: u64 = 5_000;

/// A file to write to, removed in the end.
#[derive(Debug)]
pub(super) struct Probe {
    path: PathBuf,
    file: File,
    latency: Histogram<u64>,
}

impl Probe {
    /// A file in `directory`, all of its blocks on disk.
    pub(super) fn create(directory: &Path) -> Result<Self> {
        let path = directory.join(format!("dunlin-bench-probe-{:08x}", run_tag()));
        let doing = || format!("timing the disk with {}", path.display());
        let file = File::create_new(&path).with_context(doing)?;
        let latency = Histogram::new_with_bounds(1, LONGEST_NS, 3)?;
        let probe = Self { path: path.clone(), file, latency };
        for block in 0..BLOCKS {
            probe.write(block).with_context(doing)?;
        }
        probe.file.sync_all().with_context(doing)?;
        Ok(probe)
    }

    /// Overwrites and syncs, one block after the other, for half a second.
    pub(super) fn look(&mut self) -> Result<()> {
        let looking = || {
            run_soon();
            self.overwrite()
        };
        let looked = std::thread::scope(|scope| scope.spawn(looking).join());
        looked.map_err(|_| anyhow::anyhow!("the thread that times the disk panicked"))?
    }

    fn overwrite(&mut self) -> Result<()> {
        let until_ns = now_ns() + LOOK_NS;
        for block in (0..BLOCKS).cycle() {
            let from_ns = now_ns();
            if from_ns > until_ns {
                break;
            }
            self.write(block).context("timing the disk")?;
            self.file.sync_data().context("timing the disk")?;
            self.latency.saturating_record(now_ns() - from_ns);
        }
        Ok(())
    }

    /// Latencies so far; an error if there cannot be a disk below.
    pub(super) fn latency(&self) -> Result<&Histogram<u64>> {
        ensure!(
            self.latency.value_at_quantile(0.5) > FASTEST_DISK_NS,
            "{} is not on a disk: set TMPDIR to a directory that is",
            self.path.display()
        );
        Ok(&self.latency)
    }

    fn write(&self, block: u64) -> std::io::Result<()> {
        self.file.write_all_at(&[block as u8; BLOCK], block * BLOCK as u64)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        drop(remove_file(&self.path));
    }
}

/// Bytes of the files in `directory` and below it, as the disk has them.
pub(super) fn allocated_bytes(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = directory.read_dir() else { return 0 };
    let bytes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => allocated_bytes(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    });
    bytes.sum()
}

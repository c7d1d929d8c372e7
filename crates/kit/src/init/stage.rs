//! A directory that appears whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use crate::KitError;
use crate::files;

/// Where things are made before they are moved to where they belong. Dropped, it takes everything away.
pub(super) struct Stage {
    path: PathBuf,
    target: PathBuf,
    /// The target was there before, empty: it may be a mount point, so it stays.
    exists: bool,
}

impl Stage {
    pub(super) fn begin(directory: &Path) -> Result<Self, KitError> {
        let directory =
            &std::path::absolute(directory).map_err(KitError::system("find", directory))?;
        let exists = directory.symlink_metadata().is_ok();
        let (target, path) = if exists {
            let target =
                fs::canonicalize(directory).map_err(KitError::system("open", directory))?;
            let mut entries = fs::read_dir(&target).map_err(KitError::system("open", directory))?;
            if let Some(entry) = entries.next() {
                let entry = entry.map_err(KitError::system("open", directory))?.file_name();
                let what = format!(
                    "it is not empty ({} is in it), and nothing in it shall be lost: give another one",
                    entry.to_string_lossy()
                );
                return Err(KitError::unusable(directory, what));
            }
            let path = target.join(STAGE);
            (target, path)
        } else {
            let name = directory.file_name();
            let name =
                name.ok_or_else(|| KitError::unusable(directory, "it is no name of a directory"))?;
            let above = directory.parent().unwrap_or_else(|| Path::new("/"));
            fs::create_dir_all(above).map_err(KitError::system("make", above))?;
            let above = fs::canonicalize(above).map_err(KitError::system("open", above))?;
            let path = above.join(format!("{STAGE}.{}", name.to_string_lossy()));
            (above.join(name), path)
        };
        // What an earlier run left that was killed.
        if path.is_dir() {
            fs::remove_dir_all(&path).map_err(KitError::system("clear", &path))?;
        }
        files::make_directory(&path, 0o755)?;
        Ok(Self { path, target, exists })
    }

    /// Where things are made.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where they will be, from the root.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Moves everything to where it belongs.
    pub(super) fn finish(self) -> Result<(), KitError> {
        let failed = || KitError::system("make", &self.target);
        if !self.exists {
            return fs::rename(&self.path, &self.target).map_err(failed());
        }
        for entry in fs::read_dir(&self.path).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            let to = self.target.join(entry.file_name());
            fs::rename(entry.path(), to).map_err(failed())?;
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // It is gone if all went well; if not, the failure itself has been told.
        drop(fs::remove_dir_all(&self.path));
    }
}

/// Hidden, as what is not finished should be.
const STAGE: &str = ".dunlin-init";

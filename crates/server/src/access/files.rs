//! Files that are replaced as a whole.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Replaces a file, so that whoever reads it, even after the power failed, finds the old content or the
/// new one. Its mode stays; a new file is for its owner only. Returns when it is on the disk.
///
/// Where the file may be written but not its directory, as below `/etc`, the content is written in place: then only
/// a failure of the power in this moment can leave it half written.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    // A link stays one.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mode = fs::metadata(path).map_or(0o600, |known| known.permissions().mode() & 0o777);
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(directory)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    // What a failure has left behind may be a second name of the file itself.
    let cleared = match fs::remove_file(&new) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    };
    let written = cleared.and_then(|()| write(&new, content, mode));
    match written.and_then(|()| fs::rename(&new, path)) {
        Ok(()) => File::open(directory)?.sync_all(),
        Err(cause) => {
            if new.exists() && fs::remove_file(&new).is_err() {
                tracing::debug!("{} is left behind", new.display());
            }
            let is_barred = matches!(
                cause.kind(),
                ErrorKind::PermissionDenied
                    | ErrorKind::ReadOnlyFilesystem
                    | ErrorKind::ResourceBusy
            );
            // The first cause says more than that of the second try.
            if is_barred && overwrite(path, content).is_ok() { Ok(()) } else { Err(cause) }
        }
    }
}

fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}

fn overwrite(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(content)?;
    file.set_len(content.len() as u64)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_keeps_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("below").join("state.json");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        replace(&path, b"one").unwrap();
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode()), (b"two".to_vec(), 0o640));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_failure_has_left_behind_is_not_written_through() {
        let directory = tempfile::tempdir().unwrap();
        let (path, new) = (directory.path().join("a.json"), directory.path().join("a.json.new"));
        let other = directory.path().join("other");
        fs::write(&path, "old").unwrap();
        for left in [fs::hard_link, |from: &Path, to: &Path| std::os::unix::fs::symlink(from, to)] {
            fs::write(&other, "not ours").unwrap();
            left(&other, &new).unwrap();
            replace(&path, b"fresh").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"fresh");
            assert_eq!(fs::read(&other).unwrap(), b"not ours");
            assert!(!new.exists());
        }
    }

    #[test]
    fn in_a_directory_that_cannot_be_written_the_file_itself_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        fs::write(&path, "a long content").unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o555)).unwrap();
        // Root may write everywhere, and takes the first way.
        replace(&path, b"short").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"short");
        overwrite(&path, b"2").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        overwrite(&path, b"longer again").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"longer again");
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    }
}

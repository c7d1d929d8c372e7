//! Files that are replaced as a whole.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::Path;

use rustix::fs::OFlags;

use crate::planted::Spot;

/// Replaces a file, so that whoever reads it, even after the power failed, finds the old content or the
/// new one. Its mode stays; a new file is for its owner only. Returns when it is on the disk.
///
/// Where the file may be written but not its directory, as below `/etc`, the content is written in place: then only
/// a failure of the power in this moment can leave it half written.
///
/// A link stays one, and is followed as `planted.rs` says: the broker may be root.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let spot = Spot::make_way(path)?;
    spot.replace(content, 0o600).or_else(|cause| {
        let is_barred = matches!(
            cause.kind(),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::ResourceBusy
        );
        // The first cause says more than that of the second try.
        if is_barred && overwrite(&spot, content).is_ok() { Ok(()) } else { Err(cause) }
    })
}

/// Writes a file in place; if that fails, what was in it is there again.
fn overwrite(spot: &Spot, content: &[u8]) -> io::Result<()> {
    let mut file = spot.open(OFlags::RDWR, 0)?;
    let mut before = Vec::new();
    file.read_to_end(&mut before)?;
    let written = rewrite(&mut file, content);
    if written.is_err() {
        rewrite(&mut file, &before)?;
    }
    written
}

fn rewrite(file: &mut File, content: &[u8]) -> io::Result<()> {
    file.rewind()?;
    file.write_all(content)?;
    file.set_len(content.len() as u64)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

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
        for left in [fs::hard_link, |from: &Path, to: &Path| symlink(from, to)] {
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
        let overwrite = |content: &[u8]| overwrite(&Spot::find(&path).unwrap(), content);
        overwrite(b"2").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        overwrite(b"longer again").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"longer again");
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    }

    /// The user of the service may put a link where root will write at its next start.
    #[test]
    fn root_replaces_nothing_that_a_link_of_others_leads_to() {
        if !rustix::process::geteuid().is_root() {
            return eprintln!("not shown: this needs root");
        }
        let directory = tempfile::tempdir().unwrap();
        let (secret, link) = (directory.path().join("secret"), directory.path().join("made.pw"));
        fs::write(&secret, "root's").unwrap();
        symlink(&secret, &link).unwrap();
        for path in [directory.path(), &link] {
            lchown(path, Some(65_534), Some(65_534)).unwrap();
        }
        let told = replace(&link, b"a password").unwrap_err().to_string();
        assert!(told.contains("others than root"), "{told}");
        assert_eq!(fs::read_to_string(&secret).unwrap(), "root's");
    }
}

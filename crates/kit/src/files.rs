//! Files that are written whole or not at all, with the mode and owner they are to have.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::KitError;
use crate::random;

/// Bytes that a file may have that is read here: a hundred times a bundle of all public authorities.
pub const LARGEST: u64 = 16 << 20;

/// The mode of what only its owner reads: keys and passwords.
pub const SECRET: u32 = 0o600;
/// The mode of what everybody may read: certificates.
pub const PUBLIC: u32 = 0o644;

/// Whether an existing file may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replace {
    /// It may not.
    #[default]
    Never,
    /// It was asked for.
    Allowed,
}

/// Who a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The number of the user.
    pub uid: u32,
    /// The number of its group.
    pub gid: u32,
}

/// Reads a file that is not larger than [`LARGEST`].
///
/// # Errors
/// It cannot be read, or is larger.
pub fn read(path: &Path) -> Result<Vec<u8>, KitError> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(KitError::system("read", path))?;
    let read = file.take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(KitError::system("read", path))?;
    if bytes.len() as u64 > LARGEST {
        return Err(KitError::unusable(path, "it is larger than 16 MiB"));
    }
    Ok(bytes)
}

/// Reads a file of text.
///
/// # Errors
/// It cannot be read, or is no UTF-8.
pub fn read_text(path: &Path) -> Result<String, KitError> {
    String::from_utf8(read(path)?).map_err(|_| KitError::unusable(path, "it is no UTF-8 text"))
}

/// Writes a new file, or replaces one if that is allowed: by way of a file beside it, so that nobody
/// ever sees half of it or, for a moment, another mode.
///
/// # Errors
/// It exists, or cannot be written.
pub fn write(path: &Path, content: &[u8], mode: u32, replace: Replace) -> Result<(), KitError> {
    let beside = write_beside(path, content, mode, None)?;
    let renamed = match replace {
        Replace::Allowed => fs::rename(&beside, path),
        Replace::Never => rename_new(&beside, path),
    };
    renamed.map_err(|cause| {
        abandon(&beside);
        match cause.kind() {
            io::ErrorKind::AlreadyExists => KitError::Exists(path.to_owned()),
            _ => KitError::system("write", path)(cause),
        }
    })
}

/// Replaces the content of a file and keeps its mode and owner. A symbolic link stays one.
///
/// # Errors
/// It does not exist, or cannot be written.
pub fn update(path: &Path, content: &[u8]) -> Result<(), KitError> {
    let path = &fs::canonicalize(path).map_err(KitError::system("write", path))?;
    let metadata = fs::metadata(path).map_err(KitError::system("write", path))?;
    let owner = Owner { uid: metadata.uid(), gid: metadata.gid() };
    let beside = write_beside(path, content, metadata.mode() & 0o7777, Some(owner))?;
    fs::rename(&beside, path).map_err(|cause| {
        abandon(&beside);
        KitError::system("write", path)(cause)
    })
}

/// Makes a directory with this mode; its parent must exist.
///
/// # Errors
/// It exists, or cannot be made.
pub fn make_directory(path: &Path, mode: u32) -> Result<(), KitError> {
    fs::create_dir(path).map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists => KitError::Exists(path.to_owned()),
        _ => KitError::system("make", path)(cause),
    })?;
    let permissions = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, permissions).map_err(KitError::system("make", path))
}

/// Gives a file or directory to somebody.
///
/// # Errors
/// Only root may.
pub fn give(path: &Path, owner: Owner) -> Result<(), KitError> {
    chown(path, Some(owner.uid), Some(owner.gid))
        .map_err(KitError::system("change the owner of", path))
}

/// Lets the group of its directory read a file that root has made, if that is a group of its own: the service
/// is in it, and could not start without.
///
/// # Errors
/// The owner or the mode cannot be changed.
pub fn share_with_group(path: &Path) -> Result<(), KitError> {
    let failed = || KitError::system("change the owner of", path);
    let directory = path.parent().filter(|above| !above.as_os_str().is_empty());
    let above = fs::metadata(directory.unwrap_or_else(|| Path::new("."))).map_err(failed())?;
    if !rustix::process::geteuid().is_root() || above.gid() == 0 {
        return Ok(());
    }
    give(path, Owner { uid: 0, gid: above.gid() })?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o640)).map_err(failed())
}

/// The user of that name and its group, from the text of `/etc/passwd`.
#[must_use]
pub fn find_user(passwd: &str, name: &str) -> Option<Owner> {
    passwd.lines().find_map(|line| {
        let mut parts = line.split(':');
        if parts.next() != Some(name) {
            return None;
        }
        let mut numbers = parts.skip(1);
        let uid = numbers.next()?.parse().ok()?;
        let gid = numbers.next()?.parse().ok()?;
        Some(Owner { uid, gid })
    })
}

/// The lowest bits of the mode of a file, as `chmod` takes them.
#[must_use]
pub fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|metadata| metadata.mode() & 0o777)
}

fn write_beside(
    path: &Path,
    content: &[u8],
    mode: u32,
    owner: Option<Owner>,
) -> Result<PathBuf, KitError> {
    let name =
        path.file_name().ok_or_else(|| KitError::unusable(path, "it is no name of a file"))?;
    let mut random = [0; 4];
    random::fill(&mut random)?;
    let beside = format!(".{}.{:08x}", name.to_string_lossy(), u32::from_be_bytes(random));
    let beside = path.with_file_name(beside);
    let write = || {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(SECRET).open(&beside)?;
        file.write_all(content)?;
        if let Some(Owner { uid, gid }) = owner {
            let now = file.metadata()?;
            if (now.uid(), now.gid()) != (uid, gid) {
                chown(&beside, Some(uid), Some(gid))?;
            }
        }
        // Not by the mask of the process, and after `chown`, which clears bits.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()
    };
    write().map_err(|cause| {
        abandon(&beside);
        KitError::system("write", path)(cause)
    })?;
    Ok(beside)
}

/// Renames unless there is a file of that name already.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system cannot: then the question is asked before, which two at once could pass.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            if to.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        result => Ok(result?),
    }
}

/// Takes away what was begun. That it cannot be is no news beside the failure itself.
fn abandon(path: &Path) {
    drop(fs::remove_file(path));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_file_is_replaced_only_if_that_was_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.key");
        write(&path, b"one", SECRET, Replace::Never).unwrap();
        assert_eq!(mode(&path), Some(SECRET));
        let again = write(&path, b"two", PUBLIC, Replace::Never);
        assert!(matches!(again, Err(KitError::Exists(_))), "{again:?}");
        assert_eq!(read(&path).unwrap(), b"one");
        write(&path, b"two", PUBLIC, Replace::Allowed).unwrap();
        assert_eq!((read_text(&path).unwrap().as_str(), mode(&path)), ("two", Some(PUBLIC)));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside");
    }

    #[test]
    fn an_update_keeps_mode_and_links() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("passwd"), directory.path().join("link"));
        write(&path, b"one", 0o640, Replace::Never).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        update(&link, b"two").unwrap();
        assert_eq!((read(&path).unwrap(), mode(&path)), (b"two".to_vec(), Some(0o640)));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn users_are_found_by_their_name() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\ndunlin:x:998:997::/var/lib/dunlin:/bin/false\nx:y\n";
        assert_eq!(find_user(passwd, "dunlin"), Some(Owner { uid: 998, gid: 997 }));
        assert_eq!(find_user(passwd, "dun"), None);
        assert_eq!(find_user(passwd, "x"), None);
    }
}

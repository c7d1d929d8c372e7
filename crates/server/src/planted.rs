//! Files where others may have put links, opened and handed over by root.
//!
//! Root prepares files in directories of the service user, who may have put links there that lead
//! anywhere. A link is followed only where nobody but root can have put it; files are looked at through a
//! descriptor, so that what was looked at is what is changed. For others than root the system itself
//! keeps watch, and paths are taken as they are.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, PROC_SUPER_MAGIC, Stat, Uid, chownat, fchmod,
    fchown, fstat, fstatfs, fsync, mkdirat, openat, readlinkat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

/// Links on the way to one file; the system itself follows no more.
const LINKS: usize = 40;

/// Bits of a mode by which others than the owner may write.
const OTHERS: u32 = 0o022;

/// The bit of a directory whose entries only their owners rename or remove.
const STICKY: u32 = 0o1000;

/// Where a path leads: a directory, and a name in it that is no link. It stays this one, whatever becomes of the
/// path.
pub struct Spot {
    directory: OwnedFd,
    name: OsString,
    /// The name is one of `/proc`, which leads to what a process has open.
    is_magic: bool,
}

/// What becomes of directories that are not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Told,
    Made,
}

/// Makes a directory for the owner only, and those that it is in for all to pass. If it is there, that is fine.
///
/// # Errors
/// The system's, or a link on the way may have been put there by others.
pub fn make_directory(path: &Path) -> io::Result<()> {
    let Spot { directory, name, .. } = resolve(path, Missing::Made)?;
    match mkdirat(&directory, &name, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Writes a file, in place of what was in it.
///
/// # Errors
/// The system's, a link on the way may have been put there by others, or the file has a second name.
pub fn write_file(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = resolve(path, Missing::Told)?.open(OFlags::WRONLY | OFlags::CREATE, mode)?;
    file.set_len(0)?;
    file.write_all(text.as_bytes())
}

/// Opens a file to add to its end.
///
/// # Errors
/// The system's, a link on the way may have been put there by others, or the file has a second name.
pub fn append_to(path: &Path, mode: u32) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND;
    resolve(path, Missing::Told)?.open(flags, mode)
}

/// Gives a user a file, or a directory with all that is in it. What is not there is not missed. Links are
/// left alone, and so are files with a second name, which is perhaps in a place that is not the user's.
///
/// # Errors
/// The system's, or a link on the way may have been put there by others.
pub fn give(path: &Path, user: u32, group: u32) -> io::Result<()> {
    let spot = match resolve(path, Missing::Told) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        spot => spot?,
    };
    if spot.is_magic {
        return Ok(());
    }
    let to = (Uid::from_raw(user), Gid::from_raw(group));
    give_entry(&spot.directory, &spot.name, to)
}

/// Gives the file of a unix socket a mode; without one, what the mask of the process leaves.
///
/// # Errors
/// The system's, a link on the way may have been put there by others, or it is no socket.
pub(crate) fn set_socket_mode(path: &Path, mode: Option<u32>) -> io::Result<()> {
    let Spot { directory, name, .. } = resolve(path, Missing::Told)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let entry = openat(&directory, &name, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&entry)?.st_mode) != FileType::Socket {
        return Err(io::Error::other("there is no socket any more"));
    }
    let mode = mode.unwrap_or_else(|| 0o777 & !mask());
    // The descriptor is good for no more than that.
    let own = format!("/proc/self/fd/{}", entry.as_raw_fd());
    std::fs::set_permissions(own, Permissions::from_mode(mode))
}

/// The mask of the process, which cannot be asked for but by setting it; the usual one if that is not told.
fn mask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    mask.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or(0o022)
}

fn give_entry(directory: &OwnedFd, name: &OsStr, to: (Uid, Gid)) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let entry = match openat(directory, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        entry => entry?,
    };
    let stat = fstat(&entry)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let listed = openat(&entry, ".", flags, Mode::empty())?;
            for inner in Dir::read_from(&listed)? {
                let name = OsStr::from_bytes(inner?.file_name().to_bytes()).to_owned();
                if name != "." && name != ".." {
                    give_entry(&entry, &name, to)?;
                }
            }
        }
        FileType::Symlink => return Ok(()),
        _ if is_shared(&stat) => {
            tracing::warn!(
                "{} has a second name somewhere, and stays with its owner",
                name.display()
            );
            return Ok(());
        }
        _ => {}
    }
    if (stat.st_uid, stat.st_gid) == (to.0.as_raw(), to.1.as_raw()) {
        return Ok(());
    }
    Ok(chownat(&entry, "", Some(to.0), Some(to.1), AtFlags::EMPTY_PATH)?)
}

/// Whether a file has several names, of which root cannot know who gave it which.
fn is_shared(stat: &Stat) -> bool {
    geteuid().is_root()
        && FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_nlink > 1
}

impl Spot {
    /// Where a path leads.
    ///
    /// # Errors
    /// The system's, or a link on the way may have been put there by others.
    pub fn find(path: &Path) -> io::Result<Self> {
        resolve(path, Missing::Told)
    }

    /// The same; directories on the way that are not there are made.
    pub(crate) fn make_way(path: &Path) -> io::Result<Self> {
        resolve(path, Missing::Made)
    }

    /// A path for whoever takes paths only, good for as long as this is there.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        Path::new("/proc/self/fd").join(self.directory.as_raw_fd().to_string()).join(&self.name)
    }

    /// Opens the file. One with a second name is not written by root.
    pub(crate) fn open(&self, flags: OFlags, mode: u32) -> io::Result<File> {
        // There may be a link by now.
        let nofollow = if self.is_magic { OFlags::empty() } else { OFlags::NOFOLLOW };
        let flags = flags | nofollow | OFlags::CLOEXEC;
        let file = openat(&self.directory, &self.name, flags, Mode::from_raw_mode(mode))?;
        if is_shared(&fstat(&file)?) {
            return Err(io::Error::other(
                "it has a second name somewhere, and is not to be overwritten",
            ));
        }
        Ok(file.into())
    }

    /// Puts a new file in its place, with the mode of the old one, and under root with its owner; or leaves
    /// everything as it was. It is written under another name first, beginning with this one, and returns when it is
    /// on the disk.
    pub(crate) fn replace(&self, content: &[u8], mode: u32) -> io::Result<()> {
        let old = statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW).ok();
        let mode = Mode::from_raw_mode(old.map_or(mode, |old| old.st_mode & 0o777));
        let owner = old.filter(|_| geteuid().is_root());
        let owner = owner.map(|old| (Uid::from_raw(old.st_uid), Gid::from_raw(old.st_gid)));
        let mut other = self.name.clone();
        other.push(".new");
        // What a failure has left behind may be a second name of the file itself.
        match unlinkat(&self.directory, &other, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&self.directory, &other, flags, mode)?;
        let put = || -> io::Result<()> {
            if let Some((user, group)) = owner {
                fchown(&file, Some(user), Some(group))?;
            }
            fchmod(&file, mode)?;
            let mut file = File::from(file);
            file.write_all(content)?;
            file.sync_all()?;
            Ok(renameat(&self.directory, &other, &self.directory, &self.name)?)
        };
        if let Err(cause) = put() {
            if unlinkat(&self.directory, &other, AtFlags::empty()).is_err() {
                tracing::debug!("{} is left behind", other.display());
            }
            return Err(cause);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(fsync(openat(&self.directory, ".", flags, Mode::empty())?)?)
    }
}

/// Goes a path, name by name.
fn resolve(path: &Path, missing: Missing) -> io::Result<Spot> {
    let mut names = VecDeque::new();
    let mut directory = enter(path, &mut names)?;
    let mut links = 0;
    while let Some(name) = names.pop_front() {
        let is_last = names.is_empty();
        let stat = match statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) if is_last => return Ok(Spot { directory, name, is_magic: false }),
            Err(Errno::NOENT) if missing == Missing::Made => {
                // Whoever is given what is in it has to get there.
                mkdirat(&directory, &name, Mode::from_raw_mode(0o755))?;
                directory = step(&directory, &name, OFlags::NOFOLLOW)?;
                continue;
            }
            stat => stat?,
        };
        let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        if is_link && fstatfs(&directory)?.f_type == PROC_SUPER_MAGIC {
            if is_last {
                return Ok(Spot { directory, name, is_magic: true });
            }
            directory = step(&directory, &name, OFlags::empty())?;
        } else if is_link {
            links += 1;
            check_link(path, &name, &stat, &directory)?;
            if links > LINKS {
                return Err(Errno::LOOP.into());
            }
            let target = readlinkat(&directory, &name, Vec::new())?;
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            if target.is_absolute() {
                directory = enter(&target, &mut names)?;
            } else {
                put_before(&target, &mut names);
            }
        } else if is_last {
            return Ok(Spot { directory, name, is_magic: false });
        } else {
            directory = step(&directory, &name, OFlags::NOFOLLOW)?;
        }
    }
    Ok(Spot { directory, name: ".".into(), is_magic: false })
}

/// Where a path begins, and the names that follow put before others.
fn enter(path: &Path, names: &mut VecDeque<OsString>) -> io::Result<OwnedFd> {
    put_before(path, names);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(CWD, if path.is_absolute() { "/" } else { "." }, flags, Mode::empty())?)
}

fn put_before(path: &Path, names: &mut VecDeque<OsString>) {
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => names.push_front(name.to_owned()),
            Component::ParentDir => names.push_front("..".into()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
}

fn step(directory: &OwnedFd, name: &OsStr, nofollow: OFlags) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | nofollow;
    Ok(openat(directory, name, flags, Mode::empty())?)
}

/// Whether a link may be followed: for root only if it is root's own, where nobody else could put it.
fn check_link(path: &Path, name: &OsStr, link: &Stat, directory: &OwnedFd) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let around = fstat(directory)?;
    let is_closed = around.st_mode & OTHERS == 0 || around.st_mode & STICKY != 0;
    if link.st_uid == 0 && around.st_uid == 0 && is_closed {
        return Ok(());
    }
    let text = format!(
        "on the way to {} is the link {}, which others than root may have put there: name the place that it leads to",
        path.display(),
        name.display()
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, chown, lchown, symlink};

    use super::*;

    /// Somebody who is not root, and whom nothing belongs to that matters.
    const SOMEBODY: u32 = 65_534;

    /// A directory of somebody's beside a file of root's; `None` without root, who alone can make it.
    fn scene() -> Option<(tempfile::TempDir, PathBuf, PathBuf)> {
        if !geteuid().is_root() {
            eprintln!("not shown: this needs root");
            return None;
        }
        let all = tempfile::tempdir().unwrap();
        let (theirs, secret) = (all.path().join("theirs"), all.path().join("secret"));
        fs::create_dir(&theirs).unwrap();
        chown(&theirs, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        fs::write(&secret, "root's").unwrap();
        Some((all, theirs, secret))
    }

    fn plant(target: &Path, link: &Path) {
        symlink(target, link).unwrap();
        lchown(link, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    }

    fn owner(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().uid()
    }

    #[test]
    fn what_is_given_is_all_of_a_directory_and_nothing_that_links_lead_to() {
        let Some((all, theirs, secret)) = scene() else { return };
        let store = theirs.join("store");
        fs::create_dir_all(store.join("inner")).unwrap();
        fs::write(store.join("inner/file"), "").unwrap();
        plant(&secret, &store.join("link"));
        plant(all.path(), &store.join("directory"));
        fs::hard_link(&secret, store.join("second name")).unwrap();
        give(&store, SOMEBODY, SOMEBODY).unwrap();
        assert_eq!(owner(&store.join("inner/file")), SOMEBODY);
        assert_eq!([owner(&store), owner(&store.join("inner"))], [SOMEBODY; 2]);
        assert_eq!([owner(&secret), owner(all.path())], [0; 2]);
        give(&theirs.join("not there"), SOMEBODY, SOMEBODY).unwrap();
    }

    #[test]
    fn a_link_that_others_may_have_put_there_is_not_followed() {
        let Some((all, theirs, secret)) = scene() else { return };
        plant(&secret, &theirs.join("file"));
        plant(all.path(), &theirs.join("directory"));
        // Root's own link, where others could have moved it.
        symlink(&secret, theirs.join("moved")).unwrap();
        for planted in ["file", "directory/secret", "directory/new", "moved"] {
            let planted = theirs.join(planted);
            for tried in [
                give(&planted, SOMEBODY, SOMEBODY),
                write_file(&planted, "overwritten", 0o644),
                append_to(&planted, 0o644).map(drop),
                make_directory(&planted.join("inner")),
            ] {
                let told = tried.unwrap_err().to_string();
                assert!(told.contains("others than root"), "{}: {told}", planted.display());
            }
        }
        assert_eq!(fs::read_to_string(&secret).unwrap(), "root's");
        assert_eq!(owner(&secret), 0);
        assert!(!all.path().join("new").exists());
    }

    #[test]
    fn a_second_name_is_not_written() {
        let Some((_all, theirs, secret)) = scene() else { return };
        fs::hard_link(&secret, theirs.join("pid")).unwrap();
        assert!(write_file(&theirs.join("pid"), "7", 0o644).is_err());
        assert!(append_to(&theirs.join("pid"), 0o644).is_err());
        assert_eq!(fs::read_to_string(&secret).unwrap(), "root's");
    }

    #[test]
    fn a_place_stays_the_one_that_was_found() {
        let Some((all, theirs, secret)) = scene() else { return };
        let real = theirs.join("real");
        fs::create_dir(&real).unwrap();
        let spot = Spot::find(&real.join("secret")).unwrap();
        // Meanwhile its owner puts a link in the place of the directory.
        fs::rename(&real, theirs.join("moved")).unwrap();
        plant(all.path(), &real);
        fs::write(spot.path(), "theirs").unwrap();
        spot.replace(b"replaced", 0o600).unwrap();
        assert_eq!(fs::read_to_string(&secret).unwrap(), "root's");
        assert_eq!(fs::read_to_string(theirs.join("moved/secret")).unwrap(), "replaced");
        // What replaces a file of theirs is theirs.
        chown(theirs.join("moved/secret"), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        spot.replace(b"again", 0o600).unwrap();
        assert_eq!(owner(&theirs.join("moved/secret")), SOMEBODY);
    }

    #[test]
    fn links_of_root_lead_where_they_should() {
        let Some((all, theirs, _)) = scene() else { return };
        // The directory of temporary files itself is anybody's, with names that stay.
        fs::set_permissions(all.path(), Permissions::from_mode(0o755)).unwrap();
        symlink("theirs", all.path().join("link")).unwrap();
        symlink(all.path().join("link"), all.path().join("absolute")).unwrap();
        let path = all.path().join("absolute/../link/./file");
        write_file(&path, "written", 0o640).unwrap();
        append_to(&path, 0o640).unwrap().write_all(b" twice").unwrap();
        assert_eq!(fs::read_to_string(theirs.join("file")).unwrap(), "written twice");
        write_file(&path, "again", 0o640).unwrap();
        assert_eq!(fs::read_to_string(theirs.join("file")).unwrap(), "again");
        make_directory(&all.path().join("link/a/b")).unwrap();
        make_directory(&all.path().join("link/a/b")).unwrap();
        give(&all.path().join("link/a"), SOMEBODY, SOMEBODY).unwrap();
        assert_eq!(owner(&theirs.join("a/b")), SOMEBODY);
        let mode = |path: &str| fs::metadata(theirs.join(path)).unwrap().mode() & 0o777;
        assert_eq!([mode("a/b"), mode("a") & 0o700], [0o700; 2]);
    }

    #[test]
    fn what_a_process_has_open_can_be_written_to() {
        drop(append_to(Path::new("/proc/self/fd/2"), 0o640).unwrap());
        drop(append_to(Path::new("/dev/stderr"), 0o640).unwrap());
        give(Path::new("/dev/stderr"), SOMEBODY, SOMEBODY).unwrap();
    }
}

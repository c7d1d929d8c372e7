//! The file that names the store.

use std::hash::{BuildHasher, RandomState};

use crate::disk::Disk;
use crate::error::OpenError;
use crate::format::{Identity, MAJOR, MINOR, segment_id};

const NAME: &str = "VERSION";
const TEMPORARY: &str = "VERSION.tmp";
const TITLE: &str = "dunlin store";

/// Files that may be there before the store is.
const STRANGERS: [&str; 3] = ["LOCK", "lost+found", TEMPORARY];

/// More would not be ours.
const MAXIMUM_BYTES: u64 = 4096;

/// The identity of the store in this directory; `None` if there is none yet.
pub(crate) fn read<D: Disk>(disk: &mut D, names: &[String]) -> Result<Option<Identity>, OpenError> {
    if names.iter().any(|name| name == NAME) {
        let io = || OpenError::io("read VERSION");
        let file = disk.open(NAME).map_err(io())?;
        let length = disk.len(&file).map_err(io())?.min(MAXIMUM_BYTES);
        let mut text = vec![0; length as usize];
        disk.read_at(&file, 0, &mut text).map_err(io())?;
        return std::str::from_utf8(&text)
            .map_err(|_| OpenError::BadVersion)
            .and_then(parse)
            .map(Some);
    }
    refuse(names).map_or(Ok(None), Err)
}

/// Why a directory with these files is no place for a store; `None` if it is one, or may become one.
pub(crate) fn refuse(names: &[String]) -> Option<OpenError> {
    if names.iter().any(|name| name == NAME) {
        return None;
    }
    if names.iter().any(|name| segment_id(name).is_some()) {
        return Some(OpenError::NoVersion);
    }
    let stranger = names.iter().find(|name| !STRANGERS.contains(&name.as_str()))?;
    Some(OpenError::Foreign { file: stranger.clone() })
}

/// Makes a store: from then on, the directory is one.
pub(crate) fn create<D: Disk>(
    disk: &mut D,
    names: &[String],
    identity: Option<u128>,
) -> Result<Identity, OpenError> {
    let number = identity.unwrap_or_else(random);
    let text = format!("{TITLE}\nformat {MAJOR}.{MINOR}\nidentity {number:032x}\n");
    let mut write = || {
        if names.iter().any(|name| name == TEMPORARY) {
            disk.remove(TEMPORARY)?;
        }
        let mut file = disk.create(TEMPORARY, text.len() as u64)?;
        disk.write_at(&mut file, 0, &[text.as_bytes()])?;
        disk.sync(&mut file)?;
        disk.rename(TEMPORARY, NAME)?;
        disk.sync_directory()
    };
    write().map_err(OpenError::io("write VERSION"))?;
    Ok(Identity::new(number))
}

fn parse(text: &str) -> Result<Identity, OpenError> {
    let mut lines = text.lines();
    let mut value = |name: &str| lines.next().and_then(|line| line.strip_prefix(name));
    value(TITLE).ok_or(OpenError::BadVersion)?;
    let format = value("format ").and_then(|format| format.split_once('.'));
    let (major, minor) = format.ok_or(OpenError::BadVersion)?;
    let major = major.parse().map_err(|_| OpenError::BadVersion)?;
    let minor = minor.parse().map_err(|_| OpenError::BadVersion)?;
    if major > MAJOR {
        return Err(OpenError::Newer { major, minor, known: MAJOR });
    }
    let number = value("identity ").filter(|digits| digits.len() == 32);
    let number = number.and_then(|digits| u128::from_str_radix(digits, 16).ok());
    number.map(Identity::new).ok_or(OpenError::BadVersion)
}

/// A number that no other store has: what the standard library seeds its tables with.
fn random() -> u128 {
    let half = || u128::from(RandomState::new().hash_one(TITLE));
    half() << 64 | half()
}

//! Certificates in files: one, or one for each device of a list.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Authority, Issued, PrivateKey, Request};
use crate::files::{self, PUBLIC, Replace, SECRET};
use crate::{KitError, UnixSeconds};

/// A certificate and its key, in files.
#[derive(Debug, Clone)]
pub struct Written {
    /// Of the certificate.
    pub certificate: PathBuf,
    /// Of the key, which only its owner reads.
    pub key: PathBuf,
    /// What was signed.
    pub issued: Issued,
}

impl Authority {
    /// Signs with a new key, into `STEM.crt` and `STEM.key`.
    ///
    /// # Errors
    /// One of them exists, or cannot be written.
    pub fn issue_files(
        &self,
        request: &Request,
        directory: &Path,
        stem: &str,
        replace: Replace,
        now: UnixSeconds,
    ) -> Result<Written, KitError> {
        let (certificate, key) = pair(directory, stem);
        if replace == Replace::Never {
            let exists = [&certificate, &key].into_iter().find(|path| path.exists());
            exists.map_or(Ok(()), |path| Err(KitError::Exists(path.clone())))?;
        }
        let pair = PrivateKey::generate()?;
        let issued = self.issue(request, &pair, now)?;
        if !directory.is_dir() {
            // The service has to come through to its key, which has a mode of its own.
            files::make_directory(directory, 0o755)?;
        }
        files::write(&key, pair.to_pem().as_bytes(), SECRET, replace)?;
        files::write(&certificate, issued.pem.as_bytes(), PUBLIC, replace)?;
        Ok(Written { certificate, key, issued })
    }
}

/// The files of a holder: certificate and key.
#[must_use]
pub fn pair(directory: &Path, stem: &str) -> (PathBuf, PathBuf) {
    (directory.join(format!("{stem}.crt")), directory.join(format!("{stem}.key")))
}

/// What the files of a name are called: the name, with `_` for all that could be a path.
#[must_use]
pub fn stem(name: &str) -> String {
    let plain = |c: char| if c == '/' || c == '\0' { '_' } else { c };
    let stem: String = name.chars().map(plain).collect();
    if stem.starts_with('.') { format!("_{stem}") } else { stem }
}

/// The names of a list: a name on each line, or the first column of a CSV file; a heading and lines
/// that begin with `#` are no names.
///
/// # Errors
/// A name is there twice, or two would have the same files.
pub fn names(path: &Path, text: &str) -> Result<Vec<String>, KitError> {
    let mut found: Vec<String> = Vec::new();
    let mut stems = BTreeSet::new();
    for (line, number) in text.trim_start_matches('\u{FEFF}').lines().zip(1..) {
        let cell = first_cell(line);
        let is_heading =
            found.is_empty() && HEADINGS.iter().any(|heading| heading.eq_ignore_ascii_case(&cell));
        if cell.is_empty() || cell.starts_with('#') || is_heading {
            continue;
        }
        if !stems.insert(stem(&cell)) {
            let what =
                format!("line {number}: {cell:?}, or a name with the same files, is in it already");
            return Err(KitError::unusable(path, what));
        }
        found.push(cell);
    }
    Ok(found)
}

/// First cells that are no name but the heading of names.
const HEADINGS: [&str; 8] =
    ["name", "common_name", "cn", "client", "client_id", "clientid", "device", "username"];

fn first_cell(line: &str) -> String {
    let line = line.trim();
    match line.strip_prefix('"') {
        // Quotes within are doubled.
        Some(quoted) => {
            let mut cell = String::new();
            let mut characters = quoted.chars().peekable();
            while let Some(character) = characters.next() {
                if character == '"' && characters.next_if_eq(&'"').is_none() {
                    break;
                }
                cell.push(character);
            }
            cell
        }
        None => line.split([',', ';', '\t']).next().unwrap_or_default().trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_tables_give_the_same_names() {
        let table =
            "\u{FEFF}Name;place\n# the quay\nboat-1;north\n\"a, \"\"b\"\"\",x\n\n boat-2 \t\n";
        let names = names(Path::new("devices.csv"), table).unwrap();
        assert_eq!(names, ["boat-1", "a, \"b\"", "boat-2"]);
    }

    #[test]
    fn names_that_would_share_files_are_refused() {
        let error = names(Path::new("list"), "a/b\na_b\n").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        assert_eq!(stem("../x"), "_.._x");
    }
}

//! The Rust files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

/// The repository and every Rust file that is part of it.
pub(crate) struct Repository {
    root: PathBuf,
    pub(crate) files: Vec<SourceFile>,
}

/// One Rust file.
pub(crate) struct SourceFile {
    /// From the root, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Where hand-written Rust lies.
const SOURCE_DIRECTORIES: [&str; 3] = ["crates", "xtask", "fuzz"];

impl Repository {
    /// Reads the repository that this very crate lies in.
    pub(crate) fn find() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("xtask lies in the repository")
            .to_owned();
        let mut repository = Self { root, files: Vec::new() };
        for directory in SOURCE_DIRECTORIES {
            repository.collect(&repository.root.join(directory));
        }
        repository.files.sort_by(|a, b| a.path.cmp(&b.path));
        repository
    }

    fn collect(&mut self, directory: &Path) {
        let Ok(entries) = fs::read_dir(directory) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target") {
                    self.collect(&path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                // A file that is being replaced at this moment is read by the next run.
                let Ok(text) = fs::read_to_string(&path) else { continue };
                let path = path.strip_prefix(&self.root).unwrap_or(&path);
                let path = path.to_string_lossy().replace('\\', "/");
                self.files.push(SourceFile { path, text });
            }
        }
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A file's text; empty when it is not there, which the checks then tell in their own words.
    pub(crate) fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).unwrap_or_default()
    }

    /// The directories in `crates/`.
    pub(crate) fn crates(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("crates")).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries
            .filter(|entry| entry.path().join("Cargo.toml").is_file())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl SourceFile {
    /// Whether this is a test, a bench or an example, whose tables may be long.
    pub(crate) fn is_test(&self) -> bool {
        ["/tests/", "/benches/", "/examples/"].iter().any(|part| self.path.contains(part))
            || self.path.ends_with("/tests.rs")
    }

    /// The lines before the inline test module.
    pub(crate) fn production_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = self.text.lines().zip(self.text.lines().skip(1)).position(|(line, next)| {
            line.trim() == "#[cfg(test)]" && next.trim_start().starts_with("mod ")
        });
        let count = tests.unwrap_or(usize::MAX);
        self.text.lines().take(count).enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// The name of the function that a line begins, if it does.
pub(crate) fn function_name(line: &str) -> Option<&str> {
    let mut words = line.trim_start();
    loop {
        if let Some(rest) = words.strip_prefix("fn ") {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
            return rest.split_at_checked(end).map(|(name, _)| name);
        }
        let (word, rest) = words.split_once(' ')?;
        let qualifier = word.starts_with("pub")
            || matches!(word, "const" | "unsafe" | "async" | "extern")
            || word.starts_with('"');
        if !qualifier {
            return None;
        }
        words = rest;
    }
}

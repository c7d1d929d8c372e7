//! Directories, processes and what they say.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::SystemTime;

const DUNLIN: &str = env!("CARGO_BIN_EXE_dunlin");

/// A directory for the files of one test.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        fs::write(self.path(name), content).expect("a file");
        self.path(name)
    }

    /// A store of what `content` says.
    pub(crate) fn store(&self, name: &str, content: &str) -> PathBuf {
        let file = self.file("import.ndjson", content.as_bytes());
        let directory = self.path(name);
        let done = ctl(&["import", text(&file)], &directory);
        assert!(done.status.success(), "{done:?}");
        directory
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}

pub(crate) fn ctl(words: &[&str], directory: &Path) -> Output {
    let mut command = Command::new(DUNLIN);
    command.args(["ctl", "store"]).args(words).arg("--data-dir").arg(directory);
    command.output().expect("the binary runs")
}

pub(crate) fn export(directory: &Path) -> String {
    let exported = ctl(&["export"], directory);
    assert!(exported.status.success(), "{exported:?}");
    String::from_utf8(exported.stdout).expect("text")
}

/// Without the first line, which says who wrote it.
pub(crate) fn contents(export: &str) -> &str {
    export.split_once('\n').expect("lines").1
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// All files but the lock, in all directories, with their lengths and when they were written.
pub(crate) fn files(directory: &Path) -> Vec<(PathBuf, u64, SystemTime)> {
    let mut all = Vec::new();
    let Ok(entries) = fs::read_dir(directory) else { return all };
    for entry in entries {
        let entry = entry.expect("an entry");
        let (path, metadata) = (entry.path(), entry.metadata().expect("its metadata"));
        if metadata.is_dir() {
            all.extend(files(&path));
        }
        if entry.file_name() != "LOCK" {
            all.push((path, metadata.len(), metadata.modified().expect("a time")));
        }
    }
    all.sort();
    all
}

/// A broker on a free port, for as long as the value lives.
pub(crate) struct Broker {
    process: Child,
    port: String,
}

impl Broker {
    pub(crate) fn start(directory: &Path) -> Self {
        let mut process = Command::new(DUNLIN)
            .args(["-p", "0", "--bind", "127.0.0.1", "-q", "--shards", "2", "--data-dir"])
            .arg(directory)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let output = process.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(output).lines();
        let greeting = lines.find_map(|line| {
            let line = line.ok()?;
            line.contains("127.0.0.1:").then_some(line)
        });
        let greeting = greeting.expect("it says where it listens");
        let after = greeting.split_once("127.0.0.1:").expect("its address").1;
        let port = after.split(|c: char| !c.is_ascii_digit()).next().expect("a port").to_owned();
        Self { process, port }
    }

    pub(crate) fn run(&self, words: &str) -> String {
        let mut command = Command::new(DUNLIN);
        let mut words = words.split_whitespace();
        command.args(words.next()).args(["-h", "127.0.0.1", "-p", &self.port]).args(words);
        let output = command.stdin(Stdio::null()).output().expect("the command runs");
        said(&output)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

//! Files and functions stay small enough to be read in one go.

use crate::Findings;
use crate::source::{Repository, SourceFile, function_name};

/// Lines of a file, its inline tests left aside.
const FILE_LINES: usize = 500;
/// Lines of a function body that are neither empty nor comment: what clippy counts.
const FUNCTION_LINES: usize = 70;

/// Files that may be longer, up to which length, and why. The length is a ratchet: it follows
/// the file down, never up.
const LONGER_FILES: &[(&str, usize, &str)] = &[];

/// The most that an entry above may ask for.
const LONGER_FILES_LIMIT: usize = 800;

pub(crate) fn check(repository: &Repository) -> Findings {
    let mut findings = Findings::new();
    for file in repository.files.iter().filter(|file| !file.is_test()) {
        findings.extend(file_length(file));
        findings.extend(function_lengths(file));
    }
    for (path, limit, reason) in LONGER_FILES {
        if *limit > LONGER_FILES_LIMIT || reason.is_empty() {
            findings.push(format!("{path}:1: a longer file needs a reason and has its limit too"));
        }
    }
    findings
}

fn file_length(file: &SourceFile) -> Option<String> {
    let lines = file.production_lines().count();
    let entry = LONGER_FILES.iter().find(|(path, ..)| *path == file.path);
    let limit = entry.map_or(FILE_LINES, |(_, limit, _)| *limit);
    (lines > limit).then(|| format!("{}:1: {lines} lines, over {limit}", file.path))
}

fn function_lengths(file: &SourceFile) -> Findings {
    let mut findings = Findings::new();
    let mut lines = file.production_lines();
    while let Some((number, line)) = lines.next() {
        let Some(name) = function_name(line) else { continue };
        let mut header = line.trim_end();
        while !header.ends_with(['{', '}', ';']) {
            let Some((_, line)) = lines.next() else { break };
            header = line.trim_end();
        }
        if !header.ends_with('{') {
            continue;
        }
        // rustfmt puts the closing brace under the first letter of the function.
        let indent = line.len() - line.trim_start().len();
        let end = format!("{:indent$}}}", "");
        let body = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != end);
        let length = body.filter(|line| is_code(line)).count();
        if length > FUNCTION_LINES {
            let path = &file.path;
            findings.push(format!("{path}:{number}: {name} has {length} lines, over 70"));
        }
    }
    findings
}

fn is_code(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with("//")
}

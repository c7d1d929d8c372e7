//! Nothing unfinished is left behind.

use crate::Findings;
use crate::source::Repository;

/// What marks unfinished work; split, so that this file does not hold the marks itself.
const LEFTOVERS: [[&str; 2]; 6] = [
    ["FIX", "ME"],
    ["TO", "DO"],
    ["XX", "X"],
    ["todo", "!("],
    ["unimplemented", "!("],
    ["dbg", "!("],
];

pub(crate) fn check(repository: &Repository) -> Findings {
    let mut findings = Findings::new();
    for file in &repository.files {
        for (index, line) in file.text.lines().enumerate() {
            let mut complain =
                |what: &str| findings.push(format!("{}:{}: {what}", file.path, index + 1));
            for leftover in LEFTOVERS.map(|parts| parts.concat()) {
                if line.contains(&leftover) {
                    complain(&format!("{leftover} is left over"));
                }
            }
            if is_commented_out(line) {
                complain("code in a comment: delete it, the history keeps it");
            }
        }
    }
    findings
}

/// Whether a line comment reads like a statement rather than a sentence.
fn is_commented_out(line: &str) -> bool {
    let Some(comment) = line.trim_start().strip_prefix("//") else { return false };
    if comment.starts_with(['/', '!']) {
        return false;
    }
    let comment = comment.trim();
    let statement =
        comment.ends_with(';') && (comment.contains(['(', '=']) || comment.starts_with("use "));
    let block = comment.ends_with('{') && comment.contains(['(', '=']) || comment == "}";
    statement || block
}

#[cfg(test)]
mod tests {
    use super::is_commented_out;

    #[test]
    fn code_in_comments_is_told_from_sentences() {
        for code in ["// let a = b;", "  // call(x);", "// if (a) {", "// }", "// use std::io;"] {
            assert!(is_commented_out(code), "{code}");
        }
        for text in [
            "// One thing; the other thing.",
            "// The same as above;",
            "/// let documented = 1;",
            "let x = 1; // set",
            "// [MQTT-3.1.0-1]",
        ] {
            assert!(!is_commented_out(text), "{text}");
        }
    }
}

//! Rules of this repository as code.
//!
//! `cargo run -p xtask -- tidy` checks them all, and so does `cargo test`;
//! `cargo run -p xtask -- spec-matrix` writes `docs/conformance.md`, and
//! `cargo run -p xtask -- instructions` compares the hot paths with `benches.toml`.

mod clauses;
mod directions;
mod instructions;
mod lints;
mod matrix;
mod sizes;
mod source;
mod spec;
mod words;

use std::process::ExitCode;

use source::Repository;

/// What is wrong, in the form `path:line: what`, as editors understand it.
type Findings = Vec<String>;

fn main() -> ExitCode {
    let repository = Repository::find();
    let command = std::env::args().nth(1).unwrap_or_default();
    match command.as_str() {
        "tidy" => report(&tidy(&repository)),
        "spec-matrix" => report(&matrix::write(&repository)),
        "instructions" => {
            let update = std::env::args().any(|argument| argument == "--update");
            let checked = instructions::check(&repository, update);
            report(&checked.unwrap_or_else(|error| vec![error]))
        }
        _ => {
            eprintln!("usage: cargo run -p xtask -- tidy | spec-matrix | instructions [--update]");
            ExitCode::from(2)
        }
    }
}

fn report(findings: &Findings) -> ExitCode {
    for finding in findings {
        eprintln!("{finding}");
    }
    if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tidy(repository: &Repository) -> Findings {
    [
        sizes::check(repository),
        words::check(repository),
        directions::check(repository),
        lints::check(repository),
        clauses::check(repository),
        matrix::check(repository),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let findings = tidy(&Repository::find());
        assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    }
}

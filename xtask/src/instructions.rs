//! Instruction counts of the benchmarks against those in `benches.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::Findings;
use crate::source::Repository;

/// `benches.toml`.
#[derive(Deserialize)]
struct Table {
    tolerance: f64,
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    /// `package/bench`.
    bench: String,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    rounds: u64,
    operations: f64,
    instructions: f64,
}

/// Counts every case; with `update` the table is written, else what grew is found.
pub(crate) fn check(repository: &Repository, update: bool) -> Result<Findings, String> {
    let path = repository.path("benches.toml");
    let text = fs::read_to_string(&path).map_err(|error| format!("benches.toml: {error}"))?;
    let table: Table = toml::from_str(&text).map_err(|error| format!("benches.toml: {error}"))?;
    let mut built = BTreeMap::new();
    let mut findings = Vec::new();
    let mut updated = text;
    for case in &table.case {
        if !built.contains_key(&case.bench) {
            built.insert(case.bench.clone(), build(&repository.path("."), &case.bench)?);
        }
        let counted = count(&built[&case.bench], case)?;
        eprintln!("{counted:>9.1} (was {:.1})  {}", case.instructions, case.name);
        if counted > case.instructions * (1.0 + table.tolerance) {
            findings.push(format!(
                "benches.toml: {}: {counted:.1} instructions, {:.1} before",
                case.name, case.instructions
            ));
        }
        updated = with_count(&updated, &case.name, counted);
    }
    if update {
        fs::write(&path, updated).map_err(|error| format!("benches.toml: {error}"))?;
        findings.clear();
    }
    Ok(findings)
}

/// Builds a benchmark and finds its executable.
fn build(root: &Path, bench: &str) -> Result<PathBuf, String> {
    let (package, name) = bench.split_once('/').ok_or("a bench is named `package/bench`")?;
    let output = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["bench", "--no-run", "--profile", "quick", "--message-format", "json"])
        .args(["-p", package, "--bench", name])
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    let messages = String::from_utf8_lossy(&output.stdout);
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
        .ok_or_else(|| {
            format!("{bench} does not build:\n{}", String::from_utf8_lossy(&output.stderr))
        })
}

/// Instructions per operation: the difference between three times the rounds and once.
fn count(executable: &Path, case: &Case) -> Result<f64, String> {
    let short = run(executable, case, case.rounds)?;
    let long = run(executable, case, 3 * case.rounds)?;
    let operations = 2.0 * case.rounds as f64 * case.operations;
    Ok(long.saturating_sub(short) as f64 / operations)
}

fn run(executable: &Path, case: &Case, rounds: u64) -> Result<u64, String> {
    let filled = |text: &String| text.replace("{rounds}", &rounds.to_string());
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(executable)
        .args(case.arguments.iter().map(filled))
        .envs(case.environment.iter().map(|(name, value)| (name, filled(value))))
        .output()
        .map_err(|error| format!("valgrind is needed (package valgrind): {error}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    report
        .lines()
        .find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
        .ok_or_else(|| format!("{}: no count from valgrind:\n{report}", case.name))
}

/// The table with another count for one case; comments and order stay.
fn with_count(text: &str, name: &str, count: f64) -> String {
    let mut here = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        here |= line == format!("name = \"{name}\"");
        if here && line.starts_with("instructions = ") {
            lines.push(format!("instructions = {count:.1}"));
            here = false;
        } else {
            lines.push(line.to_owned());
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::with_count;

    #[test]
    fn only_the_count_of_the_named_case_changes() {
        let text = "# why\nname = \"a\"\ninstructions = 1.0\nname = \"b\"\ninstructions = 2.0\n";
        let expected =
            "# why\nname = \"a\"\ninstructions = 1.0\nname = \"b\"\ninstructions = 3.5\n";
        assert_eq!(with_count(text, "b", 3.5), expected);
    }
}

//! Statements, the code that enforces them and the tests that show them speak of the same ids.

use std::collections::{BTreeMap, BTreeSet};

use crate::Findings;
use crate::source::{Repository, SourceFile, function_name};
use crate::spec::{self, Statement, Status, Table};

/// A test, by the path its table entry names it with.
type TestPath = String;
/// A statement: the standard and the id.
type Clause = (String, String);

pub(crate) fn check(repository: &Repository) -> Findings {
    let tables = match spec::tables(repository) {
        Ok(tables) => tables,
        Err(why) => return vec![why],
    };
    let mut findings = Findings::new();
    let known: BTreeSet<&str> = tables
        .iter()
        .flat_map(|(_, table)| &table.statements)
        .map(|statement| statement.id.as_str())
        .collect();
    let mut tests = Tests::default();
    for file in &repository.files {
        findings.extend(unknown_clauses(file, &known));
        findings.extend(tests.read(file));
    }
    for (path, table) in &tables {
        findings.extend(check_table(path, table, &tests));
    }
    findings.extend(shown_but_not_tested(&tables, &tests));
    findings
}

/// The tests of the repository and the statements they say they show.
#[derive(Default)]
struct Tests {
    all: BTreeSet<TestPath>,
    shows: BTreeMap<TestPath, BTreeSet<Clause>>,
}

impl Tests {
    fn read(&mut self, file: &SourceFile) -> Findings {
        let mut findings = Findings::new();
        let module = module_path(&file.path);
        let mut announced = BTreeSet::new();
        let mut is_test = false;
        for (index, line) in file.text.lines().enumerate() {
            let line = line.trim_start();
            if let Some(list) = line.strip_prefix("// shows ") {
                match list.split_once(": ") {
                    Some((standard, ids)) => announced.extend(
                        ids.split(", ").map(|id| (standard.to_owned(), id.trim().to_owned())),
                    ),
                    None => findings.push(format!(
                        "{}:{}: a line that shows needs a standard and ids",
                        file.path,
                        index + 1
                    )),
                }
            } else if line == "#[test]" {
                is_test = true;
            } else if let Some(name) = function_name(line) {
                if is_test {
                    let test = format!("{module}::{name}");
                    self.shows.insert(test.clone(), std::mem::take(&mut announced));
                    self.all.insert(test);
                } else if !announced.is_empty() {
                    findings.push(format!("{}:{}: {name} is no test", file.path, index + 1));
                    announced.clear();
                }
                is_test = false;
            }
        }
        findings
    }
}

/// `crates/testkit/tests/conformance/ping.rs` is `conformance::ping`, and
/// `crates/proto/src/codec/mod.rs` is `proto::codec`.
fn module_path(path: &str) -> String {
    let mut parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    if let Some(tests) = parts.iter().position(|part| *part == "tests") {
        parts.drain(..=tests);
    } else {
        parts.retain(|part| *part != "crates" && *part != "src");
    }
    parts.retain(|part| !matches!(*part, "mod" | "lib" | "main"));
    parts.join("::")
}

/// Ids in the code that no standard knows.
fn unknown_clauses(file: &SourceFile, known: &BTreeSet<&str>) -> Findings {
    let mut findings = Findings::new();
    for (index, line) in file.text.lines().enumerate() {
        for part in line.split("MQTT-").skip(1) {
            let end = part.find(|c: char| !matches!(c, '0'..='9' | '.' | '-'));
            let digits = part.split_at(end.unwrap_or(part.len())).0.trim_end_matches(['.', '-']);
            let id = format!("MQTT-{digits}");
            if digits.starts_with(|c: char| c.is_ascii_digit()) && !known.contains(id.as_str()) {
                findings.push(format!("{}:{}: {id} is no statement", file.path, index + 1));
            }
        }
    }
    findings
}

fn check_table(path: &str, table: &Table, tests: &Tests) -> Findings {
    let mut findings = Findings::new();
    let mut seen = BTreeSet::new();
    for statement in &table.statements {
        if !seen.insert(&statement.id) {
            findings.push(format!("{path}:1: {} twice", statement.id));
        }
        findings
            .extend(check_statement(table, statement, tests).map(|why| format!("{path}:1: {why}")));
    }
    findings
}

fn check_statement(table: &Table, statement: &Statement, tests: &Tests) -> Option<String> {
    let id = &statement.id;
    if !id.starts_with("MQTT-") || statement.summary.is_empty() {
        return Some(format!("{id} has no proper id or no summary"));
    }
    match &statement.status {
        Status::Tested { test } if test.is_empty() => Some(format!("{id} is tested by nothing")),
        Status::Tested { test } => {
            let clause = (table.standard.clone(), id.clone());
            test.iter().find_map(|test| match tests.shows.get(test) {
                None => Some(format!("{id} names {test}, which is no test")),
                Some(shown) if !shown.contains(&clause) => {
                    Some(format!("{id} names {test}, which does not say that it shows it"))
                }
                Some(_) => None,
            })
        }
        Status::ByDesign { why } if why.is_empty() => Some(format!("{id} lacks its why")),
        Status::ByDesign { .. } | Status::Client | Status::Later { .. } => None,
    }
}

fn shown_but_not_tested(tables: &[(&str, Table)], tests: &Tests) -> Findings {
    let mut named: BTreeSet<(&str, &str, &str)> = BTreeSet::new();
    for (_, table) in tables {
        for statement in &table.statements {
            if let Status::Tested { test } = &statement.status {
                named.extend(
                    test.iter()
                        .map(|t| (table.standard.as_str(), statement.id.as_str(), t.as_str())),
                );
            }
        }
    }
    let mut findings = Findings::new();
    for (test, clauses) in &tests.shows {
        for (standard, id) in clauses {
            if !named.contains(&(standard.as_str(), id.as_str(), test.as_str())) {
                findings.push(format!("spec/mqtt-{standard}.toml:1: {id} does not name {test}"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::module_path;

    #[test]
    fn tests_are_named_by_where_they_lie() {
        assert_eq!(module_path("crates/testkit/tests/conformance/ping.rs"), "conformance::ping");
        assert_eq!(module_path("crates/testkit/tests/conformance/main.rs"), "conformance");
        assert_eq!(module_path("crates/proto/src/codec/mod.rs"), "proto::codec");
        assert_eq!(module_path("crates/proto/tests/round_trip.rs"), "round_trip");
    }
}

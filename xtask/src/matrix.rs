//! The conformance matrix for readers: `docs/conformance.md`, rendered from the tables.

use std::fmt::Write as _;

use crate::Findings;
use crate::source::Repository;
use crate::spec::{self, Statement, Status, Table};

const PATH: &str = "docs/conformance.md";

pub(crate) fn write(repository: &Repository) -> Findings {
    let rendered = match render(repository) {
        Ok(rendered) => rendered,
        Err(why) => return vec![why],
    };
    match std::fs::write(repository.path(PATH), rendered) {
        Ok(()) => Findings::new(),
        Err(error) => vec![format!("{PATH}:1: {error}")],
    }
}

pub(crate) fn check(repository: &Repository) -> Findings {
    match render(repository) {
        Ok(rendered) if rendered == repository.read(PATH) => Findings::new(),
        Ok(_) => vec![format!("{PATH}:1: out of date; run `cargo run -p xtask -- spec-matrix`")],
        Err(why) => vec![why],
    }
}

fn render(repository: &Repository) -> Result<String, String> {
    let mut page = String::from(INTRODUCTION);
    for (path, table) in spec::tables(repository)? {
        render_table(&mut page, path, &table).map_err(|error| error.to_string())?;
    }
    Ok(page)
}

const INTRODUCTION: &str = "\
# Conformance

Every normative statement of the two OASIS standards, in the words of this project, and what shows
that dunlin meets it. Written by `cargo run -p xtask -- spec-matrix`; change `spec/*.toml` instead.

The tests run against the real binary over sockets: `cargo test -p dunlin-testkit`. A test named
`conformance::ping::…` lies in `crates/testkit/tests/conformance/ping.rs`.

- **tested**: the named tests show it.
- **by design**: it cannot be broken or does not apply; the reason stands beside it.
- **client**: it binds clients alone, so no test of the broker can show it.
- **later**: it waits for a part that is not built yet.
";

fn render_table(page: &mut String, path: &str, table: &Table) -> std::fmt::Result {
    let count = |wanted: fn(&Status) -> bool| {
        table.statements.iter().filter(|statement| wanted(&statement.status)).count()
    };
    writeln!(page, "\n## MQTT {}\n", table.standard)?;
    writeln!(
        page,
        "{} statements in `{path}`: {} tested, {} by design, {} for clients, {} later.\n",
        table.statements.len(),
        count(|status| matches!(status, Status::Tested { .. })),
        count(|status| matches!(status, Status::ByDesign { .. })),
        count(|status| matches!(status, Status::Client)),
        count(|status| matches!(status, Status::Later { .. })),
    )?;
    writeln!(page, "| Statement | Binds | What it asks | Status |")?;
    writeln!(page, "|---|---|---|---|")?;
    for statement in &table.statements {
        let summary = statement.summary.replace('|', "\\|");
        let side = statement.side.name();
        writeln!(page, "| {} | {side} | {summary} | {} |", statement.id, status(statement))?;
    }
    Ok(())
}

fn status(statement: &Statement) -> String {
    match &statement.status {
        Status::Tested { test } => {
            let tests: Vec<_> = test.iter().map(|test| format!("`{test}`")).collect();
            format!("tested: {}", tests.join(", "))
        }
        Status::ByDesign { why } => format!("by design: {why}"),
        Status::Client => "client".to_owned(),
        Status::Later { needs } => format!("later: needs {}", needs.name()),
    }
}

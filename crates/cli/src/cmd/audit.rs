//! `dunlin audit`: judges a configuration.

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use dunlin_config::{Disk, Loader};
use dunlin_kit::audit::{Judged, Report, Weight, audit};
use serde_json::json;

use super::cert::now;

/// Options of `dunlin audit`.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// dunlin.toml or mosquitto.conf [default: what holds without a file]
    #[arg(short, long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does what was typed; the status is 0 if all rules are kept.
pub(crate) fn run(args: &AuditArgs) -> Result<ExitCode> {
    let path = args.config.as_ref().map(|path| path.to_str().context("the path is no UTF-8"));
    let path = path.transpose()?;
    let loaded = Loader::new(&Disk).with_environment(std::env::vars()).load(path)?;
    let report = audit(&loaded, now());
    let name = path.unwrap_or("(no configuration)");
    let mut out = stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &as_json(name, &report))?;
        writeln!(out)?;
    } else {
        print(&mut out, name, &report)?;
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(out: &mut impl Write, name: &str, report: &Report) -> Result<()> {
    writeln!(out, "{name}: {} of {} rules are kept", report.score(), report.rules.len())?;
    for (rule, number) in report.rules.iter().zip(1..) {
        let verdict = if rule.is_kept() { "ok  " } else { "FAIL" };
        writeln!(out, "{number} {verdict}  {}", rule.title)?;
        for finding in &rule.findings {
            let word = if finding.weight == Weight::Broken { "" } else { "hint: " };
            let place =
                finding.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
            writeln!(out, "        - {word}{place}{}", finding.what)?;
            writeln!(out, "          -> {}", finding.change)?;
        }
    }
    Ok(())
}

fn as_json(name: &str, report: &Report) -> serde_json::Value {
    let findings = |rule: &Judged| {
        let finding = rule.findings.iter().map(|finding| {
            json!({ "broken": finding.weight == Weight::Broken, "place": finding.place,
                    "what": finding.what, "change": finding.change })
        });
        finding.collect::<Vec<_>>()
    };
    let rules = report.rules.iter().zip(1..).map(|(rule, number)| {
        json!({ "rule": number, "title": rule.title, "kept": rule.is_kept(), "findings": findings(rule) })
    });
    json!({ "file": name, "score": report.score(), "of": report.rules.len(),
            "rules": rules.collect::<Vec<_>>() })
}

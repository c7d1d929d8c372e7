//! `dunlin cert show`: what certificates are.

use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use dunlin_kit::cert::{
    Chain, Facts, Name, PrivateKey, Purpose, date, days_left, is_for, verify, warnings,
};
use serde_json::json;

use super::shown;

/// Options of `dunlin cert show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Certificates, PEM
    #[arg(required = true, value_name = "CERTIFICATE")]
    certificates: Vec<PathBuf>,
    /// Whether they lead to this authority
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Whether this is their key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Whether a client that connects by this name or address would accept them
    #[arg(long = "for", value_name = "NAME")]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A question that was asked, and why the answer is no.
struct Check {
    what: &'static str,
    against: String,
    failure: Option<String>,
}

pub(super) fn run(args: &ShowArgs, now: u64) -> Result<ExitCode> {
    let authorities = args.ca.as_deref().map(Chain::read).transpose()?;
    let key = args.key.as_deref().map(PrivateKey::read).transpose()?;
    let name = args.name.as_deref().map(Name::parse).transpose()?;
    let mut out = stdout().lock();
    let mut fine = true;
    let mut all = Vec::new();
    for path in &args.certificates {
        let chain = Chain::read(path)?;
        let facts = Facts::parse(chain.first()).context("it was parsed before")?;
        let mut checks = Vec::new();
        let mut check =
            |what, against: String, failure| checks.push(Check { what, against, failure });
        if let (Some(authorities), Some(ca)) = (&authorities, &args.ca) {
            check("authority", shown(ca).to_string(), verify(&chain, authorities, now).err());
        }
        if let (Some(key), Some(path)) = (&key, &args.key) {
            let failure = (!chain.has_key(key)).then(|| "it is another key".to_owned());
            check("key", shown(path).to_string(), failure);
        }
        if let Some(name) = &name {
            let failure =
                (!is_for(&chain, name)).then(|| "it is not among the alternative names".to_owned());
            check("name", name.to_string(), failure);
        }
        fine &= facts.ends > now && checks.iter().all(|check| check.failure.is_none());
        if args.json {
            all.push(as_json(&path.display().to_string(), &facts, &checks, now));
        } else {
            print(&mut out, &path.display().to_string(), &facts, &checks, now)?;
        }
    }
    if args.json {
        serde_json::to_writer_pretty(&mut out, &all)?;
        writeln!(out)?;
    }
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(
    out: &mut impl Write,
    path: &str,
    facts: &Facts,
    checks: &[Check],
    now: u64,
) -> Result<()> {
    writeln!(out, "{path}")?;
    let mut line = |what: &str, value: &str| writeln!(out, "  {what:<12}{value}");
    line("subject", &facts.subject)?;
    let own = if facts.is_self_signed { " (itself)" } else { "" };
    line("issuer", &format!("{}{own}", facts.issuer))?;
    let names = if facts.names.is_empty() { "none".into() } else { facts.names.join(", ") };
    line("names", &names)?;
    line("purpose", purpose(facts))?;
    let left = days_left(facts.ends, now);
    line("valid", &format!("{} to {} ({left} days left)", date(facts.begins), date(facts.ends)))?;
    line("key", &facts.key)?;
    line("serial", &facts.serial)?;
    line("sha-256", &facts.fingerprint)?;
    for Check { what, against, failure } in checks {
        let verdict = failure.as_ref().map_or_else(|| "ok".to_owned(), |why| format!("NO: {why}"));
        line(what, &format!("{against}: {verdict}"))?;
    }
    for warning in warnings(facts, now) {
        line("WARNING", &warning)?;
    }
    Ok(())
}

fn as_json(path: &str, facts: &Facts, checks: &[Check], now: u64) -> serde_json::Value {
    let checks = checks.iter().map(|check| {
        json!({ "what": check.what, "against": check.against, "ok": check.failure.is_none(),
                "why": check.failure })
    });
    json!({
        "file": path,
        "subject": facts.subject,
        "common_name": facts.common_name,
        "issuer": facts.issuer,
        "names": facts.names,
        "purpose": purpose(facts),
        "begins": facts.begins,
        "ends": facts.ends,
        "days_left": days_left(facts.ends, now),
        "key": facts.key,
        "serial": facts.serial,
        "sha256": facts.fingerprint,
        "checks": checks.collect::<Vec<_>>(),
        "warnings": warnings(facts, now),
    })
}

fn purpose(facts: &Facts) -> &'static str {
    match facts.purpose {
        _ if facts.is_authority => "authority",
        Purpose::Server => "server",
        Purpose::Client => "client",
        Purpose::Both => "any",
    }
}

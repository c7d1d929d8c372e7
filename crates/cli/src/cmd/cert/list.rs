//! `dunlin cert batch`, `renew` and `revoke`: many at once.

use std::fs;
use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use dunlin_kit::cert::{
    Authority, CLIENT_DAYS, Chain, Facts, PrivateKey, Request, RevocationList, date, days_left,
    names, pair, stem,
};
use dunlin_kit::files::{self, Replace};

use super::make::{a_day_or_more, parse};
use super::{Output, Signer, shown};

/// Options of `dunlin cert batch`.
#[derive(Debug, Args)]
pub(super) struct BatchArgs {
    /// A name on each line, or a CSV file whose first column has the names
    file: PathBuf,
    #[command(flatten)]
    signer: Signer,
    #[command(flatten)]
    output: Output,
    /// Days that they are valid
    #[arg(long, default_value_t = CLIENT_DAYS, value_parser = a_day_or_more())]
    days: u32,
}

/// Options of `dunlin cert renew`.
#[derive(Debug, Args)]
pub(super) struct RenewArgs {
    /// Certificates; their keys are beside them, as NAME.key
    #[arg(required = true, value_name = "CERTIFICATE")]
    certificates: Vec<PathBuf>,
    #[command(flatten)]
    signer: Signer,
    /// Renew only those that expire within so many days, for a daily job
    #[arg(long, value_name = "DAYS")]
    within: Option<u32>,
    /// A further host name or address for all of them
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// Make a new key too
    #[arg(long)]
    new_key: bool,
    /// Days that they are valid [default: as a new one]
    #[arg(long, value_parser = a_day_or_more())]
    days: Option<u32>,
}

/// Options of `dunlin cert revoke`.
#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    /// Certificates to take back; with none the list is signed anew
    certificates: Vec<PathBuf>,
    #[command(flatten)]
    signer: Signer,
    /// The list [default: ca.crl beside the authority]
    #[arg(long, value_name = "FILE")]
    crl: Option<PathBuf>,
}

/// What to do when a running broker shall notice.
const RELOAD: &str = "`systemctl reload dunlin`, or SIGHUP, lets the broker read it";

pub(super) fn batch(args: &BatchArgs, now: u64) -> Result<ExitCode> {
    let names = names(&args.file, &files::read_text(&args.file)?)?;
    let requests: Result<Vec<_>, _> =
        names.iter().map(|name| Request::client(name, &[], args.days)).collect();
    // All names are looked at before the first file is made.
    let requests = requests?;
    let authority = args.signer.open(now)?;
    let directory = &args.output.out;
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", shown(directory)))?;
    let (mut made, mut kept) = (0, 0);
    for (name, request) in names.iter().zip(&requests) {
        let stem = stem(name);
        let (certificate, key) = pair(directory, &stem);
        if !args.output.force && certificate.exists() && key.exists() {
            kept += 1;
            continue;
        }
        authority.issue_files(request, directory, &stem, args.output.replace(), now)?;
        made += 1;
    }
    let kept = if kept > 0 { format!(", {kept} were there already") } else { String::new() };
    writeln!(stdout(), "{made} certificates with keys are in {}{kept}", shown(directory))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn renew(args: &RenewArgs, now: u64) -> Result<ExitCode> {
    let authority = args.signer.open(now)?;
    let taken_back = RevocationList::read(&args.signer.list(), &authority)?;
    let mut out = stdout().lock();
    let mut renewed = false;
    for path in &args.certificates {
        let chain = Chain::read(path)?;
        // With a new serial number its holder would come in again.
        if taken_back.holds(&chain) {
            writeln!(out, "{}: was revoked, not renewed", shown(path))?;
            continue;
        }
        let ends = Facts::parse(chain.first()).map(|facts| facts.ends).unwrap_or_default();
        let left = days_left(ends, now);
        if args.within.is_some_and(|days| left > i64::from(days)) {
            writeln!(out, "{}: {left} days left, not renewed", shown(path))?;
            continue;
        }
        let ends = renew_one(args, &authority, &chain, now)?;
        writeln!(out, "{}: valid until {}", shown(path), date(ends))?;
        renewed = true;
    }
    if renewed {
        writeln!(out, "{RELOAD}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn renew_one(args: &RenewArgs, authority: &Authority, chain: &Chain, now: u64) -> Result<u64> {
    let path = chain.path();
    let key_path = path.with_extension("key");
    let request = Request::again(authority, chain, args.days)?.and_names(&parse(&args.names)?)?;
    let key = if args.new_key { PrivateKey::generate()? } else { PrivateKey::read(&key_path)? };
    if !args.new_key && !chain.has_key(&key) {
        anyhow::bail!(
            "{} is not the key of {}; --new-key makes a new one",
            shown(&key_path),
            shown(path)
        );
    }
    let issued = authority.issue(&request, &key, now)?;
    if args.new_key {
        replace_key(&key_path, &key)?;
    }
    files::update(path, issued.pem.as_bytes())?;
    Ok(issued.ends)
}

/// Keeps mode and owner, so that the service can still read it.
fn replace_key(path: &Path, key: &PrivateKey) -> Result<()> {
    let pem = key.to_pem();
    if path.exists() {
        return Ok(files::update(path, pem.as_bytes())?);
    }
    Ok(files::write(path, pem.as_bytes(), files::SECRET, Replace::Never)?)
}

pub(super) fn revoke(args: &RevokeArgs, now: u64) -> Result<ExitCode> {
    let authority = args.signer.open(now)?;
    let path = args.crl.clone().unwrap_or_else(|| args.signer.list());
    let mut list = RevocationList::read(&path, &authority)?;
    let mut out = stdout().lock();
    for certificate in &args.certificates {
        let is_new = list.revoke(&authority, &Chain::read(certificate)?, now)?;
        let word = if is_new { "revoked" } else { "was revoked before" };
        writeln!(out, "{}: {word}", shown(certificate))?;
    }
    list.write(&path, &authority, now)?;
    writeln!(out, "{}: {} revoked certificates; {RELOAD}", shown(&path), list.entries().len())?;
    Ok(ExitCode::SUCCESS)
}

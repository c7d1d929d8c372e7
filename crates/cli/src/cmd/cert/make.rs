//! `dunlin cert ca`, `server` and `client`: something new.

use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use clap::builder::RangedI64ValueParser;
use dunlin_kit::cert::{
    AUTHORITY_DAYS, Authority, CLIENT_DAYS, Name, NewAuthority, Request, SERVER_DAYS, Written,
    date, stem,
};

use super::{Output, Signer, replace, shown};

/// Options of `dunlin cert ca`.
#[derive(Debug, Args)]
pub(super) struct CaArgs {
    /// Directory for ca.crt and ca.key
    #[arg(value_name = "DIRECTORY", default_value = "ca")]
    directory: PathBuf,
    /// Its name; no two authorities should have the same
    #[arg(long, default_value = "MQTT authority")]
    name: String,
    /// Days that it is valid
    #[arg(long, default_value_t = AUTHORITY_DAYS, value_parser = a_day_or_more())]
    days: u32,
    /// Replace an authority: all that it has signed becomes worthless
    #[arg(long)]
    force: bool,
}

/// Options of `dunlin cert server`.
#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// Host names and addresses that clients connect to
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    signer: Signer,
    #[command(flatten)]
    output: Output,
    /// Name of the files, without .crt and .key
    #[arg(long, value_name = "NAME", default_value = "server")]
    file: String,
    /// Days that it is valid
    #[arg(long, default_value_t = SERVER_DAYS, value_parser = a_day_or_more())]
    days: u32,
}

/// Options of `dunlin cert client`.
#[derive(Debug, Args)]
pub(super) struct ClientArgs {
    /// Name of the client: its user name where the listener says `identity = "common-name"`
    name: String,
    #[command(flatten)]
    signer: Signer,
    #[command(flatten)]
    output: Output,
    /// Alternative names, for listeners that say `identity = "alternative-name"`
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// Days that it is valid
    #[arg(long, default_value_t = CLIENT_DAYS, value_parser = a_day_or_more())]
    days: u32,
}

pub(super) fn ca(args: &CaArgs, now: u64) -> Result<ExitCode> {
    let new = NewAuthority { name: &args.name, days: args.days, replace: replace(args.force) };
    Authority::create(&args.directory, &new, now)?;
    let (certificate, key) = Authority::files(&args.directory);
    let mut out = stdout().lock();
    writeln!(out, "{}: give it to every client and to the broker (cafile)", shown(&certificate))?;
    writeln!(out, "{}: keep it where nobody else comes; the broker does not need it", shown(&key))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn server(args: &ServerArgs, now: u64) -> Result<ExitCode> {
    let request = Request::server(&parse(&args.names)?, args.days)?;
    issue(&request, &args.signer, &args.output, &args.file, now)
}

pub(super) fn client(args: &ClientArgs, now: u64) -> Result<ExitCode> {
    let request = Request::client(&args.name, &parse(&args.names)?, args.days)?;
    issue(&request, &args.signer, &args.output, &stem(&args.name), now)
}

fn issue(
    request: &Request,
    signer: &Signer,
    output: &Output,
    file: &str,
    now: u64,
) -> Result<ExitCode> {
    let authority = signer.open(now)?;
    let written = authority.issue_files(request, &output.out, file, output.replace(), now)?;
    tell(&written)?;
    Ok(ExitCode::SUCCESS)
}

fn tell(written: &Written) -> Result<()> {
    let mut out = stdout().lock();
    let short = if written.issued.shortened { ", the end of its authority" } else { "" };
    let end = date(written.issued.ends);
    writeln!(out, "{}: valid until {end}{short}", shown(&written.certificate))?;
    writeln!(
        out,
        "{}: its key, mode 0600; the service user must be able to read it",
        shown(&written.key)
    )?;
    Ok(())
}

/// What ends at once nobody can use.
pub(super) fn a_day_or_more() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..)
}

pub(super) fn parse(names: &[String]) -> Result<Vec<Name>> {
    Ok(names.iter().map(|name| Name::parse(name)).collect::<Result<_, _>>()?)
}

//! `dunlin cert`: an authority of one's own, and what it signs.

mod list;
mod make;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use dunlin_kit::cert::Authority;
use dunlin_kit::files::Replace;

/// Options of `dunlin cert`.
#[derive(Debug, Args)]
pub(crate) struct CertArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an authority: ca.crt for everybody, ca.key for nobody else
    Ca(make::CaArgs),
    /// Make a certificate for a broker, with the names and addresses that clients connect to
    Server(make::ServerArgs),
    /// Make a certificate for a client, whose name becomes its user name
    Client(make::ClientArgs),
    /// Make certificates for all clients of a list
    Batch(list::BatchArgs),
    /// Make certificates anew: the same names, later dates
    Renew(list::RenewArgs),
    /// Take certificates back, in the list that the broker reads (crlfile)
    Revoke(list::RevokeArgs),
    /// Say what certificates are, and whether they fit and lead to an authority
    Show(show::ShowArgs),
}

/// Whose signature.
#[derive(Debug, Args)]
struct Signer {
    /// Directory with ca.crt and ca.key, or the certificate of the authority
    #[arg(long, value_name = "PATH", default_value = "ca")]
    ca: PathBuf,
    /// Key of the authority [default: beside its certificate]
    #[arg(long, value_name = "FILE")]
    ca_key: Option<PathBuf>,
}

impl Signer {
    fn open(&self, now: u64) -> Result<Authority> {
        if !self.ca.exists() {
            bail!(
                "there is no authority at `{}`: name the directory of its ca.crt and ca.key with --ca, or make one with \
                 `dunlin cert ca`",
                self.ca.display()
            );
        }
        let (certificate, key) = if self.ca.is_dir() {
            Authority::files(&self.ca)
        } else {
            (self.ca.clone(), self.ca.with_extension("key"))
        };
        Ok(Authority::open(&certificate, self.ca_key.as_ref().unwrap_or(&key), now)?)
    }

    /// Where the list of revoked certificates is, unless somebody says otherwise.
    fn list(&self) -> PathBuf {
        if self.ca.is_dir() { self.ca.join("ca.crl") } else { self.ca.with_extension("crl") }
    }
}

/// Where files go.
#[derive(Debug, Args)]
struct Output {
    /// Directory for the files
    #[arg(short, long, value_name = "DIRECTORY", default_value = ".")]
    out: PathBuf,
    /// Replace files that exist
    #[arg(long)]
    force: bool,
}

impl Output {
    fn replace(&self) -> Replace {
        replace(self.force)
    }
}

/// Does what was typed.
pub(crate) fn run(args: &CertArgs) -> Result<ExitCode> {
    let now = now();
    match &args.command {
        Command::Ca(args) => make::ca(args, now),
        Command::Server(args) => make::server(args, now),
        Command::Client(args) => make::client(args, now),
        Command::Batch(args) => list::batch(args, now),
        Command::Renew(args) => list::renew(args, now),
        Command::Revoke(args) => list::revoke(args, now),
        Command::Show(args) => show::run(args, now),
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn replace(force: bool) -> Replace {
    if force { Replace::Allowed } else { Replace::Never }
}

fn shown(path: &Path) -> std::path::Display<'_> {
    path.display()
}

//! `dunlin init`: a secure broker from nothing.

use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use dunlin_kit::cert::Name;
use dunlin_kit::files::{self, find_user};
use dunlin_kit::init::{Made, Plan, Service, init, names};
use zeroize::Zeroizing;

use super::cert::now;
use super::passwd::judge;

/// Options of `dunlin init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// A directory that is empty or does not exist
    directory: PathBuf,
    /// A further host name that clients connect to
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// A further address that clients connect to
    #[arg(long = "ip", value_name = "ADDRESS")]
    addresses: Vec<String>,
    /// The first user, who may do everything
    #[arg(long, value_name = "NAME", default_value = "admin")]
    first_user: String,
    /// A file whose first line is its password [default: one is generated and shown]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Whom the broker runs as, when made by root [default: dunlin, else mosquitto, else nobody]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Where the broker keeps messages and sessions, which must exist [default: `data` in the directory]
    #[arg(long, value_name = "DIRECTORY")]
    data: Option<PathBuf>,
    /// Port for TLS
    #[arg(long, default_value_t = 8883)]
    port: u16,
    /// Let programs on this machine come without TLS, on port 1883
    #[arg(long)]
    local: bool,
}

/// Does what was typed.
pub(crate) fn run(args: &InitArgs) -> Result<ExitCode> {
    let given = args.names.iter().chain(&args.addresses).map(|name| Name::parse(name));
    let mut wanted: Vec<Name> = given.collect::<Result<_, _>>()?;
    wanted.extend(names());
    let password = args.password_file.as_deref().map(first_line).transpose()?;
    if let Some(password) = &password {
        judge(&args.first_user, password, false)?;
    }
    let plan = Plan {
        directory: &args.directory,
        names: &wanted,
        user: &args.first_user,
        password,
        service: service(args.user.as_deref())?,
        data: args.data.as_deref(),
        port: args.port,
        local: args.local,
    };
    tell(&args.first_user, &init(&plan, now())?)?;
    Ok(ExitCode::SUCCESS)
}

fn tell(user: &str, made: &Made) -> Result<()> {
    let mut out = stdout().lock();
    let shown = |name: &str| made.directory.join(name).display().to_string();
    writeln!(out, "The broker:        dunlin -c {}", made.config.display())?;
    writeln!(out, "The first client:  {}, with a README", made.bundle.display())?;
    if let Some(password) = &made.password {
        writeln!(out, "Its user name:     {user}")?;
        writeln!(out, "Its password:      {} (shown only now)", password.as_str())?;
    }
    writeln!(out, "More users:        dunlin passwd {} NAME", shown("passwd"))?;
    writeln!(out, "More clients:      dunlin cert client NAME --ca {}", shown("ca"))?;
    writeln!(
        out,
        "The authority:     {} signs whom the broker lets in: keep a copy elsewhere, and take it",
        shown("ca/ca.key")
    )?;
    writeln!(
        out,
        "                   off this machine when you have made the certificates that you need"
    )?;
    for warning in &made.warnings {
        eprintln!("warning: {warning}");
    }
    Ok(())
}

/// Whom the broker becomes: only root can give files away.
fn service(user: Option<&str>) -> Result<Option<Service>> {
    if !rustix::process::geteuid().is_root() {
        anyhow::ensure!(
            user.is_none(),
            "only root can give files to another user: leave --user out"
        );
        return Ok(None);
    }
    let users = files::read_text("/etc/passwd".as_ref())?;
    let find =
        |name: &str| find_user(&users, name).map(|owner| Service { user: name.to_owned(), owner });
    match user {
        Some(name) => {
            let found = find(name);
            found.with_context(|| format!("there is no user `{name}` in /etc/passwd")).map(Some)
        }
        None => Ok(["dunlin", "mosquitto", "nobody"].into_iter().find_map(find)),
    }
}

fn first_line(path: &std::path::Path) -> Result<Zeroizing<String>> {
    let text = Zeroizing::new(files::read_text(path)?);
    let line = text.lines().next().unwrap_or_default();
    anyhow::ensure!(!line.is_empty(), "{}: there is no password on its first line", path.display());
    Ok(Zeroizing::new(line.to_owned()))
}

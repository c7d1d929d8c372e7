//! `dunlin passwd`: password files, with the options of `mosquitto_passwd`.

use std::io::{Write, stdout};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use dunlin_kit::passwd::{Change, Scheme, advice, change, has_user, line};
use dunlin_kit::terminal;
use zeroize::Zeroizing;

/// Options of `dunlin passwd`.
#[derive(Debug, Args)]
#[command(override_usage = "dunlin passwd [-H HASH] [-c | -D] FILE USER
       dunlin passwd [-H HASH] [-c] -b FILE USER PASSWORD
       dunlin passwd [-H HASH] -U FILE")]
#[expect(clippy::struct_excessive_bools, reason = "the options of mosquitto_passwd are flags")]
pub(crate) struct PasswdArgs {
    /// Take the password from the command line, where others can see it
    #[arg(short = 'b')]
    batch: bool,
    /// Make a new file, in place of one that exists
    #[arg(short = 'c', conflicts_with_all = ["delete", "upgrade"])]
    create: bool,
    /// Delete the user
    #[arg(short = 'D', conflicts_with_all = ["batch", "upgrade"])]
    delete: bool,
    /// Hash the plain passwords of a file
    #[arg(short = 'U', conflicts_with_all = ["batch"])]
    upgrade: bool,
    /// How to hash: argon2id, sha512-pbkdf2 (for Mosquitto 2.0 too), sha512, scram-sha-256
    #[arg(short = 'H', value_name = "HASH")]
    hash: Option<String>,
    /// Iterations of sha512-pbkdf2
    #[arg(short = 'I', value_name = "ITERATIONS")]
    iterations: Option<NonZeroU32>,
    /// Refuse weak passwords
    #[arg(long)]
    strict: bool,
    /// Password file; with -c, - prints the line of the user
    file: PathBuf,
    /// User name
    #[arg(required_unless_present = "upgrade", conflicts_with = "upgrade")]
    user: Option<String>,
    /// Password, with -b
    #[arg(required_if_eq("batch", "true"), requires = "batch")]
    password: Option<String>,
}

/// Does what was typed.
pub(crate) fn run(args: &PasswdArgs) -> Result<ExitCode> {
    let scheme = Scheme::new(args.hash.as_deref(), args.iterations)?;
    let user = args.user.as_deref().unwrap_or_default();
    let told = if args.upgrade {
        change(&args.file, &Change::Upgrade(scheme))?
    } else if args.delete {
        if !has_user(&args.file, user)? {
            // As mosquitto_passwd says it.
            eprintln!("Warning: User {user} not found in password file.");
            return Ok(ExitCode::FAILURE);
        }
        change(&args.file, &Change::Delete(user))?
    } else {
        let password = match &args.password {
            Some(password) => Zeroizing::new(password.clone()),
            None => terminal::new_password()?,
        };
        judge(user, &password, args.strict)?;
        if args.create && args.file.as_os_str() == "-" {
            let line = line(user, &password, scheme)?;
            return stdout()
                .write_all(line.as_bytes())
                .map(|()| ExitCode::SUCCESS)
                .map_err(Into::into);
        }
        let new = if args.create { Change::Create } else { Change::Set };
        change(&args.file, &new(user, &password, scheme))?
    };
    for line in told {
        eprintln!("{line}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what makes a password weak; only `--strict` refuses it.
pub(super) fn judge(user: &str, password: &str, strict: bool) -> Result<()> {
    let weak = advice(user, password);
    for weakness in &weak {
        eprintln!("weak password: {weakness}");
    }
    if strict && !weak.is_empty() {
        bail!("the password is weak; without --strict it would be taken");
    }
    Ok(())
}

//! Passwords from people.

use std::io::{self, BufRead, IsTerminal as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::KitError;

/// Bytes that a password may have: those that MQTT can carry.
const LONGEST: usize = 65_535;

/// Asks for a password twice, without showing it. If nobody sits there it is a line of the input, with the
/// same one once more if there is another line.
///
/// # Errors
/// There is none, or the two differ.
pub fn new_password() -> Result<Zeroizing<String>, KitError> {
    let input = io::stdin();
    let password = if input.is_terminal() {
        let _quiet = Quiet::begin()?;
        let first = asked("Password: ")?;
        let second = asked("Reenter password: ")?;
        matching(first, Some(second))?
    } else {
        let mut input = input.lock();
        let first = line(&mut input)?.unwrap_or_default();
        let second = line(&mut input)?;
        matching(first, second)?
    };
    if password.is_empty() {
        return Err(KitError::refused("the password is empty"));
    }
    Ok(password)
}

fn asked(prompt: &str) -> Result<Zeroizing<String>, KitError> {
    let mut errors = io::stderr().lock();
    // Whoever cannot see the prompt can still type.
    drop(write!(errors, "{prompt}").and_then(|()| errors.flush()));
    let typed = line(&mut io::stdin().lock())?;
    drop(writeln!(errors));
    typed.ok_or_else(|| KitError::refused("no password was given"))
}

fn matching(
    first: Zeroizing<String>,
    second: Option<Zeroizing<String>>,
) -> Result<Zeroizing<String>, KitError> {
    match second {
        Some(second) if second != first => Err(KitError::refused("the two passwords differ")),
        _ => Ok(first),
    }
}

/// One line without its end; none at the end of the input.
fn line(input: &mut impl BufRead) -> Result<Option<Zeroizing<String>>, KitError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(256));
    let mut limited = io::Read::take(input, LONGEST as u64 + 2);
    let length = limited.read_until(b'\n', &mut bytes);
    let length =
        length.map_err(|cause| KitError::refused(format!("cannot read the password: {cause}")))?;
    if length == 0 {
        return Ok(None);
    }
    while matches!(bytes.last(), Some(b'\n' | b'\r')) {
        bytes.pop();
    }
    if bytes.len() > LONGEST {
        return Err(KitError::refused("the password is longer than 65535 bytes"));
    }
    let text =
        std::str::from_utf8(&bytes).map_err(|_| KitError::refused("the password is no UTF-8"))?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

/// While it is there the terminal does not show what is typed.
struct Quiet(Termios);

impl Quiet {
    fn begin() -> Result<Self, KitError> {
        let failed =
            |cause| KitError::refused(format!("the terminal cannot be kept from showing: {cause}"));
        let before = tcgetattr(io::stdin()).map_err(failed)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // There is nobody to tell.
        tcsetattr(io::stdin(), OptionalActions::Now, &self.0).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lose_their_ends_and_nothing_else() {
        let mut input: &[u8] = b" a b \r\n\nlast";
        let mut next = || line(&mut input).unwrap().map(|line| line.to_string());
        assert_eq!(next().as_deref(), Some(" a b "));
        assert_eq!(next().as_deref(), Some(""));
        assert_eq!(next().as_deref(), Some("last"));
        assert_eq!(next(), None);
        assert!(line(&mut &b"\xFF\n"[..]).is_err());
        assert!(line(&mut &vec![b'a'; LONGEST + 1][..]).is_err());
    }
}

//! What people will stumble over, though the certificate can be used today.

use super::{DAY, Facts, Purpose, date, days_left};
use crate::UnixSeconds;

/// Days before the end of a certificate that it is time to renew it: as the alarm of the broker.
pub const SOON: u32 = 30;

/// The longest that Apple's systems accept a certificate of a server for.
const LONGEST_SERVER: u64 = 825 * DAY;

/// The least bits of a key of RSA that is not broken in our time.
const RSA_BITS: usize = 2048;

/// What is wrong or will be, and what to do about it.
#[must_use]
pub fn warnings(facts: &Facts, now: UnixSeconds) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |wrong: bool, what: String| {
        if wrong {
            found.push(what)
        }
    };
    let left = days_left(facts.ends, now);
    say(left < 0, format!("it expired on {}: every connection with it fails", date(facts.ends)));
    say(
        (0..i64::from(SOON)).contains(&left),
        format!(
            "it expires in {left} days, on {}: `dunlin cert renew` makes a new one",
            date(facts.ends)
        ),
    );
    say(
        facts.begins > now,
        format!("it is not valid before {}: is the clock right?", date(facts.begins)),
    );
    let is_server = facts.purpose != Purpose::Client && !facts.is_authority;
    say(
        is_server && facts.names.is_empty(),
        "it has no subject alternative name: clients that check names refuse it, whatever its common name is"
            .into(),
    );
    say(
        is_server && facts.ends.saturating_sub(facts.begins) > LONGEST_SERVER,
        "it is valid for more than 825 days: macOS and iOS refuse it as that of a server".into(),
    );
    say(facts.version < 3, format!("it is of version {}: many clients refuse it", facts.version));
    say(facts.weak_signature, "it is signed with SHA-1 or MD5: modern clients refuse it".into());
    say(
        facts.rsa_bits.is_some_and(|bits| bits < RSA_BITS),
        format!(
            "its key has {} bits: less than {RSA_BITS} are refused",
            facts.rsa_bits.unwrap_or_default()
        ),
    );
    say(
        facts.purpose == Purpose::Client && facts.common_name.is_none(),
        "it has no common name, which would be the user name".into(),
    );
    found
}

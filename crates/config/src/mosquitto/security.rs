//! Who may connect and what they may do.

use super::line::Line;
use super::{MosquittoKey, Outcome, Scope, answered, sets};

pub(super) const KEYS: &[&[MosquittoKey]] = &[SETTING, ANSWERED];

#[rustfmt::skip]
const SETTING: &[MosquittoKey] = sets! {
    "acl_file" Security "security.acl_file" Allowed |r, l| { r.access()?.acl_file = Some(l.text()?.into()); Ok(()) };
    "allow_anonymous" Security "security.allow_anonymous" Allowed |r, l| { r.access()?.allow_anonymous = Some(l.flag()?); Ok(()) };
    "allow_zero_length_clientid" Security "security.allow_empty_client_id" Allowed |r, l| { r.access()?.allow_empty_client_id = Some(l.flag()?); Ok(()) };
    "auto_id_prefix" Security "security.assigned_id_prefix" Refused |r, l| { let prefix = prefix(l)?; r.access()?.assigned_id_prefix = Some(prefix); Ok(()) };
    "password_file" Security "security.password_file" Allowed |r, l| { r.access()?.password_file = Some(l.text()?.into()); Ok(()) };
    "listener_allow_anonymous" Listener "allow_anonymous" Allowed |r, l| { r.listener()?.access.allow_anonymous = Some(l.flag()?); Ok(()) };
    "listener_auto_id_prefix" Listener "assigned_id_prefix" Refused |r, l| { let prefix = prefix(l)?; r.listener()?.access.assigned_id_prefix = Some(prefix); Ok(()) };
};

const ANSWERED: &[MosquittoKey] = &[answered(
    "psk_file",
    Scope::Security,
    Outcome::Answered(
        "keys shared with clients (TLS-PSK) are not supported; give the listener `certfile` and `keyfile`",
    ),
)];

/// What assigned client identifiers begin with.
fn prefix(line: &Line<'_>) -> Result<String, String> {
    let prefix = line.text()?;
    if prefix.len() > 50 {
        return Err("what assigned client identifiers begin with has at most 50 bytes".into());
    }
    Ok(prefix.to_owned())
}

//! Who has made a token: what has to hold still when keys and settings change while its bearer is connected.

use ring::digest::{Context, SHA256};
use serde_json::Value;

use crate::jwt::{JwtFault, Policy};

/// Names of audiences that are remembered of a token besides the one that is asked for; real ones have one or two.
const AUDIENCES_MAX: usize = 16;

/// The key that has signed a token, and for whom it was made by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub(super) key: KeyMark,
    issuer: Option<Box<str>>,
    audiences: Box<[Box<str>]>,
}

/// Tells keys apart, and nothing about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyMark([u8; 32]);

impl KeyMark {
    pub(super) fn of(kind: &[u8], parts: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in [kind].iter().chain(parts) {
            // Where one ends and the next begins belongs to it.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut mark = [0; 32];
        mark.copy_from_slice(context.finish().as_ref());
        Self(mark)
    }
}

impl Origin {
    /// What the claims `iss` and `aud` say; `wanted` is the audience that is asked for.
    pub(super) fn new(
        key: KeyMark,
        issuer: Option<&Value>,
        audience: Option<&Value>,
        wanted: Option<&str>,
    ) -> Self {
        let one = |value: &Value| value.as_str().map(Box::from);
        let audiences = match audience {
            Some(Value::Array(list)) => {
                let is_wanted = |value: &&Value| wanted.is_some() && value.as_str() == wanted;
                let found = list.iter().find(is_wanted);
                found.into_iter().chain(list.iter().take(AUDIENCES_MAX)).filter_map(one).collect()
            }
            audience => audience.and_then(one).into_iter().collect(),
        };
        Self { key, issuer: issuer.and_then(one), audiences }
    }
}

impl Policy {
    /// Whether tokens of this origin are taken.
    ///
    /// # Errors
    /// Issuer or audience is another one.
    pub fn accepts(&self, origin: &Origin) -> Result<(), JwtFault> {
        if self.issuer.is_some() && self.issuer.as_deref() != origin.issuer.as_deref() {
            return Err(JwtFault::Issuer);
        }
        let is_for = |wanted: &String| origin.audiences.iter().any(|one| **one == **wanted);
        if self.audience.as_ref().is_some_and(|audience| !is_for(audience)) {
            return Err(JwtFault::Audience);
        }
        Ok(())
    }

    /// Whether a token means the same under both.
    #[must_use]
    pub fn reads_like(&self, other: &Self) -> bool {
        let claims = |policy: &Self| {
            [
                policy.user_claim.clone(),
                policy.client_id_claim.clone(),
                policy.groups_claim.clone(),
                policy.roles_claim.clone(),
                policy.acl_claim.clone(),
            ]
        };
        claims(self) == claims(other)
    }
}

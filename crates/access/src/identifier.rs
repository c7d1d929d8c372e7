//! Which client identifiers are accepted.

use std::borrow::Cow;

/// What is asked of client identifiers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// What an identifier must begin with; any will do if there is nothing (`clientid_prefixes`). None at
    /// all begins with none of them, as in Mosquitto.
    pub prefixes: Vec<String>,
    /// How identifier and user name belong together.
    pub user: UserRule,
}

/// How identifier and user name belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserRule {
    /// Not at all.
    #[default]
    Free,
    /// The identifier must be the user name.
    MustEqual,
    /// The identifier must be the user name, or the name and something that does not go on with a letter or
    /// digit (`anna-1`, not `annabel`), so that a user can have several clients but take over none of
    /// another's, as long as no user name is made from another in the same way.
    MustBeginWith,
    /// The user name is used as identifier, whatever the client sent (`use_username_as_clientid`).
    Replace,
}

/// Why a client identifier is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentifierFault {
    /// None of the prefixes fits.
    #[error("the client identifier begins with none of the allowed prefixes")]
    Prefix,
    /// It is not the user name.
    #[error("the client identifier must be the user name")]
    NotUser,
    /// It does not begin with the user name.
    #[error("the client identifier must begin with the user name")]
    NotOfUser,
    /// There is no user name to take.
    #[error("a user name is required, because it is used as client identifier")]
    NoUser,
}

impl Policy {
    /// The identifier that the client gets. `client_id` is empty when the broker is to make one up.
    ///
    /// # Errors
    /// The policy refuses it.
    pub fn apply<'a>(
        &self,
        client_id: &'a str,
        user: Option<&'a str>,
    ) -> Result<Cow<'a, str>, IdentifierFault> {
        let user = user.filter(|user| !user.is_empty());
        let client_id = match self.user {
            UserRule::Free => client_id,
            UserRule::Replace => user.ok_or(IdentifierFault::NoUser)?,
            UserRule::MustEqual if user == Some(client_id) => client_id,
            UserRule::MustEqual => return Err(IdentifierFault::NotUser),
            UserRule::MustBeginWith => {
                let rest = user.and_then(|user| client_id.strip_prefix(user));
                if rest.is_none_or(|rest| rest.starts_with(char::is_alphanumeric)) {
                    return Err(IdentifierFault::NotOfUser);
                }
                client_id
            }
        };
        let fits = |prefix: &String| client_id.starts_with(prefix.as_str());
        if self.prefixes.is_empty() || self.prefixes.iter().any(fits) {
            Ok(Cow::Borrowed(client_id))
        } else {
            Err(IdentifierFault::Prefix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{IdentifierFault, Policy, UserRule};

    #[test]
    fn identifiers_are_judged_by_prefix_and_user() {
        let policy = |prefixes: &[&str], user| Policy {
            prefixes: prefixes.iter().map(ToString::to_string).collect(),
            user,
        };
        let free = policy(&[], UserRule::Free);
        let prefixed = policy(&["dev-", "app-"], UserRule::Free);
        let equal = policy(&[], UserRule::MustEqual);
        let begins = policy(&[], UserRule::MustBeginWith);
        let replaced = policy(&["a"], UserRule::Replace);
        let table = [
            (&free, "x", None, Ok("x")),
            (&prefixed, "dev-1", None, Ok("dev-1")),
            (&prefixed, "", None, Err(IdentifierFault::Prefix)),
            (&prefixed, "xdev-1", None, Err(IdentifierFault::Prefix)),
            (&equal, "anna", Some("anna"), Ok("anna")),
            (&equal, "bob", Some("anna"), Err(IdentifierFault::NotUser)),
            (&equal, "", Some(""), Err(IdentifierFault::NotUser)),
            (&equal, "bob", None, Err(IdentifierFault::NotUser)),
            (&begins, "anna/2", Some("anna"), Ok("anna/2")),
            (&begins, "anna", Some("anna"), Ok("anna")),
            (&begins, "annabel", Some("anna"), Err(IdentifierFault::NotOfUser)),
            (&begins, "bob/2", Some("anna"), Err(IdentifierFault::NotOfUser)),
            (&begins, "bob/2", Some(""), Err(IdentifierFault::NotOfUser)),
            (&replaced, "x", Some("anna"), Ok("anna")),
            (&replaced, "x", Some("bob"), Err(IdentifierFault::Prefix)),
            (&replaced, "x", None, Err(IdentifierFault::NoUser)),
        ];
        for (policy, client_id, user, expected) in table {
            let found = policy.apply(client_id, user);
            assert_eq!(found.as_deref(), expected.as_ref().copied(), "{client_id} {user:?}");
        }
    }
}

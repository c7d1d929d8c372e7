//! What a service answers when it is asked about a login.

use dunlin_access::acl::Grants;
use serde_json::Value;

/// What the service said.
pub(crate) enum Answer {
    /// It may come in.
    Allow(Allowed),
    /// It may not.
    Deny,
}

/// What a service grants.
pub(crate) struct Allowed {
    /// The user name that the rules go by, if it is not the one that was sent.
    pub(crate) username: Option<String>,
    /// Whether it may do everything.
    pub(crate) superuser: bool,
    pub(crate) groups: Vec<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) grants: Option<Grants>,
}

/// Reads an answer. What is not what it should be is refused as a whole, so that a mistyped restriction is
/// not taken for none.
pub(crate) fn understand(body: &str) -> Result<Answer, &'static str> {
    let value: Value = serde_json::from_str(body).map_err(|_| "the answer is not JSON")?;
    match value.get("result").and_then(Value::as_str) {
        Some("allow") => {}
        Some("deny") => return Ok(Answer::Deny),
        _ => return Err("`result` is neither `allow` nor `deny`"),
    }
    let username = match value.get("username") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) if !name.is_empty() => Some(name.clone()),
        Some(_) => return Err("`username` is no name"),
    };
    let superuser = match value.get("superuser") {
        None => false,
        Some(Value::Bool(flag)) => *flag,
        Some(_) => return Err("`superuser` is neither true nor false"),
    };
    let (groups, roles) = (names(value.get("groups"))?, names(value.get("roles"))?);
    let grants = match value.get("acl") {
        None | Some(Value::Null) => None,
        Some(acl) => Some(Grants::parse(&acl.to_string()).map_err(|_| "`acl` is not usable")?),
    };
    Ok(Answer::Allow(Allowed { username, superuser, groups, roles, grants }))
}

fn names(value: Option<&Value>) -> Result<Vec<String>, &'static str> {
    const WRONG: &str = "`groups` and `roles` are lists of names";
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => {
            let names = list.iter().map(|name| name.as_str().map(Into::into).ok_or(WRONG));
            names.collect()
        }
        Some(_) => Err(WRONG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(body: &str) -> Allowed {
        match understand(body) {
            Ok(Answer::Allow(allowed)) => allowed,
            Ok(Answer::Deny) => panic!("denied: {body}"),
            Err(why) => panic!("{why}: {body}"),
        }
    }

    #[test]
    fn an_answer_says_who_it_is_and_what_it_may() {
        let answer = allowed(
            r#"{"result":"allow","username":"anna","superuser":false,"groups":["a"],"roles":["b"],"acl":{"publish":["x/#"]}}"#,
        );
        assert_eq!(answer.username.as_deref(), Some("anna"));
        assert!(!answer.superuser);
        assert_eq!((answer.groups, answer.roles), (vec!["a".into()], vec!["b".into()]));
        assert_eq!(answer.grants.unwrap().publish, ["x/#"]);
        assert!(allowed(r#"{"result":"allow","superuser":true}"#).superuser);
    }

    #[test]
    fn what_is_not_understood_lets_nobody_in() {
        for body in [
            "",
            "allow",
            "{}",
            r#"{"result":true}"#,
            r#"{"result":"ALLOW"}"#,
            r#"{"result":"allow","acl":{"publishh":["x"]}}"#,
            r#"{"result":"allow","acl":{"publish":["x/#/y"]}}"#,
            r#"{"result":"allow","superuser":"no"}"#,
            r#"{"result":"allow","groups":"a"}"#,
        ] {
            assert!(understand(body).is_err(), "{body}");
        }
        assert!(matches!(understand(r#"{"result":"deny"}"#), Ok(Answer::Deny)));
    }
}

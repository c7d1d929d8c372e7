//! What a token says about its bearer.

use serde_json::{Map, Value};

use crate::UnixSeconds;
use crate::acl::{Grants, filter};
use crate::jwt::JwtFault;
use crate::jwt::origin::{KeyMark, Origin};

/// How far clocks may be apart, unless set otherwise.
const LEEWAY: u64 = 30;
/// More groups, roles or filters than this are refused: the token is not what it should be.
const LIST_MAX: usize = 64;

/// What is expected of tokens, and which claims say what. `.` leads into objects, as in
/// `realm_access.roles`.
#[derive(Debug, Clone)]
pub struct Policy {
    /// What `iss` must be.
    pub issuer: Option<String>,
    /// What `aud` must be or contain.
    pub audience: Option<String>,
    /// Seconds that `exp` and `nbf` may be missed by.
    pub leeway: u64,
    /// Whether a token without `exp` is refused: it could never be taken back.
    pub require_expiry: bool,
    /// The claim with the user name.
    pub user_claim: String,
    /// The claim with the client identifier that must be used, if it is there.
    pub client_id_claim: String,
    /// The claim with the names of groups.
    pub groups_claim: String,
    /// The claim with the names of roles.
    pub roles_claim: String,
    /// The claim with filters: an object whose lists `publish`, `subscribe` and `all` (or `pub`, `sub`)
    /// hold topic filters; `%c` and `%u` stand for the names of the client.
    pub acl_claim: String,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: None,
            leeway: LEEWAY,
            require_expiry: true,
            user_claim: "sub".into(),
            client_id_claim: "client_id".into(),
            groups_claim: "groups".into(),
            roles_claim: "roles".into(),
            acl_claim: "acl".into(),
        }
    }
}

/// What a valid token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who it is for.
    pub user: String,
    /// The only client identifier it is for, if it says so.
    pub client_id: Option<String>,
    /// Groups of the user.
    pub groups: Vec<String>,
    /// Roles of the user.
    pub roles: Vec<String>,
    /// Filters that the token grants by itself.
    pub grants: Option<Grants>,
    /// When the token, and with it the connection, ends; with the leeway.
    pub expires: Option<UnixSeconds>,
    /// Who has made it.
    pub origin: Origin,
}

type Object = Map<String, Value>;

impl Policy {
    pub(super) fn judge(
        &self,
        claims: &Object,
        key: KeyMark,
        now: UnixSeconds,
    ) -> Result<Claims, JwtFault> {
        let expires = time(claims, "exp")?.map(|exp| exp.saturating_add(self.leeway));
        match expires {
            Some(expires) if now >= expires => return Err(JwtFault::Expired),
            None if self.require_expiry => return Err(JwtFault::NoExpiry),
            Some(_) | None => {}
        }
        if time(claims, "nbf")?.is_some_and(|from| now.saturating_add(self.leeway) < from) {
            return Err(JwtFault::NotYetValid);
        }
        let (issuer, audience) = (claims.get("iss"), claims.get("aud"));
        let origin = Origin::new(key, issuer, audience, self.audience.as_deref());
        self.accepts(&origin)?;
        let user = find(claims, &self.user_claim).and_then(Value::as_str);
        Ok(Claims {
            user: user.filter(|user| !user.is_empty()).ok_or(JwtFault::NoUser)?.into(),
            client_id: match find(claims, &self.client_id_claim) {
                None => None,
                Some(Value::String(id)) => Some(id.clone()),
                Some(_) => return Err(JwtFault::BadClaim("the client identifier")),
            },
            groups: names(find(claims, &self.groups_claim), "the groups")?,
            roles: names(find(claims, &self.roles_claim), "the roles")?,
            grants: find(claims, &self.acl_claim).map(grants).transpose()?,
            expires,
            origin,
        })
    }
}

impl Grants {
    /// Reads what a token, or a service that speaks for one, grants: an object with the lists `publish`,
    /// `subscribe` and `all` (or `pub`, `sub`).
    ///
    /// # Errors
    /// It is something else, or a filter is none.
    pub fn parse(json: &str) -> Result<Self, JwtFault> {
        let value = serde_json::from_str(json);
        grants(&value.map_err(|_| JwtFault::BadClaim("the topic filters"))?)
    }
}

fn time(claims: &Object, name: &'static str) -> Result<Option<UnixSeconds>, JwtFault> {
    match claims.get(name) {
        None => Ok(None),
        // Some issuers write fractions.
        Some(value) => match value.as_f64() {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a cast from f64 saturates"
            )]
            Some(seconds) if seconds >= 0.0 => Ok(Some(seconds as u64)),
            _ => Err(JwtFault::BadClaim(name)),
        },
    }
}

fn find<'a>(claims: &'a Object, path: &str) -> Option<&'a Value> {
    // A claim may itself have dots in its name, as those that are URLs.
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut parts = path.split('.');
    let first = claims.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

/// A list of strings, or one string with blanks between, as in `scope`.
fn names(value: Option<&Value>, what: &'static str) -> Result<Vec<String>, JwtFault> {
    let fault = JwtFault::BadClaim(what);
    let names: Option<Vec<String>> = match value {
        None => Some(Vec::new()),
        Some(Value::String(names)) => Some(names.split_whitespace().map(Into::into).collect()),
        Some(Value::Array(list)) => list.iter().map(|name| name.as_str().map(Into::into)).collect(),
        Some(_) => None,
    };
    names.filter(|names| names.len() <= LIST_MAX).ok_or(fault)
}

fn grants(value: &Value) -> Result<Grants, JwtFault> {
    const FAULT: JwtFault = JwtFault::BadClaim("the topic filters");
    let object = value.as_object().ok_or(FAULT)?;
    let mut grants = Grants::default();
    for (key, list) in object {
        let filters = names(Some(list), "the topic filters")?;
        if !list.is_array() || filters.iter().any(|filter| filter::fault(filter).is_some()) {
            return Err(FAULT);
        }
        match key.as_str() {
            "publish" | "pub" => grants.publish.extend(filters),
            "subscribe" | "sub" => grants.subscribe.extend(filters),
            "all" => {
                grants.publish.extend(filters.iter().cloned());
                grants.subscribe.extend(filters);
            }
            _ => return Err(FAULT),
        }
    }
    Ok(grants)
}

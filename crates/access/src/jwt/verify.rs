//! From the text of a token to its claims.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::UnixSeconds;
use crate::jwt::keys::Algorithm;
use crate::jwt::{Claims, KeySet, Policy};

/// Longer tokens are not read; those of large organisations have about 4 KiB.
const TOKEN_MAX: usize = 16 * 1024;

/// Why a token is refused. Nothing of the token is in here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwtFault {
    /// It is not three parts of base64 with JSON in the first two.
    #[error("the password is not a token")]
    NotAToken,
    /// The header asks for what is not supported.
    #[error("the token's algorithm is not supported; HS256, HS384, HS512, RS256 and ES256 are")]
    Algorithm,
    /// The header has extensions that must be understood.
    #[error("the token has critical extensions, which are not supported")]
    Critical,
    /// No key has signed it.
    #[error("no key of the broker has signed the token")]
    Signature,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not begun.
    #[error("the token is not valid yet; are the clocks right?")]
    NotYetValid,
    /// It would be valid for ever.
    #[error("the token has no exp claim")]
    NoExpiry,
    /// Another issuer has made it.
    #[error("the token has another issuer (iss) than is set")]
    Issuer,
    /// It is for another service.
    #[error("the token is for another audience (aud) than is set")]
    Audience,
    /// It does not name a user.
    #[error("the token has no user name in the claim that is set for it")]
    NoUser,
    /// A claim is not of the kind it must be.
    #[error("the token's claim for {0} is not usable")]
    BadClaim(&'static str),
}

impl KeySet {
    /// Verifies a token and judges its claims.
    ///
    /// # Errors
    /// It is not valid, or not yet, or no longer.
    pub fn open(
        &self,
        token: &[u8],
        policy: &Policy,
        now: UnixSeconds,
    ) -> Result<Claims, JwtFault> {
        let token = std::str::from_utf8(token).map_err(|_| JwtFault::NotAToken)?;
        if token.len() > TOKEN_MAX {
            return Err(JwtFault::NotAToken);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(JwtFault::NotAToken)?;
        let (header, payload) = message.split_once('.').ok_or(JwtFault::NotAToken)?;
        let header = object(header)?;
        if header.contains_key("crit") {
            return Err(JwtFault::Critical);
        }
        let algorithm = header.get("alg").and_then(Value::as_str);
        let algorithm = algorithm.and_then(Algorithm::from_name).ok_or(JwtFault::Algorithm)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| JwtFault::NotAToken)?;
        let id = header.get("kid").and_then(Value::as_str);
        let key = self.verify(algorithm, id, message.as_bytes(), &signature);
        let key = key.ok_or(JwtFault::Signature)?;
        policy.judge(&object(payload)?, key, now)
    }
}

fn object(part: &str) -> Result<Map<String, Value>, JwtFault> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtFault::NotAToken)?;
    serde_json::from_slice(&bytes).map_err(|_| JwtFault::NotAToken)
}

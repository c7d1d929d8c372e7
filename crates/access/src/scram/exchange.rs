//! The messages of the exchange.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::scram::Keys;
use crate::scram::keys::{KEY_LEN, hash, mac};
use crate::secret::same;
use crate::{Random, Secret};

/// Bytes of chance in the server's part of the nonce.
const NONCE_LEN: usize = 18;
/// Longer messages are not read: names and nonces are short.
const MESSAGE_MAX: usize = 4096;

/// Why an exchange ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScramFault {
    /// A message is not what RFC 5802 says.
    #[error("the SCRAM message is malformed: {0}")]
    Malformed(&'static str),
    /// The client wants the exchange bound to the TLS channel.
    #[error("channel binding is not supported; use SCRAM-SHA-256 without it")]
    ChannelBinding,
    /// The client wants to act as someone else.
    #[error("an authorisation identity is not supported")]
    Authzid,
    /// The user does not exist or the password is wrong.
    #[error("user unknown or password wrong")]
    Refused,
    /// A re-authentication for another user than the connection's.
    #[error("the connection belongs to another user")]
    OtherUser,
}

/// The server has answered the first message and waits for the last one.
#[derive(Debug, Clone)]
pub struct Challenge {
    user: String,
    keys: Keys,
    known: bool,
    nonce: String,
    /// What the client's last message must repeat of the first.
    binding: String,
    /// `client-first-bare,server-first,`
    transcript: String,
}

/// The client has shown that it knows the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The user name it gave.
    pub user: String,
    /// The Authentication Data for CONNACK or the last AUTH: it shows that the server knows the keys.
    pub data: Vec<u8>,
}

/// Takes the client's first message and answers it. `lookup` finds the keys of a user; an unknown one is
/// answered with keys made up from `secret`, which must stay the same while the server runs.
///
/// # Errors
/// The message is malformed, or asks for what there is not.
pub fn start(
    first: &[u8],
    lookup: impl FnOnce(&str) -> Option<Keys>,
    secret: &Secret,
    random: &mut Random<'_>,
) -> Result<(Challenge, Vec<u8>), ScramFault> {
    let first = text(first)?;
    let (binding, bare) = header(first)?;
    let mut attributes = bare.split(',');
    let user = attribute(attributes.next(), "n=")?;
    let client_nonce = attribute(attributes.next(), "r=")?;
    let printable = |byte: u8| (0x21..=0x7e).contains(&byte) && byte != b',';
    if client_nonce.is_empty() || !client_nonce.bytes().all(printable) {
        return Err(ScramFault::Malformed("the nonce"));
    }
    let user = decode_name(user)?;
    let found = lookup(&user);
    let known = found.is_some();
    let keys =
        found.unwrap_or_else(|| Keys::pretend(&user, secret.reveal(), Keys::default_iterations()));
    let mut nonce = [0; NONCE_LEN];
    random(&mut nonce);
    let nonce = format!("{client_nonce}{}", STANDARD.encode(nonce));
    let server_first = format!("r={nonce},s={},i={}", STANDARD.encode(&keys.salt), keys.iterations);
    let transcript = format!("{bare},{server_first},");
    let challenge = Challenge { user, keys, known, nonce, binding: binding.into(), transcript };
    Ok((challenge, server_first.into_bytes()))
}

impl Challenge {
    /// Takes the client's last message. In a re-authentication `only` is the user of the connection.
    ///
    /// # Errors
    /// The message is malformed, the proof is wrong, or the user is another.
    pub fn finish(self, last: &[u8], only: Option<&str>) -> Result<Accepted, ScramFault> {
        let last = text(last)?;
        let (unproved, proof) =
            last.rsplit_once(",p=").ok_or(ScramFault::Malformed("the proof is missing"))?;
        let mut attributes = unproved.split(',');
        let binding = attribute(attributes.next(), "c=")?;
        if STANDARD.decode(binding).ok().as_deref() != Some(self.binding.as_bytes()) {
            return Err(ScramFault::ChannelBinding);
        }
        if attribute(attributes.next(), "r=")? != self.nonce {
            return Err(ScramFault::Malformed("the nonce is not that of the exchange"));
        }
        let proof: [u8; KEY_LEN] = STANDARD
            .decode(proof)
            .ok()
            .and_then(|proof| proof.try_into().ok())
            .ok_or(ScramFault::Malformed("the proof"))?;
        let transcript = format!("{}{unproved}", self.transcript);
        let signature = mac(&self.keys.stored, transcript.as_bytes());
        let mut client_key = Zeroizing::new(proof);
        client_key.iter_mut().zip(signature).for_each(|(byte, mask)| *byte ^= mask);
        let right = same(&hash(&*client_key), &self.keys.stored);
        if !(right & self.known) {
            return Err(ScramFault::Refused);
        }
        if only.is_some_and(|only| only != self.user) {
            return Err(ScramFault::OtherUser);
        }
        let signature = mac(&self.keys.server, transcript.as_bytes());
        let data = format!("v={}", STANDARD.encode(signature)).into_bytes();
        Ok(Accepted { user: self.user, data })
    }
}

fn text(message: &[u8]) -> Result<&str, ScramFault> {
    if message.len() > MESSAGE_MAX {
        return Err(ScramFault::Malformed("it is too long"));
    }
    std::str::from_utf8(message).map_err(|_| ScramFault::Malformed("it is not UTF-8"))
}

/// Splits the first message behind its header, which says that there is no channel binding.
fn header(first: &str) -> Result<(&str, &str), ScramFault> {
    if first.starts_with("p=") {
        return Err(ScramFault::ChannelBinding);
    }
    for header in ["n,,", "y,,"] {
        if let Some(bare) = first.strip_prefix(header) {
            return Ok((header, bare));
        }
    }
    if first.starts_with("n,a=") || first.starts_with("y,a=") {
        return Err(ScramFault::Authzid);
    }
    Err(ScramFault::Malformed("the header"))
}

fn attribute<'a>(part: Option<&'a str>, name: &str) -> Result<&'a str, ScramFault> {
    part.and_then(|part| part.strip_prefix(name))
        .ok_or(ScramFault::Malformed("an attribute is missing or out of order"))
}

/// In names `,` is written `=2C` and `=` is written `=3D`.
fn decode_name(name: &str) -> Result<String, ScramFault> {
    let mut parts = name.split('=');
    let mut decoded = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (sign, rest) = if let Some(rest) = part.strip_prefix("2C") {
            (',', rest)
        } else if let Some(rest) = part.strip_prefix("3D") {
            ('=', rest)
        } else {
            return Err(ScramFault::Malformed("the user name"));
        };
        decoded.push(sign);
        decoded.push_str(rest);
    }
    if decoded.is_empty() { Err(ScramFault::Malformed("the user name")) } else { Ok(decoded) }
}

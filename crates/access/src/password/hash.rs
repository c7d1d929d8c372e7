//! The hashes of passwords, as Mosquitto writes them and as PHC strings.

use std::fmt;
use std::num::NonZeroU32;

use argon2::Params;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ring::{digest, pbkdf2};
use zeroize::Zeroizing;

use super::argon2id::argon2id;
use crate::Random;
use crate::scram::Keys;
use crate::secret::same;

/// Memory of a new argon2id hash in KiB: the least that OWASP recommends together with two passes,
/// so that a broker of 32 MiB can still check one.
const ARGON2_MEMORY: u32 = 19 * 1024;
/// Passes of a new argon2id hash; see [`ARGON2_MEMORY`].
const ARGON2_PASSES: u32 = 2;
/// Lanes of a new argon2id hash: a login uses one core.
const ARGON2_LANES: u32 = 1;
/// Bytes of a new argon2id hash.
const ARGON2_LEN: usize = 32;
/// The most memory in KiB that a hash from a file may ask for: a line cannot take 1 GiB and more.
const ARGON2_MEMORY_MAX: u32 = 1024 * 1024;
/// The most passes that a hash from a file may ask for, so that one login ends within seconds.
const ARGON2_PASSES_MAX: u32 = 64;
/// Iterations of a new PBKDF2 hash, some 11 ms: such hashes are for files that Mosquitto reads too, and it
/// checks them on its only thread. It writes 101 itself, which a stolen file does not withstand.
pub(crate) const PBKDF2_ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(19_999);
/// The most lanes that a hash from a file may ask for: more than any tool uses, and far from where numbers
/// of blocks overflow.
const ARGON2_LANES_MAX: u32 = 255;
/// The most iterations that a hash from a file may ask for, so that one login ends within seconds.
const PBKDF2_ITERATIONS_MAX: u32 = 10_000_000;
/// Up to so many iterations a check is done at once: about a microsecond each, and Mosquitto 2.0
/// writes 101.
const PBKDF2_LIGHT: u32 = 128;
/// Bytes of the salt of a new argon2id hash: what its specification recommends.
const ARGON2_SALT: usize = 16;
/// Bytes of the salt of the other kinds: Mosquitto 2.0 takes no other length.
const MOSQUITTO_SALT: usize = 12;
/// Salts longer than this are a mistake: Mosquitto writes 12 or 64 bytes.
const SALT_MAX: usize = 1024;

/// A hash of a password, with all that is needed to check one against it.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    Sha512 { salt: Vec<u8>, digest: [u8; 64] },
    Pbkdf2 { iterations: NonZeroU32, salt: Vec<u8>, digest: [u8; 64] },
    Argon2id { params: Params, salt: Vec<u8>, digest: Vec<u8> },
    Scram(Keys),
}

/// The kinds of hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// `$6$`: one SHA-512, as Mosquitto 1.6 and before wrote; guessed quickly when stolen.
    Sha512,
    /// `$7$`: PBKDF2 with HMAC-SHA512, as Mosquitto 2 writes.
    Pbkdf2Sha512,
    /// `$argon2id$`: memory-hard; what new passwords get.
    #[default]
    Argon2id,
    /// `$scram-sha-256$`: keys for SCRAM, against which a plain password can be checked too.
    ScramSha256,
}

/// What a check costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// Microseconds: may be done at once.
    Light,
    /// Milliseconds: belongs on a worker thread.
    Heavy,
}

/// Why a text is no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashFault {
    /// It does not begin with `$`.
    #[error(
        "the password is in plain text; run `dunlin passwd -U FILE` to hash every plain password \
         of the file"
    )]
    PlainText,
    /// There is nothing.
    #[error("there is no password hash; set one with `dunlin passwd FILE USER`")]
    Missing,
    /// It begins with a kind that is not known.
    #[error("unknown kind of password hash; known are $6$, $7$, $argon2id$ and $scram-sha-256$")]
    UnknownKind,
    /// A part is missing, too much, or not base64.
    #[error("the password hash is damaged; set the password again with `dunlin passwd FILE USER`")]
    Damaged,
    /// It asks for more work or memory than a login may cost, or for none.
    #[error("the cost parameters of the password hash are out of range")]
    CostOutOfRange,
}

impl Hash {
    /// Reads a hash as it stands in a password file behind `user:`.
    ///
    /// # Errors
    /// It is not a hash.
    pub fn parse(text: &str) -> Result<Self, HashFault> {
        let Some(rest) = text.strip_prefix('$') else {
            return Err(if text.is_empty() { HashFault::Missing } else { HashFault::PlainText });
        };
        let parts: Vec<&str> = rest.split('$').collect();
        match *parts.as_slice() {
            ["6", salt, digest] => Self::sha512(salt, digest),
            ["7", iterations, salt, digest] => Self::pbkdf2(iterations, salt, digest),
            ["argon2id", version, params, salt, digest] => {
                Self::argon2id(version, params, salt, digest)
            }
            ["scram-sha-256", iterations, salt, stored, server] => {
                let keys = Keys::parse([iterations, salt, stored, server]);
                keys.map(|keys| Self(Form::Scram(keys))).ok_or(HashFault::Damaged)
            }
            ["6" | "7" | "argon2id" | "scram-sha-256", ..] => Err(HashFault::Damaged),
            _ => Err(HashFault::UnknownKind),
        }
    }

    /// Hashes a new password.
    #[must_use]
    pub fn create(kind: Kind, password: &[u8], random: &mut Random<'_>) -> Self {
        let mut salt = |len: usize| {
            let mut salt = vec![0; len];
            random(&mut salt);
            salt
        };
        match kind {
            Kind::Sha512 => {
                let salt = salt(MOSQUITTO_SALT);
                let digest = sha512(password, &salt);
                Self(Form::Sha512 { salt, digest })
            }
            Kind::Pbkdf2Sha512 => {
                Self::pbkdf2_of(password, salt(MOSQUITTO_SALT), PBKDF2_ITERATIONS)
            }
            Kind::Argon2id => {
                let params =
                    Params::new(ARGON2_MEMORY, ARGON2_PASSES, ARGON2_LANES, Some(ARGON2_LEN))
                        .expect("constants within argon2's bounds");
                let salt = salt(ARGON2_SALT);
                let digest = argon2id(&params, password, &salt, ARGON2_LEN).to_vec();
                Self(Form::Argon2id { params, salt, digest })
            }
            Kind::ScramSha256 => Self(Form::Scram(Keys::create(password, random))),
        }
    }

    /// A new PBKDF2 hash with so many iterations, for files that a machine with little power reads too.
    ///
    /// # Errors
    /// One login would take longer than it may.
    pub fn with_iterations(
        password: &[u8],
        iterations: NonZeroU32,
        random: &mut Random<'_>,
    ) -> Result<Self, HashFault> {
        if iterations.get() > PBKDF2_ITERATIONS_MAX {
            return Err(HashFault::CostOutOfRange);
        }
        let mut salt = vec![0; MOSQUITTO_SALT];
        random(&mut salt);
        Ok(Self::pbkdf2_of(password, salt, iterations))
    }

    /// PBKDF2 with a given salt and number of iterations.
    pub(crate) fn pbkdf2_of(password: &[u8], salt: Vec<u8>, iterations: NonZeroU32) -> Self {
        let mut digest = [0; 64];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, iterations, &salt, password, &mut digest);
        Self(Form::Pbkdf2 { iterations, salt, digest })
    }

    /// The parts of a PBKDF2 hash: iterations, salt and digest in base64.
    pub(crate) fn pbkdf2_parts(&self) -> Option<(u32, String, String)> {
        match &self.0 {
            Form::Pbkdf2 { iterations, salt, digest } => {
                Some((iterations.get(), STANDARD.encode(salt), STANDARD.encode(digest)))
            }
            Form::Sha512 { .. } | Form::Argon2id { .. } | Form::Scram(_) => None,
        }
    }

    /// The keys for SCRAM, if it is of that kind.
    #[must_use]
    pub const fn scram_keys(&self) -> Option<&Keys> {
        match &self.0 {
            Form::Scram(keys) => Some(keys),
            Form::Sha512 { .. } | Form::Pbkdf2 { .. } | Form::Argon2id { .. } => None,
        }
    }

    /// What kind of hash it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.0 {
            Form::Sha512 { .. } => Kind::Sha512,
            Form::Pbkdf2 { .. } => Kind::Pbkdf2Sha512,
            Form::Argon2id { .. } => Kind::Argon2id,
            Form::Scram(_) => Kind::ScramSha256,
        }
    }

    /// What checking a password against it costs.
    #[must_use]
    pub const fn cost(&self) -> Cost {
        match &self.0 {
            Form::Sha512 { .. } => Cost::Light,
            Form::Pbkdf2 { iterations, .. } if iterations.get() <= PBKDF2_LIGHT => Cost::Light,
            Form::Pbkdf2 { .. } | Form::Argon2id { .. } | Form::Scram(_) => Cost::Heavy,
        }
    }

    /// Whether this is the password; the comparison takes the same time for any.
    #[must_use]
    pub fn verify(&self, password: &[u8]) -> bool {
        #[cfg(test)]
        tests::EVALUATED.with_borrow_mut(|evaluated| evaluated.push(self.kind()));
        match &self.0 {
            Form::Sha512 { salt, digest } => same(&sha512(password, salt), digest),
            Form::Pbkdf2 { iterations, salt, digest } => {
                let mut found = Zeroizing::new([0; 64]);
                let algorithm = pbkdf2::PBKDF2_HMAC_SHA512;
                pbkdf2::derive(algorithm, *iterations, salt, password, &mut *found);
                same(&*found, digest)
            }
            Form::Argon2id { params, salt, digest } => {
                same(&argon2id(params, password, salt, digest.len()), digest)
            }
            Form::Scram(keys) => keys.verify(password),
        }
    }

    /// The hash as it stands in a password file. It is worth protecting: not for logs.
    #[must_use]
    pub fn encode(&self) -> String {
        match &self.0 {
            Form::Sha512 { salt, digest } => {
                format!("$6${}${}", STANDARD.encode(salt), STANDARD.encode(digest))
            }
            Form::Pbkdf2 { iterations, salt, digest } => {
                format!("$7${iterations}${}${}", STANDARD.encode(salt), STANDARD.encode(digest))
            }
            Form::Argon2id { params, salt, digest } => format!(
                "$argon2id$v=19$m={},t={},p={}${}${}",
                params.m_cost(),
                params.t_cost(),
                params.p_cost(),
                STANDARD_NO_PAD.encode(salt),
                STANDARD_NO_PAD.encode(digest)
            ),
            Form::Scram(keys) => keys.encode(),
        }
    }

    fn sha512(salt: &str, digest: &str) -> Result<Self, HashFault> {
        Ok(Self(Form::Sha512 { salt: decode_salt(salt)?, digest: decode_digest(digest)? }))
    }

    fn pbkdf2(iterations: &str, salt: &str, digest: &str) -> Result<Self, HashFault> {
        let iterations: u32 = iterations.parse().map_err(|_| HashFault::CostOutOfRange)?;
        let iterations = NonZeroU32::new(iterations)
            .filter(|count| count.get() <= PBKDF2_ITERATIONS_MAX)
            .ok_or(HashFault::CostOutOfRange)?;
        let (salt, digest) = (decode_salt(salt)?, decode_digest(digest)?);
        Ok(Self(Form::Pbkdf2 { iterations, salt, digest }))
    }

    fn argon2id(version: &str, params: &str, salt: &str, digest: &str) -> Result<Self, HashFault> {
        if version != "v=19" {
            return Err(HashFault::UnknownKind);
        }
        let number = |part: &str, name: &str| -> Result<u32, HashFault> {
            let digits = part.strip_prefix(name).ok_or(HashFault::Damaged)?;
            digits.parse().map_err(|_| HashFault::CostOutOfRange)
        };
        let parts: Vec<&str> = params.split(',').collect();
        let [memory, passes, lanes] = *parts.as_slice() else { return Err(HashFault::Damaged) };
        let memory = number(memory, "m=")?;
        let (passes, lanes) = (number(passes, "t=")?, number(lanes, "p=")?);
        let too_much = memory > ARGON2_MEMORY_MAX || passes > ARGON2_PASSES_MAX;
        if too_much || lanes > ARGON2_LANES_MAX {
            return Err(HashFault::CostOutOfRange);
        }
        let decode = |text| STANDARD_NO_PAD.decode(text).map_err(|_| HashFault::Damaged);
        let (salt, digest) = (decode(salt)?, decode(digest)?);
        if salt.len() < 8 || salt.len() > SALT_MAX || digest.len() < 16 || digest.len() > SALT_MAX {
            return Err(HashFault::Damaged);
        }
        let params = Params::new(memory, passes, lanes, Some(digest.len()))
            .map_err(|_| HashFault::CostOutOfRange)?;
        Ok(Self(Form::Argon2id { params, salt, digest }))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({:?}, ..)", self.kind())
    }
}

fn sha512(password: &[u8], salt: &[u8]) -> [u8; 64] {
    let mut context = digest::Context::new(&digest::SHA512);
    context.update(password);
    context.update(salt);
    let mut result = [0; 64];
    result.copy_from_slice(context.finish().as_ref());
    result
}

fn decode_salt(text: &str) -> Result<Vec<u8>, HashFault> {
    let salt = STANDARD.decode(text).map_err(|_| HashFault::Damaged)?;
    if salt.is_empty() || salt.len() > SALT_MAX { Err(HashFault::Damaged) } else { Ok(salt) }
}

fn decode_digest(text: &str) -> Result<[u8; 64], HashFault> {
    let digest = STANDARD.decode(text).map_err(|_| HashFault::Damaged)?;
    digest.try_into().map_err(|_| HashFault::Damaged)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::dynsec::Dynsec;
    use crate::password::{Attempt, PasswordFile};

    thread_local! {
        /// The hashes that this thread has computed to check passwords: work, which does not vary as time does.
        pub(super) static EVALUATED: RefCell<Vec<Kind>> = const { RefCell::new(Vec::new()) };
    }

    /// What a login has cost that fails.
    fn work(attempt: &Attempt, password: Option<&[u8]>) -> (Cost, Vec<Kind>) {
        EVALUATED.take();
        assert!(!attempt.verify(password));
        (attempt.cost(), EVALUATED.take())
    }

    fn sevens(bytes: &mut [u8]) {
        bytes.fill(7);
    }

    const KINDS: [Kind; 4] = [Kind::Sha512, Kind::Pbkdf2Sha512, Kind::Argon2id, Kind::ScramSha256];

    /// A hash of "right" of that kind, as cheap as one may be that is worth a thread of its own.
    fn cheap(kind: Kind) -> Hash {
        match kind {
            Kind::Sha512 => Hash::create(kind, b"right", &mut sevens),
            Kind::Pbkdf2Sha512 => {
                let iterations = NonZeroU32::MIN.saturating_add(PBKDF2_LIGHT);
                Hash::with_iterations(b"right", iterations, &mut sevens).unwrap()
            }
            Kind::Argon2id => {
                let params = Params::new(64, 1, 1, Some(16)).unwrap();
                let digest = argon2id(&params, b"right", b"some salt", 16).to_vec();
                Hash(Form::Argon2id { params, salt: b"some salt".to_vec(), digest })
            }
            Kind::ScramSha256 => {
                let key = STANDARD.encode([7; 32]);
                Hash::parse(&format!("$scram-sha-256$4096$c2FsdA==${key}${key}")).unwrap()
            }
        }
    }

    const TRIED: [Option<&[u8]>; 4] = [None, Some(b""), Some(b"wrong"), Some(&[0xFF; 100])];

    #[test]
    fn a_failed_login_costs_one_hash_whether_or_not_the_user_exists() {
        for kind in KINDS {
            let line = |user| format!("{user}:{}\n", cheap(kind).encode());
            let (file, faults) = PasswordFile::parse("file", &["anna", "bert"].map(line).concat());
            assert!(faults.is_empty(), "{faults:?}");
            for password in TRIED {
                let known = work(&file.attempt("anna"), password);
                assert_eq!(known.1, [kind]);
                for unknown in ["eve", "anna ", "", "a".repeat(60_000).as_str()] {
                    assert_eq!(
                        work(&file.attempt(unknown), password),
                        known,
                        "{kind:?} {unknown:.9}"
                    );
                }
            }
        }
    }

    /// With hashes of several kinds it is one that the file has, the same one each time for a name: whoever
    /// tries names sees the same mixture among those that exist and those that do not.
    #[test]
    fn in_a_mixed_file_unknown_users_are_as_mixed() {
        let lines = KINDS.map(|kind| format!("{kind:?}:{}\n", cheap(kind).encode()));
        let (file, _) = PasswordFile::parse("file", &lines.concat());
        let mut met = Vec::new();
        for number in 0..24 {
            let attempt = file.attempt(&format!("nobody-{number}"));
            let (_, evaluated) = work(&attempt, Some(b"right"));
            assert_eq!(evaluated.len(), 1);
            assert_eq!(evaluated, work(&attempt, Some(b"wrong")).1);
            met.extend(evaluated);
        }
        assert!(KINDS.iter().all(|kind| met.contains(kind)), "{met:?}");
    }

    /// Dynamic security knows one kind of hash and the file perhaps another one: users that neither knows cost now
    /// this, now that.
    #[test]
    fn beside_a_file_unknown_users_cost_what_users_of_either_do() {
        let lines = ["f", "g"].map(|user| format!("{user}:{}\n", cheap(Kind::Argon2id).encode()));
        let (file, _) = PasswordFile::parse("file", &lines.concat());
        let (iterations, salt, digest) = cheap(Kind::Pbkdf2Sha512).pbkdf2_parts().unwrap();
        let state = format!(
            r#"{{"clients":[{{"username":"d","iterations":{iterations},"salt":"{salt}","password":"{digest}"}}]}}"#
        );
        let (state, _) = Dynsec::parse("file", &state).unwrap();
        let mut met = Vec::new();
        for number in 0..24 {
            let user = format!("nobody-{number}");
            let (_, evaluated) = work(&state.attempt_beside(&file, &user), Some(b"right"));
            assert_eq!(evaluated.len(), 1);
            assert_eq!(work(&state.attempt_beside(&file, &user), None).1, evaluated);
            met.extend(evaluated);
        }
        assert!(met.contains(&Kind::Argon2id) && met.contains(&Kind::Pbkdf2Sha512), "{met:?}");
        // One of both may know nobody.
        let nobody = Dynsec::default();
        assert_eq!(work(&nobody.attempt_beside(&file, "x"), Some(b"right")).1, [Kind::Argon2id]);
        let (empty, _) = PasswordFile::parse("file", "");
        assert_eq!(work(&state.attempt_beside(&empty, "x"), None).1, [Kind::Pbkdf2Sha512]);
        assert_eq!(work(&nobody.attempt_beside(&empty, "x"), None).1, []);
    }

    #[test]
    fn dynamic_security_works_as_hard_for_who_is_disabled_misnamed_or_unknown() {
        let (iterations, salt, digest) = cheap(Kind::Pbkdf2Sha512).pbkdf2_parts().unwrap();
        let client = |name: &str, more: &str| {
            let hash =
                format!(r#""iterations":{iterations},"salt":"{salt}","password":"{digest}""#);
            format!(r#"{{"username":"{name}",{hash}{more}}}"#)
        };
        let clients = [
            client("admin", ""),
            client("off", r#","disabled":true"#),
            client("bound", r#","clientid":"only""#),
            r#"{"username":"bare"}"#.into(),
        ];
        let file = format!(r#"{{"clients":[{}]}}"#, clients.join(","));
        let (state, faults) = Dynsec::parse("file", &file).unwrap();
        assert!(faults.is_empty(), "{faults:?}");
        for password in TRIED {
            let known = work(&state.attempt("admin", "c"), password);
            assert_eq!(known.1, [Kind::Pbkdf2Sha512]);
            for user in ["off", "bound", "bare", "nobody", ""] {
                assert_eq!(work(&state.attempt(user, "c"), password), known, "{user}");
            }
        }
        // Even with the right password.
        for user in ["off", "bound"] {
            assert_eq!(work(&state.attempt(user, "c"), Some(b"right")).1, [Kind::Pbkdf2Sha512]);
        }
    }
}

//! Files, tokens, messages and commands that say who may connect and what clients may do. The first byte
//! says which.
#![no_main]

#[path = "../../crates/access/tests/hostile/bodies.rs"]
mod bodies;

use std::sync::LazyLock;

use dunlin_access::Secret;
use dunlin_access::dynsec::Dynsec;
use dunlin_access::jwt::KeySet;
use dunlin_access::scram::Keys;

static TOKENS: LazyLock<KeySet> = LazyLock::new(|| {
    let jwks = include_str!("../../crates/access/tests/data/jwks.json");
    let (mut keys, _) = KeySet::from_jwks("jwks", jwks).expect("a sample that is right");
    let secret = Secret::new(bodies::TOKEN_SECRET);
    keys.extend(KeySet::from_secret(secret).expect("a secret of enough bytes"));
    keys
});
static SCRAM: LazyLock<Keys> = LazyLock::new(|| Keys::create(b"pencil", &mut bodies::sevens));
static STATE: LazyLock<Dynsec> = LazyLock::new(|| {
    let json = include_str!("../../crates/access/tests/data/dynsec-init.json");
    Dynsec::parse("file", json).expect("a sample that is right").0
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    match kind % 10 {
        0 => bodies::acl(&text),
        1 => bodies::roles(&text),
        2 => bodies::passwords(&text),
        3 => bodies::keys(&text),
        4 => bodies::token(bytes, &TOKENS),
        5 => bodies::grants(&text),
        6 => {
            let (first, last) = bytes.split_at(bytes.len() / 2);
            bodies::scram(first, last, &SCRAM);
        }
        7 => bodies::dynsec_file(&text),
        8 => bodies::dynsec_commands(bytes, &STATE),
        _ => bodies::bans(&text),
    }
});

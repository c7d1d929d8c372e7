//! Files that a configuration names: what is wrong in one stops the start, with a place, and nothing else.

use std::fs;

use crate::measure::bounded;
use crate::mutation::{Mutator, seeds};
use crate::pki::Pki;
use crate::place::Place;
use dunlin_access::password::Kind;

const WORDS: &[&str] = &[
    "-----BEGIN CERTIFICATE-----\n",
    "-----END CERTIFICATE-----\n",
    "-----BEGIN PRIVATE KEY-----\n",
    "-----BEGIN X509 CRL-----\n",
    "-----BEGIN EC PARAMETERS-----\n",
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
    "AAAA",
    "==",
    "\n",
    "\r\n",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "user ",
    "topic ",
    "$7$",
    ":",
    "\u{0}",
    "null",
];

/// One of the files is hostile, as when an editor has crashed or two files were mixed up.
#[test]
fn any_file_may_be_damaged() {
    let (place, pki) = (Place::new(), Pki::new());
    let signed = pki.server("server", &["localhost"]);
    let (chain, key) = (fs::read(&signed.chain).unwrap(), fs::read(&signed.key).unwrap());
    place.passwords("passwords", &[("anna", "x", Kind::Sha512), ("bert", "x", Kind::Pbkdf2Sha512)]);
    place.write("acl", "user anna\ntopic anna/#\npattern write by/%u\n");
    place.write("dynsec.json", include_str!("../../../access/tests/data/dynsec-init.json"));
    place.write("jwks.json", include_str!("../../../access/tests/data/jwks.json"));
    place.write("bans.json", "[{\"target\":\"client:x\",\"reason\":\"y\"}]");
    fs::copy(pki.ca(), place.path("ca.crt")).unwrap();
    fs::write(place.path("server.crt"), &chain).unwrap();
    fs::write(place.path("server.key"), &key).unwrap();
    let config = place.config(
        "persistence.enabled = false\nsecurity.acl_file = 'DIR/acl'\nsecurity.password_file = 'DIR/passwords'\n\
         security.dynamic_security_file = 'DIR/dynsec.json'\nsecurity.bans.file = 'DIR/bans.json'\n\
         security.jwt.jwks_file = 'DIR/jwks.json'\n\
         [[listener]]\nport = 1\ncertfile = 'DIR/server.crt'\nkeyfile = 'DIR/server.key'\ncafile = 'DIR/ca.crt'\n",
    );
    dunlin_server::check(&config).unwrap();
    let names = [
        "acl",
        "passwords",
        "dynsec.json",
        "jwks.json",
        "bans.json",
        "ca.crt",
        "server.crt",
        "server.key",
    ];
    let whole: Vec<Vec<u8>> =
        names.iter().map(|name| fs::read(place.path(name)).unwrap()).collect();
    let samples: Vec<&[u8]> = whole.iter().map(Vec::as_slice).collect();
    seeds(300, |mutator: &mut Mutator| {
        let which = mutator.below(names.len());
        let (name, before) = (names[which], samples[which]);
        // Sometimes another one's content.
        let bytes = if mutator.below(8) == 0 {
            mutator.variant(&samples, WORDS)
        } else {
            mutator.variant(&[before], WORDS)
        };
        fs::write(place.path(name), &bytes).unwrap();
        if let Err(why) = bounded(bytes.len() + 65_536, || dunlin_server::check(&config)) {
            let told = why.to_string();
            assert!(told.contains(name) || told.contains("server."), "{name}: {told}");
            assert!(told.len() < 64 * 1024, "{} bytes about {name}", told.len());
        }
        fs::write(place.path(name), before).unwrap();
    });
}

//! Whatever comes, nothing panics, and what is written can be read.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]
#![allow(clippy::let_underscore_must_use, reason = "that it returns is all that matters")]

use dunlin_access::Secret;
use dunlin_access::acl::{Action, Cache, Rules, Source, Subscribing, Who};
use dunlin_access::ban::{BanList, Network};
use dunlin_access::dynsec::Dynsec;
use dunlin_access::jwt::{KeySet, Policy};
use dunlin_access::password::{Hash, Kind, PasswordFile, remove, set, upgrade, weaknesses};
use dunlin_access::scram::start;
use proptest::prelude::*;

/// Lines that are almost right.
fn lines(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    let word = prop_oneof![4 => prop::sample::select(words).prop_map(String::from), 1 => ".{0,6}"];
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

const ACL: &[&str] = &[
    "user ",
    "topic ",
    "pattern ",
    "read ",
    "write ",
    "deny ",
    "readwrite ",
    "a",
    "b",
    "/",
    "+",
    "#",
    "%c",
    "%u",
    "$",
    "\n",
    "\n",
    " ",
    "\r\n",
    "topic a/+/#\n",
    "user x\n",
    "pattern %u/%c/#\n",
];
const TOML: &[&str] = &[
    "[users.",
    "[roles.",
    "[groups.",
    "[groups.everyone]\n",
    "[groups.anonymous]\n",
    "x]\n",
    "rules = [",
    "roles = [",
    "groups = [",
    "\"",
    "read a",
    "deny #",
    "x",
    "]\n",
    ",",
    "\n",
    "= 5",
    "{",
    "}",
];
const PASSWD: &[&str] = &[
    "anna",
    ":",
    "$",
    "6",
    "7",
    "101",
    "argon2id",
    "v=19",
    "m=64,t=1,p=1",
    "AAAA",
    "c29tZXNhbHQ",
    "\n",
    "#",
    " ",
    "scram-sha-256",
    "4096",
];
const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"commands\"",
    "\"command\"",
    "\"createClient\"",
    "\"username\"",
    "\"a\"",
    "\"roles\"",
    "\"rolename\"",
    "5",
    "null",
    "\"clients\"",
    "\"groups\"",
    "\"keys\"",
    "\"kty\"",
    "\"EC\"",
    "\"target\"",
];

proptest! {
    #[test]
    fn rules_compile_or_tell_why(text in lines(ACL), toml in lines(TOML), topic in "[a-c/$%]{0,8}",
                                 filter in "[a-c/$+#]{0,8}", user in "[a-c/+#%]{0,3}") {
        for source in [Source::AclFile { name: "f", text: &text }, Source::Toml { name: "t", text: &toml }] {
            let Ok(rules) = Rules::compile(1, &[source], Subscribing::Checked) else { continue };
            let groups = ["x".to_string()];
            let who = Who { user: Some(&user), client_id: &user, groups: &groups, roles: &groups, ..Who::default() };
            let mut cache = Cache::default();
            for action in [Action::Publish, Action::Deliver, Action::Will] {
                let verdict = rules.check(&who, action, &topic);
                prop_assert_eq!(cache.check(&rules, &who, action, &topic), verdict);
                prop_assert_eq!(cache.check(&rules, &who, action, &topic), verdict);
            }
            let _ = rules.check(&who, Action::Subscribe, &filter);
        }
    }

    #[test]
    fn password_files_are_read_and_edited(text in lines(PASSWD), user in "[a-c]{1,3}", password in ".{1,12}") {
        let (file, _) = PasswordFile::parse("f", &text);
        let _ = file.attempt(&user).cost();
        let mut random = |bytes: &mut [u8]| bytes.fill(7);
        let hash = Hash::create(Kind::Sha512, password.as_bytes(), &mut random);
        let changed = set(&text, &user, &hash).unwrap();
        let (read, _) = PasswordFile::parse("f", &changed);
        prop_assert!(read.attempt(&user).verify(Some(password.as_bytes())));
        let without = remove(&changed, &user).unwrap();
        prop_assert!(!PasswordFile::parse("f", &without).0.contains(&user));
        let (upgraded, _) = upgrade(&text, Kind::Sha512, &mut random);
        prop_assert!(PasswordFile::parse("f", &upgraded).0.len() >= file.len());
        let _ = weaknesses(&user, &password);
    }

    #[test]
    fn json_of_all_kinds_is_read_or_refused(text in lines(JSON), any in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut random = |bytes: &mut [u8]| bytes.fill(7);
        let mut state = Dynsec::default();
        let _ = state.handle(text.as_bytes(), &mut random);
        let _ = state.handle(&any, &mut random);
        if let Ok((state, _)) = Dynsec::parse("f", &text) {
            prop_assert!(Dynsec::parse("f", &state.to_json()).is_ok());
        }
        let _ = KeySet::from_jwks("f", &text);
        let _ = KeySet::from_pem(&text);
        let _ = BanList::parse("f", &text, 0);
        let keys = KeySet::from_secret(Secret::new([7; 32])).unwrap();
        prop_assert!(keys.open(&any, &Policy::default(), 0).is_err());
        prop_assert!(keys.open(text.as_bytes(), &Policy::default(), 0).is_err());
    }

    #[test]
    fn messages_of_scram_are_answered_or_refused(first in "[ny],,n=[a-z=,2C]{0,6},r=[a-z]{0,4}",
                                                 last in "c=biws,r=[a-zA-Z/+]{0,8},p=[A-Za-z=]{0,44}",
                                                 any in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut random = |bytes: &mut [u8]| bytes.fill(7);
        let secret = Secret::new("s");
        let _ = start(&any, |_| None, &secret, &mut random);
        if let Ok((challenge, _)) = start(first.as_bytes(), |_| None, &secret, &mut random) {
            prop_assert!(challenge.clone().finish(last.as_bytes(), None).is_err());
            prop_assert!(challenge.finish(&any, None).is_err());
        }
    }

    #[test]
    fn networks_are_read_or_refused(text in "[0-9a-f:./]{0,20}") {
        if let Ok(network) = text.parse::<Network>() {
            prop_assert_eq!(network.to_string().parse::<Network>(), Ok(network));
        }
    }
}

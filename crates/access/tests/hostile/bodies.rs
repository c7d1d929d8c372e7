//! What is done with hostile input: each function reads it, goes on with what was read, and checks what
//! must hold whatever it was. libFuzzer runs them too.

use dunlin_access::Secret;
use dunlin_access::acl::{Action, Grants, Rules, Source, Subscribing, Who};
use dunlin_access::ban::{BanList, Network, Target};
use dunlin_access::dynsec::Dynsec;
use dunlin_access::jwt::{KeySet, Policy};
use dunlin_access::password::{Cost, Kind, PasswordFile, remove, set, upgrade};
use dunlin_access::scram::{Keys, METHOD, start};
use dunlin_access::{Fault, Severity};

/// 2030: what the samples say about time lies around it.
pub(crate) const NOW: u64 = 1_900_000_000;

/// What HS256 tokens of the samples are signed with.
pub(crate) const TOKEN_SECRET: &str = "a secret of the samples, which has enough bytes";

/// Chance that is none.
pub(crate) fn sevens(bytes: &mut [u8]) {
    bytes.fill(7);
}

/// A fault names its file, and a line of it if it speaks of one.
fn faults_have_places(faults: &[Fault], text: &str) {
    let lines = text.lines().count() + 1;
    for fault in faults {
        assert_eq!(&*fault.file, "file");
        assert!(fault.line as usize <= lines, "{fault} in a file of {lines} lines");
        assert!(
            fault.message.len() < 2_000,
            "a message as long as a file: {}",
            fault.message.len()
        );
    }
}

/// An ACL file.
pub(crate) fn acl(text: &str) {
    let source = Source::AclFile { name: "file", text };
    match Rules::compile(1, &[source], Subscribing::Checked) {
        Ok(rules) => ask(&rules),
        Err(faults) => {
            faults_have_places(&faults, text);
            assert!(faults.iter().all(|fault| fault.line > 0), "a fault without its line");
            assert!(faults.iter().any(|fault| fault.severity == Severity::Error));
        }
    }
}

/// Users, groups and roles of `dunlin.toml`.
pub(crate) fn roles(text: &str) {
    let source = Source::Toml { name: "file", text };
    match Rules::compile(1, &[source], Subscribing::Checked) {
        Ok(rules) => ask(&rules),
        Err(faults) => faults_have_places(&faults, text),
    }
}

fn ask(rules: &Rules) {
    let names = ["staff".to_owned(), "%u".to_owned()];
    for user in [None, Some("anna"), Some("a/b"), Some("+"), Some("%c")] {
        let who = Who { user, client_id: "#", groups: &names, roles: &names, ..Who::default() };
        for topic in ["", "/", "a/b/c", "$SYS/x", "c/#/secret", "\u{0}", "home/anna/+/#"] {
            for action in [Action::Publish, Action::Deliver, Action::Subscribe, Action::Will] {
                // That nothing here names a rule that there is not is part of asking.
                let verdict = rules.check(&who, action, topic);
                assert_eq!(verdict, rules.check(&who, action, topic));
            }
        }
    }
}

/// A password file: read, asked, changed and read again.
pub(crate) fn passwords(text: &str) {
    let (file, faults) = PasswordFile::parse("file", text);
    faults_have_places(&faults, text);
    assert!(faults.iter().all(|fault| fault.line > 0), "a fault without its line");
    for user in ["anna", "nobody", "", ":", "\u{0}"] {
        let attempt = file.attempt(user);
        if attempt.cost() == Cost::Light {
            assert!(!attempt.verify(Some(b"not the password of anybody")));
        }
        assert_eq!(file.contains(user), file.users().any(|(name, _)| name == user));
    }
    for (user, hash) in file.users() {
        let written = format!("{user}:{}\n", hash.encode());
        let (again, faults) = PasswordFile::parse("file", &written);
        assert!(faults.is_empty() && again.same_password(&file, user), "{faults:?}");
    }
    let hash = dunlin_access::password::Hash::create(Kind::Sha512, b"new", &mut sevens);
    let changed = set(text, "zoe", &hash).expect("the name is good");
    let (read, _) = PasswordFile::parse("file", &changed);
    assert!(read.attempt("zoe").verify(Some(b"new")));
    assert!(read.len() >= file.len());
    let without = remove(&changed, "zoe").expect("it was just added");
    assert!(!PasswordFile::parse("file", &without).0.contains("zoe"));
    let (upgraded, _) = upgrade(text, Kind::Sha512, &mut sevens);
    assert!(PasswordFile::parse("file", &upgraded).0.len() >= file.len());
}

/// A key set, and what else it may be taken for.
pub(crate) fn keys(text: &str) {
    let policy = Policy::default();
    match KeySet::from_jwks("file", text) {
        Ok((keys, faults)) => {
            faults_have_places(&faults, text);
            let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.";
            assert!(keys.open(unsigned.as_bytes(), &policy, NOW).is_err());
        }
        Err(fault) => faults_have_places(&[fault], text),
    }
    if let Ok(keys) = KeySet::from_pem(text) {
        assert!(!keys.is_empty());
        for token in [RS256, ES256] {
            // The sample is signed by another key unless this is that very one.
            drop(keys.open(token.as_bytes(), &policy, NOW));
        }
    }
}

pub(crate) const RS256: &str = include_str!("../data/rs256.token");
pub(crate) const ES256: &str = include_str!("../data/es256.token");

/// A token as a client sends it, whoever may have signed it.
pub(crate) fn token(bytes: &[u8], keys: &KeySet) {
    let policies = [
        Policy::default(),
        Policy {
            issuer: Some("https://id.example".into()),
            audience: Some("mqtt".into()),
            groups_claim: "realm_access.roles".into(),
            require_expiry: false,
            ..Policy::default()
        },
    ];
    for policy in &policies {
        for now in [0, NOW, u64::MAX] {
            if let Ok(claims) = keys.open(bytes, policy, now) {
                assert!(!claims.user.is_empty());
                assert!(claims.groups.len() <= 64 && claims.roles.len() <= 64);
                assert!(claims.expires.is_none_or(|end| end > now));
            }
        }
    }
}

/// What a token or a service grants.
pub(crate) fn grants(text: &str) {
    if let Ok(grants) = Grants::parse(text) {
        let rules = Rules::open(1);
        let who =
            Who { user: Some("anna"), client_id: "c", grants: Some(&grants), ..Who::default() };
        for topic in ["a", "home/anna/x", "#", ""] {
            let verdict = rules.check(&who, Action::Publish, topic);
            assert_eq!(verdict, rules.check(&who, Action::Publish, topic));
        }
    }
}

/// Both messages of a client that authenticates.
pub(crate) fn scram(first: &[u8], last: &[u8], keys: &Keys) {
    let secret = Secret::new("of the server");
    for known in [true, false] {
        let lookup = |_: &str| known.then(|| keys.clone());
        let Ok((challenge, answer)) = start(first, lookup, &secret, &mut sevens) else { continue };
        assert!(first.len() <= 4_096 && answer.starts_with(b"r="), "{METHOD}");
        // Nobody here knows the password but the one who made the samples, and his proof is for a nonce
        // that only the untouched first message has.
        if let Ok(accepted) = challenge.finish(last, Some("anna")) {
            assert!(known && accepted.user == "anna");
        }
    }
}

/// The file of dynamic security.
pub(crate) fn dynsec_file(text: &str) {
    match Dynsec::parse("file", text) {
        Ok((state, faults)) => {
            faults_have_places(&faults, text);
            let written = state.to_json();
            let (again, faults) =
                Dynsec::parse("file", &written).expect("what was written is read");
            assert!(faults.is_empty(), "{faults:?}");
            assert_eq!(again.to_json(), written);
            let who = Who { user: Some("admin"), client_id: "c", ..Who::default() };
            for action in [Action::Publish, Action::Deliver, Action::Subscribe] {
                let decision = state.check(&who, action, "a/b");
                assert_eq!(decision.allowed, again.check(&who, action, "a/b").allowed);
            }
            assert!(state.attempt("admin", "c").cost() >= Cost::Light);
        }
        Err(fault) => {
            assert!(fault.line > 0, "{fault}");
            faults_have_places(&[fault], text);
        }
    }
}

/// Commands to dynamic security, on a state that has something of everything.
pub(crate) fn dynsec_commands(payload: &[u8], state: &Dynsec) {
    let mut state = state.clone();
    let before = state.generation();
    let outcome = state.handle(payload, &mut sevens);
    assert!(outcome.response.starts_with("{\"responses\":["), "{}", outcome.response);
    assert_eq!(outcome.changed, state.generation() > before);
    assert!(outcome.log.iter().all(|line| !line.contains('\n')), "a line of the log has ends");
    let written = state.to_json();
    let (again, _) = Dynsec::parse("file", &written).expect("what was written is read");
    assert_eq!(again.to_json(), written);
}

/// The list of bans, and who a ban is for.
pub(crate) fn bans(text: &str) {
    match BanList::parse("file", text, NOW) {
        Ok(list) => {
            let written = list.to_json();
            let again = BanList::parse("file", &written, NOW).expect("what was written is read");
            assert_eq!(again.to_json(), written);
            for address in ["10.1.2.3", "::1", "::ffff:10.1.2.3"] {
                let address = address.parse().expect("an address");
                assert_eq!(
                    list.check_address(address, NOW).is_some(),
                    again.check_address(address, NOW).is_some()
                );
            }
        }
        Err(fault) => faults_have_places(&[fault], text),
    }
    for word in text.split('"') {
        if let Ok(target) = word.parse::<Target>() {
            assert_eq!(target.to_string().parse::<Target>(), Ok(target));
        }
        if let Ok(network) = word.parse::<Network>() {
            assert_eq!(network.to_string().parse::<Network>(), Ok(network));
        }
    }
}

//! Password files, as written by Debian's mosquitto_passwd 2.0.11 and by ourselves.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use dunlin_access::Severity;
use dunlin_access::password::{
    Cost, Hash, HashFault, Kind, NameFault, PasswordFile, Weakness, check_name, remove, set,
    upgrade, weaknesses,
};

/// Stands in for randomness: counts.
fn counting() -> impl FnMut(&mut [u8]) {
    let mut next = 0_u8;
    move |bytes| {
        for byte in bytes {
            next = next.wrapping_add(1);
            *byte = next;
        }
    }
}

fn parse(text: &str) -> (PasswordFile, Vec<String>) {
    let (file, faults) = PasswordFile::parse("users", text);
    (file, faults.iter().map(ToString::to_string).collect())
}

fn accepts(file: &PasswordFile, user: &str, password: &str) -> bool {
    file.attempt(user).verify(Some(password.as_bytes()))
}

#[test]
fn files_of_mosquitto_passwd_are_read() {
    for text in [include_str!("data/sha512.passwd"), include_str!("data/pbkdf2.passwd")] {
        let (file, faults) = parse(text);
        assert_eq!(faults, [""; 0]);
        assert_eq!(file.len(), 2);
        assert!(accepts(&file, "anna", "secret two"));
        assert!(accepts(&file, "bob", "pä$$:w"));
        for (user, password) in
            [("anna", "secret one"), ("anna", ""), ("bob", "secret two"), ("eve", "secret two")]
        {
            assert!(!accepts(&file, user, password), "{user}");
        }
        assert!(!file.attempt("anna").verify(None));
        assert_eq!(file.attempt("anna").cost(), Cost::Light);
    }
}

#[test]
fn an_empty_password_lets_nobody_in_whatever_the_file_says() {
    let empty = Hash::create(Kind::Sha512, b"", &mut counting()).encode();
    let (file, faults) = parse(&format!("anna:{empty}"));
    assert_eq!(faults, [""; 0]);
    assert!(!accepts(&file, "anna", ""));
}

/// What Mosquitto 2.0.11 does with each line was tried: where it says "removing entry" there is a
/// fault here, and who may log in is the same.
#[test]
fn lines_are_taken_as_by_mosquitto() {
    let hash = |password: &[u8]| Hash::create(Kind::Sha512, password, &mut counting()).encode();
    let (one, two) = (hash(b"one"), hash(b"two"));
    let table = [
        (format!("anna:{one}\r"), true, false),
        (format!("anna:{one}  "), true, false),
        (format!("  anna:{one}"), true, false),
        (format!("anna :{one}"), true, false),
        (format!("anna:{one}:more"), true, false),
        (format!("anna:{two}\nanna:{one}"), true, true),
        (format!("anna:{one}\nanna:{two}"), false, true),
        (format!("anna:{one}\nanna:plain"), true, true),
        (format!("# comment\n  # another\n\nanna:{one}"), true, false),
        ("anna:one".into(), false, true),
        ("anna".into(), false, true),
        ("anna:".into(), false, true),
        (format!(":{one}"), false, true),
        ("anna:$5$abc$def".into(), false, true),
        ("anna:$6$!!!$???".into(), false, true),
        ("anna:$6$nzsC8rNWel3aTa8Y$YWJj".into(), false, true),
        ("anna:$6$nzsC8rNWel3aTa8Y".into(), false, true),
        ("anna:$7$0$nzsC8rNWel3aTa8Y$YWJj".into(), false, true),
        ("anna:$7$x$nzsC8rNWel3aTa8Y$YWJj".into(), false, true),
    ];
    for (text, known, faulty) in table {
        let (file, faults) = parse(&text);
        assert_eq!(accepts(&file, "anna", "one"), known, "{text}");
        assert_eq!(!faults.is_empty(), faulty, "{text}: {faults:?}");
    }
}

#[test]
fn plain_passwords_are_refused_with_advice_and_not_repeated() {
    let (file, faults) = PasswordFile::parse("users", "\nanna:hunter2\n");
    assert!(file.is_empty());
    let text = faults[0].to_string();
    assert!(text.starts_with("users:2: user \"anna\": the password is in plain text"), "{text}");
    assert!(text.contains("dunlin passwd -U"));
    assert!(!format!("{faults:?}").contains("hunter2"));
    assert_eq!(faults[0].severity, Severity::Error);
}

#[test]
fn a_hash_is_never_printed() {
    let hash = Hash::create(Kind::Sha512, b"one", &mut counting());
    let (file, _) = parse(&format!("anna:{}\n", hash.encode()));
    let shown = format!("{hash:?} {file:?} {:?}", file.attempt("anna"));
    let secret = hash.encode();
    let secret = secret.rsplit('$').next().unwrap();
    assert!(!shown.contains(secret), "{shown}");
}

#[test]
fn new_hashes_of_every_kind_verify_and_read_back() {
    for (kind, prefix, cost) in [
        (Kind::Sha512, "$6$", Cost::Light),
        (Kind::Pbkdf2Sha512, "$7$20000$", Cost::Heavy),
        (Kind::Argon2id, "$argon2id$v=19$m=19456,t=2,p=1$", Cost::Heavy),
    ] {
        let hash = Hash::create(kind, b"password", &mut counting());
        let text = hash.encode();
        assert!(text.starts_with(prefix), "{text}");
        let read = Hash::parse(&text).unwrap();
        assert_eq!(read, hash);
        assert_eq!((read.kind(), read.cost()), (kind, cost));
        assert!(read.verify(b"password"));
        assert!(!read.verify(b"Password"));
        assert!(!read.verify(b""));
    }
}

/// From the reference implementation of argon2: password "password", salt "somesalt".
#[test]
fn argon2id_of_others_is_read() {
    let hash = Hash::parse(
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
    )
    .unwrap();
    assert!(hash.verify(b"password"));
    assert!(!hash.verify(b"passwort"));
}

#[test]
fn hashes_that_cost_too_much_are_refused() {
    let digest = "A".repeat(86) + "==";
    let table = [
        (format!("$7$4000000000$AAAAAAAAAAAAAAAA${digest}"), HashFault::CostOutOfRange),
        (format!("$7$99999999999$AAAAAAAAAAAAAAAA${digest}"), HashFault::CostOutOfRange),
        (
            "$argon2id$v=19$m=99999999,t=2,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA".into(),
            HashFault::CostOutOfRange,
        ),
        (
            "$argon2id$v=19$m=1024,t=65,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA".into(),
            HashFault::CostOutOfRange,
        ),
        (
            "$argon2id$v=19$m=1,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA".into(),
            HashFault::CostOutOfRange,
        ),
        (
            "$argon2id$v=16$m=1024,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA".into(),
            HashFault::UnknownKind,
        ),
        (
            "$argon2id$v=19$t=1,m=1024,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA".into(),
            HashFault::Damaged,
        ),
        ("$argon2id$v=19$m=1024,t=1,p=1$c2Fs$AAAAAAAAAAAAAAAAAAAAAA".into(), HashFault::Damaged),
        ("$1$x$y".into(), HashFault::UnknownKind),
        ("plain".into(), HashFault::PlainText),
        (String::new(), HashFault::Missing),
    ];
    for (text, fault) in table {
        assert_eq!(Hash::parse(&text), Err(fault), "{text}");
    }
}

#[test]
fn unknown_users_are_checked_against_a_hash_of_the_file() {
    let heavy =
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    let (file, _) = parse(&format!("anna:{heavy}\n"));
    for user in ["eve", "mallory", ""] {
        let attempt = file.attempt(user);
        assert_eq!(attempt.cost(), Cost::Heavy);
        assert!(!attempt.verify(Some(b"password")));
    }
    let (empty, _) = parse("");
    assert!(!accepts(&empty, "eve", ""));
}

#[test]
fn a_user_is_added_replaced_and_removed_without_touching_the_rest() {
    let one = Hash::create(Kind::Sha512, b"one", &mut counting());
    let two = Hash::create(Kind::Sha512, b"two", &mut counting());
    let text = set("", "anna", &one).unwrap();
    let text = format!("# staff\n{text}\nbroken line\n");
    let text = set(&text, "bob", &one).unwrap();
    let text = set(&text, "anna", &two).unwrap();
    let expected = format!("# staff\nanna:{}\n\nbroken line\nbob:{}\n", two.encode(), one.encode());
    assert_eq!(text, expected);
    assert_eq!(remove(&text, "eve"), None);
    assert_eq!(remove(&text, "# staff"), None);
    let text = remove(&text, "anna").unwrap();
    assert_eq!(text, format!("# staff\n\nbroken line\nbob:{}\n", one.encode()));
}

#[test]
fn plain_passwords_are_hashed_and_hashes_stay() {
    let hash = Hash::create(Kind::Sha512, b"one", &mut counting()).encode();
    let text = format!("# c\nanna:one\nbob:two:x\n\nnocolon\ncarl:{hash}\n");
    let (text, count) = upgrade(&text, Kind::Sha512, &mut counting());
    assert_eq!(count, 2);
    assert!(text.starts_with("# c\nanna:$6$"));
    assert!(text.ends_with(&format!("\n\nnocolon\ncarl:{hash}\n")));
    let (file, _) = parse(&text);
    assert!(accepts(&file, "anna", "one"));
    assert!(accepts(&file, "bob", "two:x"));
}

#[test]
fn names_that_a_file_cannot_hold_are_refused() {
    for (name, fault) in [
        ("", NameFault::Empty),
        ("a:b", NameFault::Colon),
        ("a\nb", NameFault::Unreadable),
        (" a", NameFault::Unreadable),
        ("#a", NameFault::Comment),
    ] {
        assert_eq!(check_name(name), Err(fault), "{name}");
    }
    assert_eq!(check_name(&"x".repeat(65536)), Err(NameFault::TooLong));
    assert_eq!(check_name("with space and ä"), Ok(()));
}

#[test]
fn weak_passwords_are_told_from_strong_ones() {
    let table: &[(&str, &[Weakness])] = &[
        ("correct horse battery staple", &[]),
        ("xK9#mQ2$vL5p", &[]),
        ("short1!x", &[Weakness::Short]),
        ("xK9#mQ2$vL5", &[Weakness::Short]),
        ("password123!", &[Weakness::Common]),
        ("Mosquitto2024", &[Weakness::Common]),
        ("anna-is-great", &[Weakness::UserName]),
        ("aaaaaaaaaaaa", &[Weakness::Repetition]),
        ("abababababab", &[Weakness::Repetition]),
        ("123456789012", &[Weakness::Sequence]),
        ("abcdefghijkl", &[Weakness::Sequence]),
    ];
    for (password, expected) in table {
        assert_eq!(weaknesses("anna", password), *expected, "{password}");
    }
}

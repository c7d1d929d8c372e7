//! SCRAM-SHA-256, with a client of the test's own and the example of RFC 7677.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dunlin_access::Secret;
use dunlin_access::password::{Hash, PasswordFile};
use dunlin_access::scram::{Accepted, Keys, ScramFault, start};
use ring::{digest, hmac, pbkdf2};

fn counting() -> impl FnMut(&mut [u8]) {
    let mut next = 0_u8;
    move |bytes| {
        for byte in bytes {
            next = next.wrapping_add(1);
            *byte = next;
        }
    }
}

fn mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref().to_vec()
}

/// What a client answers to the server's first message.
fn client_final(password: &str, bare: &str, server_first: &str, header: &str) -> (String, String) {
    let mut parts = server_first.split(',');
    let nonce = parts.next().unwrap();
    let salt = STANDARD.decode(parts.next().unwrap().strip_prefix("s=").unwrap()).unwrap();
    let iterations: u32 = parts.next().unwrap().strip_prefix("i=").unwrap().parse().unwrap();
    let mut salted = [0; 32];
    let iterations = NonZeroU32::new(iterations).unwrap();
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(algorithm, iterations, &salt, password.as_bytes(), &mut salted);
    let key = mac(&salted, b"Client Key");
    let stored = digest::digest(&digest::SHA256, &key);
    let unproved = format!("c={},{nonce}", STANDARD.encode(header));
    let message = format!("{bare},{server_first},{unproved}");
    let signature = mac(stored.as_ref(), message.as_bytes());
    let proof: Vec<u8> = key.iter().zip(signature).map(|(byte, mask)| byte ^ mask).collect();
    let server = mac(&mac(&salted, b"Server Key"), message.as_bytes());
    (format!("{unproved},p={}", STANDARD.encode(proof)), format!("v={}", STANDARD.encode(server)))
}

fn login(name: &str, password: &str, only: Option<&str>) -> Result<(Accepted, String), ScramFault> {
    let keys = Keys::create(b"pencil", &mut counting());
    let bare = format!("n={name},r=clientnonce");
    let lookup = |user: &str| (user == "us=er,1").then_some(keys);
    let secret = Secret::new("server secret");
    let (challenge, first) =
        start(format!("n,,{bare}").as_bytes(), lookup, &secret, &mut counting())?;
    let first = String::from_utf8(first).unwrap();
    let (last, signature) = client_final(password, &bare, &first, "n,,");
    challenge.finish(last.as_bytes(), only).map(|accepted| (accepted, signature))
}

#[test]
fn the_right_password_is_accepted_and_the_server_proves_itself() {
    let (accepted, signature) = login("us=3Der=2C1", "pencil", None).unwrap();
    assert_eq!(accepted.user, "us=er,1");
    assert_eq!(accepted.data, signature.into_bytes());
}

#[test]
fn wrong_passwords_and_unknown_users_are_refused_alike() {
    assert_eq!(login("us=3Der=2C1", "pencils", None), Err(ScramFault::Refused));
    assert_eq!(login("nobody", "pencil", None), Err(ScramFault::Refused));
}

#[test]
fn a_connection_is_authenticated_again_by_its_own_user_only() {
    assert!(login("us=3Der=2C1", "pencil", Some("us=er,1")).is_ok());
    assert_eq!(login("us=3Der=2C1", "pencil", Some("anna")), Err(ScramFault::OtherUser));
}

#[test]
fn an_unknown_user_gets_the_same_salt_each_time() {
    let secret = Secret::new("server secret");
    let salt = |user: &str| {
        let first = format!("n,,n={user},r=abc");
        let (_, answer) = start(first.as_bytes(), |_| None, &secret, &mut counting()).unwrap();
        String::from_utf8(answer).unwrap().split(',').nth(1).unwrap().to_string()
    };
    assert_eq!(salt("eve"), salt("eve"));
    assert_ne!(salt("eve"), salt("mallory"));
}

/// The keys are those of the example in RFC 7677: user "user", password "pencil".
#[test]
fn the_example_of_the_rfc_verifies() {
    let nonce = "rOprNGfwEbeRWgbNEkqO";
    let text = {
        let mut salted = [0; 32];
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let iterations = NonZeroU32::new(4096).unwrap();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, b"pencil", &mut salted);
        let stored = digest::digest(&digest::SHA256, &mac(&salted, b"Client Key"));
        format!(
            "$scram-sha-256$4096$W22ZaJ0SNY7soEsUEjb6gQ==${}${}",
            STANDARD.encode(stored),
            STANDARD.encode(mac(&salted, b"Server Key"))
        )
    };
    let (file, faults) = PasswordFile::parse("users", &format!("user:{text}\n"));
    assert_eq!(faults, []);
    assert!(file.attempt("user").verify(Some(b"pencil")));
    assert!(!file.attempt("user").verify(Some(b"pencils")));
    let secret = Secret::new("s");
    let first = format!("n,,n=user,r={nonce}");
    let lookup = |user: &str| file.scram_keys(user).cloned();
    // The server's nonce of the example cannot be made by the base64 of bytes, so only what the client
    // of this test computes is compared; the salted keys are the example's.
    let (challenge, answer) = start(first.as_bytes(), lookup, &secret, &mut counting()).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with(&format!("r={nonce}")));
    assert!(answer.ends_with(",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
    let (last, signature) = client_final("pencil", &format!("n=user,r={nonce}"), &answer, "n,,");
    assert_eq!(challenge.finish(last.as_bytes(), None).unwrap().data, signature.into_bytes());
}

#[test]
fn keys_are_written_and_read_without_being_shown() {
    let keys = Keys::create(b"pencil", &mut counting());
    let hash = Hash::parse(&keys.encode()).unwrap();
    assert_eq!(hash.scram_keys(), Some(&keys));
    assert_eq!(hash.encode(), keys.encode());
    assert_eq!(format!("{keys:?}"), "Keys(15360 iterations, ..)");
}

#[test]
fn malformed_messages_are_told_apart() {
    let secret = Secret::new("s");
    let begin = |message: &[u8]| start(message, |_| None, &secret, &mut counting()).map(|_| ());
    let malformed = |found: Result<(), ScramFault>| matches!(found, Err(ScramFault::Malformed(_)));
    assert_eq!(begin(b"p=tls-unique,,n=a,r=b"), Err(ScramFault::ChannelBinding));
    assert_eq!(begin(b"n,a=other,n=a,r=b"), Err(ScramFault::Authzid));
    assert_eq!(begin(b"y,,n=a,r=b"), Ok(()));
    for message in [
        &b""[..],
        b"n,",
        b"n,,",
        b"n,,n=a",
        b"n,,r=b,n=a",
        b"n,,n=,r=b",
        b"n,,n=a,r=",
        b"n,,m=x,n=a,r=b",
        b"n,,n=a=2,r=b",
        b"n,,n=a=2c,r=b",
        b"n,,n=a,r=b c",
        b"n,,n=\xff,r=b",
        &[b'n'; 5000],
    ] {
        assert!(malformed(begin(message)), "{message:?}");
    }
    let finish = |last: &dyn Fn(&str) -> String| {
        let (challenge, answer) = start(b"n,,n=a,r=b", |_| None, &secret, &mut counting()).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let nonce = answer.split(',').next().unwrap();
        challenge.finish(last(nonce).as_bytes(), None).map(|_| ())
    };
    let proof = STANDARD.encode([0; 32]);
    assert_eq!(finish(&|nonce| format!("c=biws,{nonce},p={proof}")), Err(ScramFault::Refused));
    assert_eq!(
        finish(&|nonce| format!("c=eSws,{nonce},p={proof}")),
        Err(ScramFault::ChannelBinding)
    );
    assert!(malformed(finish(&|_| format!("c=biws,r=b,p={proof}"))));
    assert!(malformed(finish(&|nonce| format!("c=biws,{nonce}"))));
    assert!(malformed(finish(&|nonce| format!("c=biws,{nonce},p=AAAA"))));
    assert!(malformed(finish(&|_| String::new())));
}

//! Tokens: those of the test's own, and some signed by OpenSSL.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dunlin_access::Secret;
use dunlin_access::acl::Grants;
use dunlin_access::jwt::{JwtFault, KeyFault, KeySet, Policy};
use ring::hmac;
use serde_json::{Value, json};

const SECRET: &str = "an example secret of the test, long enough";
const NOW: u64 = 1_900_000_000;

fn sign(algorithm: hmac::Algorithm, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let key = hmac::Key::new(algorithm, SECRET.as_bytes());
    let signature = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn hs256(claims: &Value) -> String {
    sign(hmac::HMAC_SHA256, &json!({ "alg": "HS256", "typ": "JWT" }), claims)
}

fn shared() -> KeySet {
    KeySet::from_secret(Secret::new(SECRET)).unwrap()
}

fn jwks() -> KeySet {
    let (keys, faults) = KeySet::from_jwks("jwks", include_str!("data/jwks.json")).unwrap();
    assert_eq!(faults.len(), 4, "Ed25519, P-384, an encryption key and a short secret");
    keys
}

#[test]
fn every_algorithm_with_a_secret_is_verified() {
    let claims = json!({ "sub": "anna", "exp": NOW + 60 });
    for (algorithm, name) in
        [(hmac::HMAC_SHA256, "HS256"), (hmac::HMAC_SHA384, "HS384"), (hmac::HMAC_SHA512, "HS512")]
    {
        let token = sign(algorithm, &json!({ "alg": name }), &claims);
        let found = shared().open(token.as_bytes(), &Policy::default(), NOW).unwrap();
        assert_eq!((found.user.as_str(), found.expires), ("anna", Some(NOW + 90)), "{name}");
    }
}

#[test]
fn tokens_signed_by_openssl_are_verified_by_pem_and_by_jwks() {
    let (rs, es) = (include_str!("data/rs256.token"), include_str!("data/es256.token"));
    let rsa = KeySet::from_pem(include_str!("data/rsa.pub.pem")).unwrap();
    let ec = KeySet::from_pem(include_str!("data/ec.pub.pem")).unwrap();
    let mut both = rsa.clone();
    both.extend(ec.clone());
    let policy = Policy {
        issuer: Some("https://id.example".into()),
        audience: Some("mqtt".into()),
        ..Policy::default()
    };
    let open = |keys: &KeySet, token: &str| keys.open(token.as_bytes(), &policy, NOW).map(|_| ());
    for (keys, token, expected) in [
        (&rsa, rs, Ok(())),
        (&ec, es, Ok(())),
        (&both, rs, Ok(())),
        (&both, es, Ok(())),
        (&jwks(), rs, Ok(())),
        (&jwks(), es, Ok(())),
        (&rsa, es, Err(JwtFault::Signature)),
        (&ec, rs, Err(JwtFault::Signature)),
        (&shared(), rs, Err(JwtFault::Signature)),
    ] {
        assert_eq!(open(keys, token), expected);
        let (message, _) = token.rsplit_once('.').unwrap();
        let (_, signature) = rs.rsplit_once('.').unwrap();
        let broken = format!("{message}x.{signature}");
        assert_eq!(open(keys, &broken), Err(JwtFault::Signature));
    }
}

/// The public key of RS256 is no secret of HS256, and a token cannot ask for no signature.
#[test]
fn the_token_does_not_choose_how_it_is_verified() {
    let claims = json!({ "sub": "eve", "exp": NOW + 60 });
    let policy = Policy::default();
    let pem = include_str!("data/rsa.pub.pem");
    let message = hs256(&claims);
    let (message, _) = message.rsplit_once('.').unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, pem.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
    let forged = format!("{message}.{signature}");
    let rsa = KeySet::from_pem(pem).unwrap();
    assert_eq!(rsa.open(forged.as_bytes(), &policy, NOW), Err(JwtFault::Signature));
    for (header, fault) in [
        (json!({ "alg": "none" }), JwtFault::Algorithm),
        (json!({ "alg": "None" }), JwtFault::Algorithm),
        (json!({ "alg": "PS256" }), JwtFault::Algorithm),
        (json!({}), JwtFault::Algorithm),
        (json!({ "alg": "HS256", "crit": ["x"] }), JwtFault::Critical),
        (json!({ "alg": "HS512" }), JwtFault::Signature),
    ] {
        let token = sign(hmac::HMAC_SHA256, &header, &claims);
        assert_eq!(shared().open(token.as_bytes(), &policy, NOW), Err(fault), "{header}");
    }
    let (message, _) =
        hs256(&claims).rsplit_once('.').map(|(m, s)| (m.to_string(), s.len())).unwrap();
    let unsigned = format!("{message}.");
    assert_eq!(shared().open(unsigned.as_bytes(), &policy, NOW), Err(JwtFault::Signature));
}

#[test]
fn a_named_key_is_for_tokens_that_name_it() {
    let secret = URL_SAFE_NO_PAD.encode(SECRET);
    let set = |id: &str| {
        let text = json!({ "keys": [{ "kty": "oct", "kid": id, "k": secret }] }).to_string();
        KeySet::from_jwks("jwks", &text).unwrap().0
    };
    let claims = json!({ "sub": "anna", "exp": NOW + 60 });
    let token = sign(hmac::HMAC_SHA256, &json!({ "alg": "HS256", "kid": "one" }), &claims);
    let policy = Policy::default();
    assert!(set("one").open(token.as_bytes(), &policy, NOW).is_ok());
    assert_eq!(set("two").open(token.as_bytes(), &policy, NOW), Err(JwtFault::Signature));
}

#[test]
fn times_issuer_and_audience_are_judged() {
    let policy =
        Policy { issuer: Some("us".into()), audience: Some("mqtt".into()), ..Policy::default() };
    let with = |changes: Value| {
        let mut claims = json!({ "sub": "a", "exp": NOW + 60, "iss": "us", "aud": ["x", "mqtt"] });
        for (key, value) in changes.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(key);
            } else {
                claims[key] = value.clone();
            }
        }
        shared().open(hs256(&claims).as_bytes(), &policy, NOW).map(|_| ())
    };
    let many: Vec<String> =
        (0..40).map(|number| format!("service-{number}")).chain(["mqtt".into()]).collect();
    let table = [
        (json!({}), Ok(())),
        (json!({ "aud": "mqtt" }), Ok(())),
        (json!({ "aud": many }), Ok(())),
        (json!({ "exp": NOW - 29 }), Ok(())),
        (json!({ "exp": NOW - 30 }), Err(JwtFault::Expired)),
        (json!({ "exp": 1.5 }), Err(JwtFault::Expired)),
        (json!({ "exp": null }), Err(JwtFault::NoExpiry)),
        (json!({ "exp": "soon" }), Err(JwtFault::BadClaim("exp"))),
        (json!({ "exp": -1 }), Err(JwtFault::BadClaim("exp"))),
        (json!({ "nbf": NOW + 30 }), Ok(())),
        (json!({ "nbf": NOW + 31 }), Err(JwtFault::NotYetValid)),
        (json!({ "iss": "them" }), Err(JwtFault::Issuer)),
        (json!({ "iss": null }), Err(JwtFault::Issuer)),
        (json!({ "aud": "other" }), Err(JwtFault::Audience)),
        (json!({ "aud": null }), Err(JwtFault::Audience)),
        (json!({ "sub": null }), Err(JwtFault::NoUser)),
        (json!({ "sub": "" }), Err(JwtFault::NoUser)),
        (json!({ "sub": 5 }), Err(JwtFault::NoUser)),
        (json!({ "client_id": 5 }), Err(JwtFault::BadClaim("the client identifier"))),
        (json!({ "groups": [5] }), Err(JwtFault::BadClaim("the groups"))),
        (json!({ "acl": [] }), Err(JwtFault::BadClaim("the topic filters"))),
        (json!({ "acl": { "pub": "a" } }), Err(JwtFault::BadClaim("the topic filters"))),
        (json!({ "acl": { "pub": ["a/#/b"] } }), Err(JwtFault::BadClaim("the topic filters"))),
        (json!({ "acl": { "deny": ["a"] } }), Err(JwtFault::BadClaim("the topic filters"))),
    ];
    for (changes, expected) in table {
        assert_eq!(with(changes.clone()), expected, "{changes}");
    }
}

#[test]
fn claims_become_user_groups_and_grants() {
    let policy = Policy {
        user_claim: "preferred_username".into(),
        roles_claim: "realm_access.roles".into(),
        groups_claim: "https://x.example/groups".into(),
        require_expiry: false,
        ..Policy::default()
    };
    let token = hs256(&json!({
        "preferred_username": "anna",
        "client_id": "dev-1",
        "realm_access": { "roles": ["reader", "writer"] },
        "https://x.example/groups": "plant ops",
        "acl": { "pub": ["a/%c"], "subscribe": ["b/#"], "all": ["c"] },
    }));
    let claims = shared().open(token.as_bytes(), &policy, NOW).unwrap();
    assert_eq!(claims.user, "anna");
    assert_eq!(claims.client_id.as_deref(), Some("dev-1"));
    assert_eq!(claims.groups, ["plant", "ops"]);
    assert_eq!(claims.roles, ["reader", "writer"]);
    let grants = claims.grants.unwrap();
    assert_eq!(
        grants,
        Grants {
            publish: vec!["c".into(), "a/%c".into()],
            subscribe: vec!["c".into(), "b/#".into()],
        }
    );
    assert_eq!(claims.expires, None);
}

#[test]
fn what_is_no_key_is_refused_and_no_key_is_shown() {
    let short = KeySet::from_secret(Secret::new("short"));
    assert_eq!(short.unwrap_err(), KeyFault::ShortSecret);
    for pem in ["", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----", "x"] {
        assert_eq!(KeySet::from_pem(pem).unwrap_err(), KeyFault::NotPem);
    }
    assert!(KeySet::from_jwks("jwks", "{").is_err());
    assert!(KeySet::from_jwks("jwks", "{}").is_err());
    assert!(!format!("{:?}", shared()).contains("example"));
}

#[test]
fn what_is_no_token_is_refused() {
    let long = "a".repeat(20_000);
    for token in ["", ".", "..", "a.b.c", "e30.e30", "!!.e30.e30", &long] {
        let found = shared().open(token.as_bytes(), &Policy::default(), NOW);
        assert!(matches!(found, Err(JwtFault::NotAToken | JwtFault::Algorithm)), "{token}");
    }
    let found = shared().open(b"\xff", &Policy::default(), NOW);
    assert_eq!(found, Err(JwtFault::NotAToken));
}

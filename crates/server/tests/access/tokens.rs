//! Tokens in place of passwords.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

use super::client::{Client, Login};
use super::place::{Place, Server, wait_until};
use super::services::{Service, answer};

const SECRET: &str = "hush-hush-hush-hush-hush-hush-hush";

fn token(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&json!({ "alg": "HS256" })), part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn in_seconds(seconds: u64) -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    since.as_secs() + seconds
}

#[test]
fn a_token_says_who_it_is_and_what_it_may() {
    let place = Place::new();
    place.write("acl", "user anna\ntopic read news\n");
    let server = place.serve(&format!(
        "security.jwt.secret = '{SECRET}'\nsecurity.jwt.acl_claim = 'acl'\nsecurity.acl_file = 'DIR/acl'\n\
         listener = [{{ port = 1 }}]"
    ));
    let address = server.addresses[0];
    let claims = |expires| json!({ "sub": "anna", "exp": expires, "acl": { "publish": ["t/%u"] } });
    let good = token(&claims(in_seconds(60)));
    let reason =
        |password: &str| Client::try_connect(address, 5, Login::new("c", "whoever", password)).1;
    assert_eq!(reason(&good), 0);
    assert_eq!(reason(&token(&claims(in_seconds(0) - 60))), 0x87);
    assert_eq!(reason(good.trim_end_matches(|c| c != '.')), 0x87);
    assert_eq!(reason("hush-no-token"), 0x87);
    assert_eq!(Client::try_connect(address, 5, Login::nameless("c")).1, 0x87);
    let bound = token(&json!({ "sub": "anna", "exp": in_seconds(60), "client_id": "only" }));
    assert_eq!(Client::try_connect(address, 5, Login::new("only", "", &bound)).1, 0);
    assert_ne!(Client::try_connect(address, 5, Login::new("other", "", &bound)).1, 0);
    let mut client = Client::connect(address, Login::new("c", "whoever", &good));
    assert_ne!(client.publish("t/anna", "granted"), 0x87);
    assert_eq!(client.publish("t/bert", "not granted"), 0x87);
}

#[test]
fn a_connection_ends_with_its_token() {
    let place = Place::new();
    let server = place.serve(&format!(
        "security.jwt.secret = '{SECRET}'\nsecurity.jwt.leeway = 0\nlistener = [{{ port = 1 }}]"
    ));
    // The first token that lasts until it is looked at, on a machine that has other things to do.
    let comes_in = |seconds| {
        let short = token(&json!({ "sub": "anna", "exp": in_seconds(seconds) }));
        let login = Login::new("c", "", &short);
        let (client, reason) = Client::try_connect(server.addresses[0], 5, login);
        (reason == 0).then_some(client)
    };
    let mut client = [2, 4, 8, 16].into_iter().find_map(comes_in).unwrap();
    assert_eq!(client.farewell(), 0x87);
}

#[test]
fn connections_end_whose_tokens_are_not_taken_any_more() {
    const OTHER: &str = "hush-else-hush-else-hush-else-hush";
    let place = Place::new();
    let toml =
        |jwt: &str| format!("persistence.enabled = false\n{jwt}\nlistener = [{{ port = 1 }}]");
    let secret = |secret: &str| format!("security.jwt.secret = '{secret}'");
    let server = Server::start(&place.config(&toml(&secret(SECRET))));
    let claims = json!({ "sub": "anna", "iss": "home", "aud": ["mqtt"], "exp": in_seconds(60) });
    let good = token(&claims);
    let mut client = Client::connect(server.addresses[0], Login::new("c", "", &good));
    // The same key, and what the token says of itself.
    let policy = "security.jwt.issuer = 'home'\nsecurity.jwt.audience = 'mqtt'\n";
    server.reload(&place.config(&toml(&(policy.to_owned() + &secret(SECRET)))));
    client.ping();
    for (jwt, told) in [
        (secret(OTHER), "the key"),
        (format!("security.jwt.issuer = 'away'\n{}", secret(SECRET)), "issuer"),
        (format!("security.jwt.audience = 'http'\n{}", secret(SECRET)), "audience"),
        (format!("security.jwt.username_claim = 'aud'\n{}", secret(SECRET)), "claims"),
        ("security.allow_anonymous = true".to_owned(), "not taken"),
    ] {
        server.reload(&place.config(&toml(&secret(SECRET))));
        let mut client = Client::connect(server.addresses[0], Login::new("c", "", &good));
        server.reload(&place.config(&toml(&jwt)));
        assert_eq!(client.farewell(), 0x87, "{jwt}");
        let (cause, text) = server.why("c");
        assert!(cause == "no-longer-allowed" && text.contains(told), "{cause}: {text}");
    }
}

#[test]
fn keys_are_fetched_and_the_last_good_ones_kept() {
    let place = Place::new();
    let keys = json!({ "keys": [{ "kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET) }] });
    let service = Service::start(move |_| answer(200, &keys.to_string()));
    let server = place.serve(&format!(
        "security.jwt.jwks_url = 'http://{}/keys'\nlistener = [{{ port = 1 }}]",
        service.address
    ));
    let good = token(&json!({ "sub": "anna", "exp": in_seconds(60) }));
    let reason = || Client::try_connect(server.addresses[0], 5, Login::new("c", "", &good)).1;
    wait_until("the keys are there", || reason() != 0x88);
    assert_eq!(reason(), 0);
}

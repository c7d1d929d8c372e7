//! SCRAM-SHA-256 by the AUTH exchange of MQTT 5.0.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dunlin_access::password::Kind;
use ring::{digest, hmac, pbkdf2};

use super::client::{Client, Login};
use super::place::{Place, Server};

const METHOD: &str = "SCRAM-SHA-256";
const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";

fn serve(place: &Place, more: &str) -> Server {
    let users = [("anna", "hush-anna", Kind::ScramSha256), ("bert", "hush-bert", Kind::Sha512)];
    place.passwords("passwords", &users);
    place.serve(&format!(
        "security.password_file = 'DIR/passwords'\n{more}\nlistener = [{{ port = 1 }}]"
    ))
}

fn first(user: &str) -> Vec<u8> {
    format!("n,,n={user},r={NONCE}").into_bytes()
}

fn mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref().to_vec()
}

/// The client's last message, and what the server has to answer to it.
fn last(user: &str, password: &str, challenge: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let challenge = String::from_utf8(challenge.to_vec()).unwrap();
    let parts: Vec<&str> = challenge.split(',').filter_map(|part| part.get(2..)).collect();
    let [nonce, salt, iterations] = *parts.as_slice() else { panic!("{challenge}") };
    assert!(nonce.starts_with(NONCE));
    let mut salted = [0; 32];
    let iterations: NonZeroU32 = iterations.parse().unwrap();
    let salt = STANDARD.decode(salt).unwrap();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, password.as_bytes(), &mut salted);
    let key = mac(&salted, b"Client Key");
    let stored = digest::digest(&digest::SHA256, &key);
    let unproved = format!("c={},r={nonce}", STANDARD.encode("n,,"));
    let transcript = format!("n={user},r={NONCE},{challenge},{unproved}");
    let signature = mac(stored.as_ref(), transcript.as_bytes());
    let proof: Vec<u8> = key.iter().zip(signature).map(|(key, mask)| key ^ mask).collect();
    let proved = format!("{unproved},p={}", STANDARD.encode(proof));
    let server = mac(&mac(&salted, b"Server Key"), transcript.as_bytes());
    (proved.into_bytes(), format!("v={}", STANDARD.encode(server)).into_bytes())
}

/// Begins; the server's challenge.
fn challenge(client: &mut Client) -> Vec<u8> {
    let (reason, data) = client.auth();
    assert_eq!(reason, 0x18);
    data
}

/// Connects by an exchange; the reason code of CONNACK, and whether the server has shown that it knows the keys.
fn connect(server: &Server, user: &str, password: &str) -> (Client, u8, bool) {
    let login = Login { method: Some((METHOD, &first(user))), ..Login::nameless(user) };
    let mut client = Client::begin(server.addresses[0], 5, login);
    let (message, expected) = last(user, password, &challenge(&mut client));
    client.send_auth(0x18, METHOD, &message);
    let (first, body) = client.packet();
    assert_eq!(first, 0x20);
    let shown = body.windows(expected.len()).any(|window| window == expected);
    (client, body[1], shown)
}

#[test]
fn a_client_proves_that_it_knows_the_password_and_so_does_the_server() {
    let place = Place::new();
    let server = serve(&place, "security.scram = true");
    let (mut client, reason, shown) = connect(&server, "anna", "hush-anna");
    assert_eq!((reason, shown), (0, true));
    client.ping();
    assert_eq!(connect(&server, "anna", "hush-wrong").1, 0x87);
    // Neither one that has no keys nor one that is not there can be told from a wrong password.
    assert_eq!(connect(&server, "bert", "hush-bert").1, 0x87);
    assert_eq!(connect(&server, "nobody", "hush-anna").1, 0x87);
}

#[test]
fn a_connected_client_authenticates_itself_again() {
    let place = Place::new();
    let server = serve(&place, "security.scram = true");
    let (mut client, ..) = connect(&server, "anna", "hush-anna");
    for _ in 0..2 {
        client.send_auth(0x19, METHOD, &first("anna"));
        let challenge = challenge(&mut client);
        // Traffic goes on meanwhile.
        client.ping();
        let (message, expected) = last("anna", "hush-anna", &challenge);
        client.send_auth(0x18, METHOD, &message);
        assert_eq!(client.auth(), (0, expected));
    }
    client.send_auth(0x19, METHOD, &first("anna"));
    let (message, _) = last("anna", "hush-wrong", &challenge(&mut client));
    client.send_auth(0x18, METHOD, &message);
    assert_eq!(client.farewell(), 0x87);
}

#[test]
fn other_methods_and_messages_out_of_place_are_refused() {
    let place = Place::new();
    let server = serve(&place, "security.scram = true");
    let reason = |method, data: &[u8]| {
        let login = Login { method: Some((method, data)), ..Login::nameless("c") };
        Client::try_connect(server.addresses[0], 5, login).1
    };
    assert_eq!(reason("SCRAM-SHA-1", &first("anna")), 0x8C);
    for data in [&b""[..], b"n,,", b"p=tls-unique,,n=anna,r=x", b"n,a=root,n=anna,r=x", &[0xFF; 40]]
    {
        assert_eq!(reason(METHOD, data), 0x87, "{data:?}");
    }
    let off = serve(&place, "");
    let login = Login { method: Some((METHOD, &first("anna"))), ..Login::nameless("c") };
    assert_eq!(Client::try_connect(off.addresses[0], 5, login).1, 0x8C);
}

//! What TLS alone costs a server: handshakes and records between two connections in memory, with the
//! provider, the kind of key and the suites that listeners use; AES-256 is what rustls takes by itself.
//! What a listener adds to it is the rest of
//! `dunlin bench storm --via tls` and `p2p --via tls`.
//!
//! `cargo bench -p dunlin-server --bench tls`

use std::io::{self, Cursor, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{
    self,
    cipher_suite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384,
    },
};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
    SupportedCipherSuite, SupportedProtocolVersion,
};

/// Handshakes and records that are measured, after as many that are not.
const ROUNDS: u32 = 2_000;
const RECORDS: u32 = 200_000;

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let table = [
        ("TLS 1.3, AES-128", &TLS13, TLS13_AES_128_GCM_SHA256),
        ("TLS 1.3, AES-256", &TLS13, TLS13_AES_256_GCM_SHA384),
        ("TLS 1.2, AES-128", &TLS12, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ];
    for (name, version, suite) in table {
        let (server, client) = configs(version, suite);
        let full = micros(handshakes(&server, &client, false));
        let resumed = micros(handshakes(&server, &client, true));
        let ratio = full / resumed;
        writeln!(
            out,
            "{name}: full handshake {full:.1} us, resumed {resumed:.1} us of the server, ratio {ratio:.2}"
        )?;
    }
    let (server, client) = configs(&TLS13, TLS13_AES_128_GCM_SHA256);
    for bytes in [100, 1_000, 16_000] {
        let (opened, sealed) = records(&server, &client, bytes);
        let each = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(RECORDS);
        let (opened, sealed) = (each(opened), each(sealed));
        writeln!(
            out,
            "TLS 1.3, records of {bytes} bytes: {opened:.0} ns to open, {sealed:.0} ns to seal"
        )?;
    }
    Ok(())
}

fn since(begun: Instant) -> Duration {
    Instant::now().duration_since(begun)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(ROUNDS)
}

fn configs(
    version: &'static SupportedProtocolVersion,
    suite: SupportedCipherSuite,
) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate").der().clone();
    let cipher_suites = vec![suite];
    let provider = Arc::new(CryptoProvider { cipher_suites, ..ring::default_provider() });
    let private = PrivateKeyDer::try_from(key.serialize_der()).expect("a private key");
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], private)
        .expect("they fit");
    server.ticketer = ring::Ticketer::new().expect("randomness");
    server.send_tls13_tickets = 1;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

fn pair(
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
) -> (ServerConnection, ClientConnection) {
    let name = ServerName::try_from("localhost").expect("a name");
    let server = ServerConnection::new(Arc::clone(server)).expect("a server");
    (server, ClientConnection::new(Arc::clone(client), name).expect("a client"))
}

/// The time that the server needs for so many handshakes, tickets included.
fn handshakes(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>, resumed: bool) -> Duration {
    let mut client = ClientConfig::clone(client);
    if !resumed {
        client.resumption = rustls::client::Resumption::disabled();
    }
    let client = Arc::new(client);
    let mut spent = Duration::ZERO;
    for round in 0..2 * ROUNDS {
        let (mut server, mut client) = pair(server, &client);
        let begun = shake(&mut server, &mut client);
        if round >= ROUNDS {
            spent += begun;
            let kind = client.handshake_kind();
            let expected =
                if resumed { rustls::HandshakeKind::Resumed } else { rustls::HandshakeKind::Full };
            assert_eq!(kind, Some(expected));
        }
    }
    spent
}

/// Lets both speak until neither has anything to say; returns what the server needed.
fn shake(server: &mut ServerConnection, client: &mut ClientConnection) -> Duration {
    let (mut spent, mut bytes) = (Duration::ZERO, Vec::new());
    loop {
        bytes.clear();
        while client.wants_write() {
            client.write_tls(&mut bytes).expect("memory takes all");
        }
        let begun = Instant::now();
        feed(&bytes, |from| server.read_tls(from).map(|_| ()));
        server.process_new_packets().expect("no fault");
        let quiet = bytes.is_empty();
        bytes.clear();
        while server.wants_write() {
            server.write_tls(&mut bytes).expect("memory takes all");
        }
        spent += since(begun);
        if quiet && bytes.is_empty() {
            return spent;
        }
        feed(&bytes, |from| client.read_tls(from).map(|_| ()));
        client.process_new_packets().expect("no fault");
    }
}

fn feed(bytes: &[u8], mut read: impl FnMut(&mut Cursor<&[u8]>) -> io::Result<()>) {
    let mut from = Cursor::new(bytes);
    while from.position() < bytes.len() as u64 {
        read(&mut from).expect("memory can be read");
    }
}

/// The time that the server needs to open and to seal so many records.
fn records(
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
    bytes: usize,
) -> (Duration, Duration) {
    let (mut server, mut client) = pair(server, client);
    shake(&mut server, &mut client);
    let (plain, mut wire, mut into) = (vec![7; bytes], Vec::new(), vec![0; bytes]);
    let (mut opened, mut sealed) = (Duration::ZERO, Duration::ZERO);
    for round in 0..2 * RECORDS {
        wire.clear();
        client.writer().write_all(&plain).expect("room");
        client.write_tls(&mut wire).expect("memory takes all");
        let begun = Instant::now();
        feed(&wire, |from| server.read_tls(from).map(|_| ()));
        server.process_new_packets().expect("no fault");
        server.reader().read_exact(&mut into).expect("all of it");
        let open = since(begun);
        wire.clear();
        let begun = Instant::now();
        server.writer().write_all(&plain).expect("room");
        server.write_tls(&mut wire).expect("memory takes all");
        let seal = since(begun);
        feed(&wire, |from| client.read_tls(from).map(|_| ()));
        client.process_new_packets().expect("no fault");
        client.reader().read_exact(&mut into).expect("all of it");
        if round >= RECORDS {
            opened += open;
            sealed += seal;
        }
    }
    (opened, sealed)
}

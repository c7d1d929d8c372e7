//! Both sides of connections in memory: what one sends the other gets, in whatever pieces.

use std::io::{Read, Write};
use std::net::Ipv4Addr;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::*;
use crate::transport::pki::{Pki, Signed};
use crate::transport::tls::{
    CertificateFiles, ClientCertificates, ClientTrust, TlsOptions, TlsSetup, TlsVersion,
};

const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4711);

fn setup(pki: &Pki, server: &Signed, clients: ClientCertificates) -> TlsConfig {
    setup_with(pki, server, TlsOptions { clients, ..TlsOptions::default() })
}

fn setup_with(pki: &Pki, server: &Signed, options: TlsOptions) -> TlsConfig {
    let certificate = CertificateFiles {
        chain: server.chain.clone(),
        key: server.key.clone(),
        authorities: Some(pki.ca()),
    };
    let options = TlsOptions { certificate, ..options };
    TlsSetup::read(&options, &["mqtt"], 0).unwrap().config
}

fn client_config(pki: &Pki, own: Option<&Signed>, version: TlsVersion) -> Arc<ClientConfig> {
    client_with(pki, own, version, rustls::crypto::ring::default_provider())
}

fn client_with(
    pki: &Pki,
    own: Option<&Signed>,
    version: TlsVersion,
    provider: CryptoProvider,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(pki.authority.der().clone()).unwrap();
    let versions: &[_] = match version {
        TlsVersion::V1_2 => &[&rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = PrivateKeyDer::try_from(own.pair.serialize_der()).unwrap();
            builder.with_client_auth_cert(vec![own.certificate.der().clone()], key).unwrap()
        }
    })
}

/// A client and the transport of its connection.
struct Pair {
    client: ClientConnection,
    server: Transport,
    scratch: Scratch,
    /// What came out for the broker.
    plain: Vec<u8>,
}

impl Pair {
    fn new(client: &Arc<ClientConfig>, server: &TlsConfig) -> Self {
        let layers = Layers { tls: Some(server.clone()), ..Layers::default() };
        let name = ServerName::try_from("localhost").unwrap();
        Self {
            client: ClientConnection::new(Arc::clone(client), name).unwrap(),
            server: Transport::new(&layers, ADDRESS).unwrap(),
            scratch: Scratch::default(),
            plain: Vec::new(),
        }
    }

    /// Gives the server these bytes in parts of `step`, as the shard does.
    fn feed(&mut self, bytes: &[u8], step: usize) -> Result<(), Fault> {
        for part in bytes.chunks(step) {
            let mut bytes = [&self.server.raw, part].concat();
            let used = self.server.received(&mut bytes, &mut self.plain)?;
            self.server.raw = bytes.split_off(used);
        }
        Ok(())
    }

    /// Lets both talk until neither has anything to say.
    fn exchange(&mut self, step: usize) -> Result<(), Fault> {
        loop {
            let mut bytes = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut bytes).unwrap();
            }
            let fed = self.feed(&bytes, step);
            let mut answer = mem::take(&mut self.server.out);
            let silent = bytes.is_empty() && answer.is_empty();
            while !answer.is_empty() {
                let taken = self.client.read_tls(&mut answer.as_slice()).unwrap();
                answer.drain(..taken);
                // A client that is told off says so itself.
                if self.client.process_new_packets().is_err() {
                    break;
                }
            }
            fed?;
            if silent {
                return Ok(());
            }
        }
    }

    fn seal(&mut self, plain: &[u8]) {
        let mut left = plain;
        while !left.is_empty() {
            // Two slices, as the output of the broker often has.
            let (first, second) = left.split_at(left.len() / 2);
            let slices = [IoSlice::new(first), IoSlice::new(second)];
            let (taken, sealed) = self.server.seal(&slices, &mut self.scratch).unwrap();
            let sealed = sealed.to_vec();
            self.server.out.extend(sealed);
            left = &left[taken..];
        }
    }
}

#[test]
fn bytes_go_through_both_ways_however_they_are_cut() {
    let pki = Pki::new();
    let server = setup(&pki, &pki.server("server", &["localhost"]), ClientCertificates::Ignored);
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        for step in [1, 5, 100, 70_000] {
            let mut pair = Pair::new(&client_config(&pki, None, version), &server);
            pair.exchange(step).unwrap();
            assert!(pair.server.is_open());
            let message: Vec<u8> = (0..100_000u32).map(|number| number as u8).collect();
            // More than a record each time, less than the client's buffer.
            for part in message.chunks(30_000) {
                pair.client.writer().write_all(part).unwrap();
                pair.exchange(step).unwrap();
                pair.seal(part);
                pair.exchange(step).unwrap();
                let mut got = vec![0; part.len()];
                pair.client.reader().read_exact(&mut got).unwrap();
                assert_eq!(got, part);
            }
            assert_eq!(pair.plain, message);
            assert_eq!(pair.server.raw.len() + pair.server.out.len(), 0, "idle, it holds nothing");
            pair.client.send_close_notify();
            pair.exchange(step).unwrap();
            assert!(pair.server.ended);
        }
    }
}

#[test]
fn a_second_connection_is_resumed() {
    let pki = Pki::new();
    let server = setup(&pki, &pki.server("server", &["localhost"]), ClientCertificates::Ignored);
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        let client = client_config(&pki, None, version);
        for resumed in [false, true] {
            let mut pair = Pair::new(&client, &server);
            pair.exchange(100_000).unwrap();
            assert_eq!(pair.server.was_resumed(), Some(resumed), "{version:?}");
        }
        // New rules know no tickets of before: who was let in then may not be now.
        let again = setup(&pki, &pki.server("server", &["localhost"]), ClientCertificates::Ignored);
        let mut pair = Pair::new(&client, &again);
        pair.exchange(100_000).unwrap();
        assert_eq!(pair.server.was_resumed(), Some(false));
    }
}

/// The suite that costs least is taken, but from a client that has no instructions for AES what costs it least;
/// and an operator who names suites has the last word.
#[test]
fn the_suite_is_the_one_that_costs_least_or_the_one_that_was_asked_for() {
    let pki = Pki::new();
    let server = pki.server("server", &["localhost"]);
    let named = |ciphers: &[&str]| {
        let ciphers = ciphers.iter().map(|&name| name.to_owned()).collect();
        setup_with(&pki, &server, TlsOptions { ciphers, ..TlsOptions::default() })
    };
    let usual = named(&[]);
    let strict = named(&["TLS_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"]);
    let table = [
        (&usual, "AES_256", "AES_128_GCM_SHA256"),
        (&usual, "CHACHA20", "CHACHA20_POLY1305_SHA256"),
        (&strict, "AES_128", "AES_256_GCM_SHA384"),
        (&strict, "CHACHA20", "AES_256_GCM_SHA384"),
    ];
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        for (config, first, expected) in table {
            let mut provider = rustls::crypto::ring::default_provider();
            let name = |suite: &rustls::SupportedCipherSuite| format!("{:?}", suite.suite());
            provider.cipher_suites.sort_by_key(|suite| !name(suite).contains(first));
            let mut pair = Pair::new(&client_with(&pki, None, version, provider), config);
            pair.exchange(100_000).unwrap();
            let suite = pair.client.negotiated_cipher_suite().map(|suite| name(&suite));
            assert!(suite.as_ref().is_some_and(|suite| suite.ends_with(expected)), "{suite:?}");
        }
    }
}

#[test]
fn certificates_of_clients_are_checked_and_told() {
    let (pki, strangers) = (Pki::new(), Pki::new());
    let server = pki.server("server", &["localhost"]);
    let revoked = pki.client_with("revoked", |params| {
        params.serial_number = Some(rcgen::SerialNumber::from(77));
    });
    let trust = ClientTrust {
        authorities: vec![pki.ca()],
        revoked: Some(pki.revoke(&rcgen::SerialNumber::from(77))),
        ignore_dates: false,
    };
    let good = pki.client("meter");
    let table = [
        (Some(&good), None),
        (None, Some("require_certificate")),
        (Some(&pki.expired_client("late")), Some("has expired")),
        (Some(&strangers.client("stranger")), Some("none of the authorities")),
        (Some(&revoked), Some("was revoked")),
        (Some(&server), Some("not for clients")),
    ];
    let required = setup(&pki, &server, ClientCertificates::Required(trust.clone()));
    for (own, expected) in table {
        for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
            let mut pair = Pair::new(&client_config(&pki, own, version), &required);
            let told = pair.exchange(50).err().map(|fault| fault.to_string());
            match expected {
                None => assert_eq!(told, None),
                Some(part) => {
                    assert!(told.as_ref().is_some_and(|told| told.contains(part)), "{told:?}")
                }
            }
            let certificate = pair.server.known().certificate.as_ref();
            let name = certificate.and_then(|certificate| certificate.common_name());
            assert_eq!(name.is_some(), expected.is_none());
        }
    }
    // Dates may be ignored, and certificates left at home where they are optional.
    let undated = ClientTrust { ignore_dates: true, ..trust.clone() };
    let undated = setup(&pki, &server, ClientCertificates::Required(undated));
    let late = client_config(&pki, Some(&pki.expired_client("late")), TlsVersion::V1_3);
    Pair::new(&late, &undated).exchange(1_000).unwrap();
    let optional = setup(&pki, &server, ClientCertificates::Optional(trust));
    let nobody = client_config(&pki, None, TlsVersion::V1_3);
    Pair::new(&nobody, &optional).exchange(1_000).unwrap();
}

#[test]
fn a_client_that_does_not_know_the_authority_is_told_of() {
    let (pki, strangers) = (Pki::new(), Pki::new());
    let server = setup(&pki, &pki.server("server", &["localhost"]), ClientCertificates::Ignored);
    let mut pair = Pair::new(&client_config(&strangers, None, TlsVersion::V1_3), &server);
    let told = pair.exchange(1_000).unwrap_err().to_string();
    assert!(told.contains("does not know the authority"), "{told}");
}

#[test]
fn other_protocols_on_the_port_of_tls_are_named() {
    let pki = Pki::new();
    let server = setup(&pki, &pki.server("server", &["localhost"]), ClientCertificates::Ignored);
    let client = client_config(&pki, None, TlsVersion::V1_3);
    for (bytes, part) in [
        (&b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0"[..], "speaks MQTT"),
        (b"GET / HTTP/1.1\r\n\r\n", "speaks HTTP"),
        (b"PROXY UNKNOWN\r\n", "header of a proxy"),
        (b"\x00\x01\x02\x03\x04\x05\x06\x07", "no TLS"),
    ] {
        let mut pair = Pair::new(&client, &server);
        let told = pair.feed(bytes, 1_000).unwrap_err().to_string();
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn a_proxy_in_front_of_tls_tells_the_client() {
    let pki = Pki::new();
    let server = setup(&pki, &pki.server("server", &["localhost"]), ClientCertificates::Ignored);
    for step in [1, 20, 1_000] {
        let mut pair = Pair::new(&client_config(&pki, None, TlsVersion::V1_3), &server);
        pair.server.proxy = Some(ProxyVersion::V1);
        pair.feed(b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 8883\r\n", step).unwrap();
        pair.exchange(step).unwrap();
        assert!(pair.server.is_open());
        assert_eq!(pair.server.known().address.to_string(), "192.0.2.7:5000");
    }
}

/// Bytes of a client with faults in them, and words of the server in between: nothing panics, and
/// what is broken stays so.
#[test]
fn broken_handshakes_break_nothing() {
    let pki = Pki::new();
    let trust = ClientTrust { authorities: vec![pki.ca()], ..ClientTrust::default() };
    let server = pki.server("server", &["localhost"]);
    let server = setup(&pki, &server, ClientCertificates::Optional(trust));
    let own = pki.client("meter");
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut chance = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as usize % below
    };
    for round in 0..600 {
        let version = if round % 2 == 0 { TlsVersion::V1_2 } else { TlsVersion::V1_3 };
        let mut pair = Pair::new(&client_config(&pki, Some(&own), version), &server);
        for flight in 0..4 {
            let mut bytes = Vec::new();
            if flight > 1 && !pair.client.is_handshaking() {
                pair.client.writer().write_all(b"hello").unwrap_or_default();
            }
            while pair.client.wants_write() && pair.client.write_tls(&mut bytes).is_ok() {}
            for _ in 0..chance(3) {
                if !bytes.is_empty() {
                    let at = chance(bytes.len());
                    match chance(4) {
                        0 => bytes.truncate(at),
                        1 => bytes.insert(at, chance(256) as u8),
                        _ => bytes[at] ^= 1 << chance(8),
                    }
                }
            }
            let step = 1 + chance(200);
            for part in bytes.chunks(step) {
                if pair.feed(part, step).is_err() {
                    pair.server.finish();
                    assert!(pair.feed(b"more", 4).is_ok(), "what comes after the end is ignored");
                }
                let slices = [IoSlice::new(b"words")];
                if let Some((_, sealed)) = pair.server.seal(&slices, &mut pair.scratch) {
                    let sealed = sealed.to_vec();
                    pair.server.out.extend(sealed);
                }
            }
            let answer = mem::take(&mut pair.server.out);
            let mut answer = answer.as_slice();
            while !answer.is_empty() && pair.client.read_tls(&mut answer).is_ok() {
                if pair.client.process_new_packets().is_err() {
                    break;
                }
            }
        }
    }
}

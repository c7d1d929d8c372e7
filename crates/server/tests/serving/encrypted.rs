//! TLS over real sockets.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use dunlin_server::{
    CertificateFiles, ClientCertificates, ClientTrust, ListenerOptions, ServerOptions, Settings,
    StartError, TlsOptions, start,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::listeners::free_port;
use super::pki::{Pki, Signed, overwrite};
use super::wire::{Server, connect, publish, subscribe, wait_until};

type Stream = StreamOwned<ClientConnection, TcpStream>;

fn encrypted(server: &Signed) -> ListenerOptions {
    let certificate = CertificateFiles {
        chain: server.chain.clone(),
        key: server.key.clone(),
        authorities: None,
    };
    ListenerOptions {
        tls: Some(TlsOptions { certificate, ..TlsOptions::default() }),
        ..free_port()
    }
}

fn client(pki: &Pki) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(pki.authority.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Arc::new(builder.unwrap().with_root_certificates(roots).with_no_client_auth())
}

fn open(config: &Arc<ClientConfig>, address: SocketAddr) -> Stream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), socket)
}

/// Connected as `id`; an error if the server is not believed, or closes.
fn try_connect(
    config: &Arc<ClientConfig>,
    address: SocketAddr,
    id: &str,
) -> std::io::Result<Stream> {
    let mut stream = open(config, address);
    stream.write_all(&connect(4, id))?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    assert_eq!(answer, [0x20, 2, 0, 0]);
    Ok(stream)
}

#[test]
fn large_and_small_messages_cross_encrypted_connections() {
    let pki = Pki::new();
    let server = Server::with_listeners(vec![encrypted(&pki.server("server", &["localhost"]))], 2);
    let config = client(&pki);
    let mut subscriber = try_connect(&config, server.address, "subscriber").unwrap();
    subscriber.write_all(&subscribe(1, "a", 0)).unwrap();
    let mut granted = [0; 5];
    subscriber.read_exact(&mut granted).unwrap();
    for number in 0..6 {
        let mut publisher = try_connect(&config, server.address, &format!("p{number}")).unwrap();
        for size in [0, 1, 1_000, 20_000, 500_000] {
            let packet = publish("a", 0, 0, &vec![size as u8; size]);
            publisher.write_all(&packet).unwrap();
            let mut got = vec![0; packet.len()];
            subscriber.read_exact(&mut got).unwrap();
            assert!(got == packet, "{size} bytes");
        }
    }
    // DISCONNECT: the server says the end of TLS as well.
    subscriber.write_all(&[0xE0, 0]).unwrap();
    assert_eq!(subscriber.read(&mut [0; 10]).unwrap(), 0);
}

#[test]
fn handshakes_are_counted_by_kind() {
    let pki = Pki::new();
    let server = Server::with_listeners(vec![encrypted(&pki.server("server", &["localhost"]))], 2);
    let config = client(&pki);
    for _ in 0..5 {
        try_connect(&config, server.address, "again").unwrap();
    }
    let report = &server.handle().listeners()[0];
    assert_eq!((report.full_handshakes, report.resumed_handshakes), (1, 4));
    assert!(report.certificate_expires.is_some());
    assert_eq!(report.opening, 0);
}

#[test]
fn whether_a_certificate_of_the_client_or_of_the_broker_is_wrong_is_counted_apart() {
    let pki = Pki::new();
    let listener = encrypted(&pki.server("server", &["localhost"]));
    let mut strict = listener.clone();
    let trust = ClientTrust { authorities: vec![pki.ca()], ..ClientTrust::default() };
    strict.tls.iter_mut().for_each(|tls| tls.clients = ClientCertificates::Required(trust.clone()));
    // One that does not know the authority, and one that shows no certificate.
    for (listener, config, cause) in [
        (listener, client(&Pki::new()), "server-certificate"),
        (strict, client(&pki), "client-certificate"),
    ] {
        let server = Server::with_listeners(vec![listener], 2);
        let mut stream = open(&config, server.address);
        while let (true, Ok(_)) =
            (stream.conn.is_handshaking(), stream.conn.complete_io(&mut stream.sock))
        {}
        // An alert that is left.
        while stream.conn.wants_write() && stream.conn.write_tls(&mut stream.sock).is_ok() {}
        // Of a certificate that is missing a client of TLS 1.3 is told after its handshake.
        stream.sock.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        let _ended = stream.sock.read_to_end(&mut rest);
        drop(stream);
        wait_until(cause, || {
            let causes = server.handle().causes();
            causes.iter().all(|(counted, count)| count == u64::from(counted.as_str() == cause))
        });
    }
}

#[test]
fn who_does_not_finish_the_handshake_in_time_is_closed() {
    let pki = Pki::new();
    // Time for this test to see what is open, on a machine that has other things to do.
    let connect_timeout = Duration::from_secs(3);
    let listener =
        ListenerOptions { maximum_opening: 2, ..encrypted(&pki.server("server", &["localhost"])) };
    let options = ServerOptions {
        settings: Settings { connect_timeout, ..Settings::default() },
        listeners: vec![listener],
        ..ServerOptions::default()
    };
    let server = Server::with_all(options);
    let mut slow: Vec<TcpStream> =
        (0..2).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    for stream in &mut slow {
        stream.write_all(&[0x16, 0x03, 0x01]).unwrap();
    }
    let opening = || server.handle().listeners()[0].opening;
    wait_until("both are open", || opening() == 2);
    // As many as may be: the next is turned away at once.
    let mut third = TcpStream::connect(server.address).unwrap();
    assert_eq!(third.read(&mut [0]).unwrap_or(0), 0);
    for stream in &mut slow {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
    try_connect(&client(&pki), server.address, "in time").unwrap();
}

#[test]
fn certificates_are_replaced_under_load_and_connections_go_on() {
    let pki = Pki::new();
    let first = pki.server("server", &["localhost"]);
    let listener = encrypted(&first);
    let server = Server::with_listeners(vec![listener.clone()], 2);
    let config = client(&pki);
    let mut old = try_connect(&config, server.address, "old").unwrap();
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for number in 0..2 {
            let (config, stop, served) = (&config, &stop, &served);
            let address = server.address;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    try_connect(config, address, &format!("load-{number}")).unwrap();
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..10 {
            // The same files, with another certificate of the same authority.
            let next = pki.server("next", &["localhost"]);
            std::fs::copy(&next.chain, &first.chain).unwrap();
            std::fs::copy(&next.key, &first.key).unwrap();
            server.handle().replace_listeners(std::slice::from_ref(&listener)).unwrap();
            let before = served.load(Ordering::Relaxed);
            while served.load(Ordering::Relaxed) < before + 3 {
                thread::sleep(Duration::from_millis(1));
            }
            let shown = try_connect(&config, server.address, "look").unwrap();
            let shown = shown.conn.peer_certificates().unwrap()[0].clone();
            assert_eq!(&shown, next.certificate.der(), "round {round}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    // A broken file changes nothing.
    overwrite(&first.key, "nothing");
    let refused = server.handle().replace_listeners(&[listener]);
    assert!(matches!(refused, Err(StartError::Tls { .. })));
    try_connect(&config, server.address, "still").unwrap();
    old.write_all(&[0xC0, 0]).unwrap();
    let mut pong = [0; 2];
    old.read_exact(&mut pong).unwrap();
    assert_eq!(pong, [0xD0, 0]);
}

#[test]
fn the_certificate_of_the_name_that_is_asked_for_is_shown() {
    let pki = Pki::new();
    let other = pki.server("other", &["other.example", "*.wild.example"]);
    let mut listener = encrypted(&pki.server("server", &["localhost"]));
    if let Some(tls) = &mut listener.tls {
        tls.by_name.push(CertificateFiles {
            chain: other.chain.clone(),
            key: other.key.clone(),
            authorities: None,
        });
    }
    let server = Server::with_listeners(vec![listener], 1);
    let config = client(&pki);
    for (name, is_other) in
        [("other.example", true), ("a.wild.example", true), ("localhost", false)]
    {
        let socket = TcpStream::connect(server.address).unwrap();
        let name = ServerName::try_from(name).unwrap();
        let connection = ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        stream.write_all(&connect(4, "named")).unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        let shown = &stream.conn.peer_certificates().unwrap()[0];
        assert_eq!(shown == other.certificate.der(), is_other);
    }
}

#[test]
fn a_server_without_its_key_does_not_start_and_says_why() {
    let pki = Pki::new();
    let mut listener = encrypted(&pki.server("server", &["localhost"]));
    if let Some(tls) = &mut listener.tls {
        tls.certificate.key = pki.path("missing.key");
    }
    let options = ServerOptions { listeners: vec![listener], ..ServerOptions::default() };
    let told = start(options).err().unwrap().to_string();
    assert!(told.contains("missing.key") && told.contains("is the path right"), "{told}");
}

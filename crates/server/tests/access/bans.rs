//! Who is kept out for a time.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::client::{Client, Login};
use super::place::{Place, Server, logged, wait_until};

const OPEN: &str = "security.allow_anonymous = true\nlistener = [{ port = 1 }]\n";

#[test]
fn a_banned_client_is_disconnected_and_stays_out_until_the_ban_is_lifted() {
    let place = Place::new();
    let server = place.serve(OPEN);
    let (address, handle) = (server.addresses[0], server.handle());
    let reason = |login| Client::try_connect(address, 5, login).1;
    let mut bad = Client::connect(address, Login::nameless("bad"));
    let mut good = Client::connect(address, Login::nameless("good"));
    handle.ban("client:bad", "it floods", None).unwrap();
    assert_eq!(bad.farewell(), 0x87);
    assert_eq!([reason(Login::nameless("bad")), reason(Login::nameless("other"))], [0x8A, 0]);
    handle.ban("user:anna", "left", Some(Duration::from_secs(3600))).unwrap();
    assert_eq!(reason(Login::new("x", "anna", "hush-")), 0x8A);
    good.ping();
    assert_eq!(handle.bans().len(), 2);
    assert_eq!(handle.unban("client:bad"), Ok(true));
    assert_eq!(handle.unban("client:bad"), Ok(false));
    assert_eq!(reason(Login::nameless("bad")), 0);
    handle.ban("address:127.0.0.0/8", "all of us", None).unwrap();
    assert_eq!(good.farewell(), 0x87);
    let (cause, text) = server.why("good");
    assert!(cause == "banned" && text.contains("all of us"), "{cause}: {text}");
    assert_eq!(reason(Login::nameless("y")), 0x8A);
    // One that has an end ends by itself.
    handle.ban("address:127.0.0.0/8", "all of us", Some(Duration::from_secs(1))).unwrap();
    wait_until("it ends", || reason(Login::nameless("y")) == 0);
    assert!(handle.ban("nobody", "", None).is_err());
}

#[test]
fn bans_outlive_the_process() {
    let place = Place::new();
    let toml = format!("persistence.enabled = false\nsecurity.bans.file = 'DIR/bans'\n{OPEN}");
    let config = place.config(&toml);
    let server = Server::start(&config);
    server.handle().ban("client:bad", "it floods", None).unwrap();
    // Whoever was told of it can rely on it.
    let written = std::fs::read_to_string(place.path("bans")).unwrap();
    assert!(written.contains("it floods"), "{written}");
    drop(server);
    let server = Server::start(&config);
    let (_, reason) = Client::try_connect(server.addresses[0], 5, Login::nameless("bad"));
    assert_eq!(reason, 0x8A);
    assert_eq!(server.handle().bans()[0].reason, "it floods");
    assert_eq!(server.handle().unban("client:bad"), Ok(true));
    let written = std::fs::read_to_string(place.path("bans")).unwrap();
    assert!(!written.contains("it floods"), "{written}");
}

#[test]
fn a_ban_that_cannot_be_written_is_told_to_who_gives_it_and_holds_all_the_same() {
    let place = Place::new();
    let toml = format!("persistence.enabled = false\nsecurity.bans.file = 'DIR/bans'\n{OPEN}");
    let server = Server::start(&place.config(&toml));
    std::fs::create_dir(place.path("bans")).unwrap();
    let told = server.handle().ban("client:bad", "it floods", None).unwrap_err();
    assert!(told.contains("cannot be written") && told.contains("until the broker"), "{told}");
    let (_, reason) = Client::try_connect(server.addresses[0], 5, Login::nameless("bad"));
    assert_eq!(reason, 0x8A);
}

#[test]
fn a_list_of_bans_that_cannot_be_used_stops_the_start() {
    let place = Place::new();
    let config = place
        .config(&format!("persistence.enabled = false\nsecurity.bans.file = 'DIR/bans'\n{OPEN}"));
    for damage in [&|| place.write("bans", "[\n{\"target\": 1}]"), &|| {
        std::fs::remove_file(place.path("bans")).unwrap();
        std::fs::create_dir(place.path("bans")).unwrap();
    }] as [&dyn Fn(); 2]
    {
        damage();
        let options = dunlin_server::ServerOptions::from_config(&config).unwrap();
        let why = dunlin_server::start(options).err().unwrap().to_string();
        assert!(why.contains("bans"), "{why}");
    }
}

#[test]
fn a_client_that_comes_again_and_again_is_kept_out() {
    let place = Place::new();
    let server = place.serve(&format!("security.bans.flapping_connects = 5\n{OPEN}"));
    let reason = |id| Client::try_connect(server.addresses[0], 5, Login::nameless(id)).1;
    let reasons: Vec<u8> = (0..7).map(|_| reason("flapping")).collect();
    assert_eq!(reasons, [0, 0, 0, 0, 0x8A, 0x8A, 0x8A]);
    assert_eq!(reason("another"), 0);
    let reasons: Vec<u8> = (0..7)
        .map(|_| Client::try_connect(server.addresses[0], 4, Login::nameless("old")).1)
        .collect();
    assert_eq!(reasons, [0, 0, 0, 0, 5, 5, 5]);
}

#[test]
fn many_refusals_of_one_cause_from_one_network_are_one_line_in_the_log() {
    let place = Place::new();
    let server = place.serve("security.allow_anonymous = false\nlistener = [{ port = 1 }]\n");
    let ids: Vec<String> = (0..20).map(|number| format!("flood-{number}")).collect();
    for id in &ids {
        assert_eq!(Client::try_connect(server.addresses[0], 5, Login::nameless(id)).1, 0x87);
    }
    // Each of them is told why.
    assert!(ids.iter().all(|id| server.why(id).0 == "anonymous"));
    let log = logged();
    let lines = log.lines().filter(|line| line.contains("flood-") && line.contains(" refused: "));
    assert_eq!(lines.count(), 1);
}

/// A client at an address of its own: all of 127.0.0.0/8 is this machine.
fn connect_from(from: [u8; 4], server: &Server, id: &str) -> (TcpStream, u8) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&server.addresses[0].into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(&Login::nameless(id).packet(4)).unwrap();
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).unwrap();
    (stream, connack[3])
}

#[test]
fn a_client_identifier_that_two_fight_for_is_kept_out_where_flapping_is_watched() {
    for (watched, last) in [(true, 5), (false, 0)] {
        let place = Place::new();
        let flapping = if watched { "security.bans.flapping_connects = 100\n" } else { "" };
        let server = place.serve(&format!("{flapping}{OPEN}"));
        let mut held = Vec::new();
        for round in 0..6_u8 {
            held.push(connect_from([127, 0, 0, 1 + round % 2], &server, "dear"));
        }
        wait_until("a ban", || !watched || !server.handle().bans().is_empty());
        assert_eq!(connect_from([127, 0, 0, 3], &server, "dear").1, last);
        if watched {
            let reason = server.handle().bans()[0].reason.clone();
            assert!(reason.contains("127.0.0.1") && reason.contains("127.0.0.2"), "{reason}");
        }
    }
}

#[test]
fn one_client_that_comes_back_fast_is_no_fight() {
    let place = Place::new();
    let server = place.serve(&format!("security.bans.flapping_connects = 100\n{OPEN}"));
    let held: Vec<_> = (0..8).map(|_| connect_from([127, 0, 0, 1], &server, "shaky")).collect();
    assert!(held.iter().all(|(_, reason)| *reason == 0));
    assert_eq!(server.handle().bans(), []);
}

//! A broker that a service manager starts: it hands sockets over, and wants to hear how it goes.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::process::{DUNLIN, Place};

/// Long enough for a loaded machine; only a failing test waits it out.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes the sockets that come as standard input and output the ones from 3 on, as a manager does.
const MANAGER: &str = r#"exec 3<&0 4<&1 </dev/null >/dev/null; LISTEN_PID=$$ exec "$@""#;

const CONFIGURED: &str = "[server]\nuser = \"root\"\n[persistence]\nenabled = false\n[security]\nallow_anonymous = true\n\
                          [[listener]]\nsocket = \"port\"\n[[listener]]\nsocket = \"file\"\n";

/// Ended with the test.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn start(place: &Place, sockets: (OwnedFd, OwnedFd), watchdog: &str) -> (Service, UnixDatagram) {
    let heard = UnixDatagram::bind(place.path("notify")).expect("there is room");
    heard.set_read_timeout(Some(PATIENCE)).expect("it is a socket");
    let log = fs::File::create(place.path("stderr")).expect("the log can be written");
    let service = Command::new("sh")
        .args(["-c", MANAGER, "sh", DUNLIN, "-c", "s.toml"])
        .current_dir(place.path("."))
        .env("LISTEN_FDS", "2")
        .env("LISTEN_FDNAMES", "port:file")
        .env("NOTIFY_SOCKET", place.path("notify"))
        .env("WATCHDOG_USEC", watchdog)
        .stdin(Stdio::from(sockets.0))
        .stdout(Stdio::from(sockets.1))
        .stderr(log)
        .spawn()
        .expect("there is a shell");
    (Service(service), heard)
}

fn hear(heard: &UnixDatagram, place: &Place) -> String {
    let mut told = [0; 100];
    let length = heard.recv(&mut told).unwrap_or_else(|cause| {
        panic!("nothing is told ({cause}): {}", place.read("stderr"));
    });
    String::from_utf8_lossy(&told[..length]).into_owned()
}

/// A CONNECT of 3.1.1, and whether it is taken.
fn is_served(mut stream: impl Read + Write) -> bool {
    let connect = b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01s";
    let mut answer = [0; 4];
    stream.write_all(connect).and_then(|()| stream.read_exact(&mut answer)).is_ok()
        && answer == [0x20, 2, 0, 0]
}

#[test]
fn sockets_that_were_handed_over_are_served_and_the_manager_hears_that_it_goes_well() {
    let place = Place::new();
    place.write("s.toml", CONFIGURED);
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = port.local_addr().expect("it has one");
    let file = UnixListener::bind(place.path("sock")).expect("there is room");
    // Whoever comes before the broker is there waits in the manager's sockets.
    let early = TcpStream::connect(address).expect("the manager listens");
    let (mut service, heard) = start(&place, (port.into(), file.into()), "300000");
    assert_eq!(hear(&heard, &place), "READY=1");
    assert!(is_served(early));
    assert!(is_served(TcpStream::connect(address).expect("it listens")));
    assert!(is_served(UnixStream::connect(place.path("sock")).expect("it listens")));
    // Several times: it is told again and again while the threads turn, also if nobody has anything to do.
    for _ in 0..5 {
        assert_eq!(hear(&heard, &place), "WATCHDOG=1");
    }
    let stopped = Command::new("kill").arg(service.0.id().to_string()).status();
    assert!(stopped.expect("there is kill").success());
    assert!(service.0.wait().expect("it ends").success(), "{}", place.read("stderr"));
    assert!(place.path("sock").exists(), "the file is the manager's");
}

#[test]
fn a_socket_that_the_manager_does_not_have_is_named() {
    let place = Place::new();
    place.write("s.toml", &CONFIGURED.replace("\"file\"", "\"fiel\""));
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let file = UnixListener::bind(place.path("sock")).expect("there is room");
    let (mut service, _) = start(&place, (port.into(), file.into()), "0");
    assert!(!service.0.wait().expect("it ends").success());
    let told = place.read("stderr");
    assert!(told.contains("fiel") && told.contains("port, file"), "{told}");
}

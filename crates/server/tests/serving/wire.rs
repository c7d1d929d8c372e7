//! A client that speaks bytes, and a server to speak to.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use dunlin_server::{Handle, ListenerOptions, ServerOptions, start};

use super::bytes::frame;

/// Long enough for a loaded machine; only a failing test waits it out.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long nothing must come for a test to believe that nothing will.
const SILENCE: Duration = Duration::from_millis(150);

/// Waits until it is so.
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A port for who has to name one. The system gives it neither to who asks for any nor to who connects, so
/// it is still free a moment later.
pub(crate) fn named_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 200).unwrap() * 100;
    loop {
        let port = first + GIVEN.fetch_add(1, Ordering::Relaxed) % 100;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}

/// A server on a free port that ends with the test.
pub(crate) struct Server {
    handle: Option<Handle>,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// With so many shards, and sessions dealt out evenly among them.
    pub(crate) fn with_shards(shards: usize) -> Self {
        Self::with(ServerOptions { shards, sessions_ahead: 1, ..ServerOptions::default() })
    }

    pub(crate) fn with(options: ServerOptions) -> Self {
        let listeners = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()];
        Self::with_all(ServerOptions { listeners, ..options })
    }

    /// With these listeners, the first of which has a port.
    pub(crate) fn with_listeners(listeners: Vec<ListenerOptions>, shards: usize) -> Self {
        let options = ServerOptions { shards, sessions_ahead: 1, ..ServerOptions::default() };
        Self::with_all(ServerOptions { listeners, ..options })
    }

    pub(crate) fn with_all(options: ServerOptions) -> Self {
        let handle = start(options).unwrap();
        let address = handle.addresses()[0];
        Self { handle: Some(handle), address }
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.handle.as_ref().unwrap()
    }

    /// Waits for the end of a server that was told to stop.
    pub(crate) fn join(mut self) {
        self.handle.take().unwrap().join().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.stop_now();
            handle.join().unwrap();
        }
    }
}

/// A connection that sends and expects bytes.
pub(crate) struct Wire(pub(crate) TcpStream);

impl Wire {
    pub(crate) fn open(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Connected as `id`, MQTT 3.1.1, clean session.
    pub(crate) fn connect(server: &Server, id: &str) -> Self {
        let mut wire = Self::open(server);
        wire.send(&connect(4, id));
        wire.expect(&[0x20, 2, 0, 0]);
        wire
    }

    /// Connected as `id`, MQTT 3.1.1, with the session of before, if there is one as `present` says.
    pub(crate) fn resume(server: &Server, id: &str, present: bool) -> Self {
        let mut wire = Self::open(server);
        let mut packet = connect(4, id);
        // Clean Session off.
        packet[9] = 0;
        wire.send(&packet);
        wire.expect(&[0x20, 2, present.into(), 0]);
        wire
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// The next bytes are these.
    pub(crate) fn expect(&mut self, bytes: &[u8]) {
        let mut got = vec![0; bytes.len()];
        self.0.read_exact(&mut got).unwrap();
        assert_eq!(got, bytes);
    }

    /// Reads one packet: its first byte and what follows the length.
    pub(crate) fn packet(&mut self) -> (u8, Vec<u8>) {
        let first = self.byte();
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            length |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (first, body)
    }

    fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.0.read_exact(&mut byte).unwrap();
        byte[0]
    }

    /// The server closes the connection and says nothing more before.
    pub(crate) fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty(), "{rest:02x?}");
    }

    pub(crate) fn expect_silence(&mut self) {
        self.0.set_read_timeout(Some(SILENCE)).unwrap();
        let mut byte = [0];
        let came = self.0.read(&mut byte).map_err(|error| error.kind());
        assert_eq!(came, Err(ErrorKind::WouldBlock), "nothing was to come, but 0x{:02x}", byte[0]);
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
    }

    pub(crate) fn subscribe(&mut self, filter: &str, qos: u8) {
        self.send(&subscribe(1, filter, qos));
        self.expect(&[0x90, 3, 0, 1, qos]);
    }
}

/// CONNECT of protocol level 4 or 5, clean, keep alive off.
pub(crate) fn connect(level: u8, id: &str) -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', level, 0x02, 0, 0];
    if level == 5 {
        body.push(0);
    }
    text(&mut body, id);
    frame(0x10, &body)
}

pub(crate) fn subscribe(packet_id: u16, filter: &str, qos: u8) -> Vec<u8> {
    let mut body = packet_id.to_be_bytes().to_vec();
    text(&mut body, filter);
    body.push(qos);
    frame(0x82, &body)
}

/// PUBLISH before 5.0; the packet identifier is for QoS 1 and 2.
pub(crate) fn publish(topic: &str, qos: u8, packet_id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, topic);
    if qos > 0 {
        body.extend(packet_id.to_be_bytes());
    }
    body.extend(payload);
    frame(0x30 | qos << 1, &body)
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
pub(crate) fn ack(first: u8, packet_id: u16) -> Vec<u8> {
    frame(first, &packet_id.to_be_bytes())
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    body.extend(text.as_bytes());
}

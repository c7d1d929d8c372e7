//! A client that speaks bytes and says who it is.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::bytes::frame;

/// Long enough for a loaded machine; only a failing test waits it out.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long nothing must come for a test to believe that nothing will.
const SILENCE: Duration = Duration::from_millis(200);

/// What a CONNECT says.
#[derive(Clone, Copy, Default)]
pub(crate) struct Login<'a> {
    pub(crate) id: &'a str,
    pub(crate) user: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
    pub(crate) will: Option<&'a str>,
    /// The authentication method and its first message, for 5.0.
    pub(crate) method: Option<(&'a str, &'a [u8])>,
}

impl<'a> Login<'a> {
    pub(crate) fn nameless(id: &'a str) -> Self {
        Self { id, ..Self::default() }
    }

    pub(crate) fn new(id: &'a str, user: &'a str, password: &'a str) -> Self {
        Self { id, user: Some(user), password: Some(password), ..Self::default() }
    }

    /// The CONNECT, clean, keep alive off.
    pub(crate) fn packet(self, level: u8) -> Vec<u8> {
        let flag = |is_there: bool, bit: u8| u8::from(is_there) << bit;
        let flags = 2
            | flag(self.will.is_some(), 2)
            | flag(self.password.is_some(), 6)
            | flag(self.user.is_some(), 7);
        let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', level, flags, 0, 0];
        let properties = if level == 5 { &[0][..] } else { &[] };
        match self.method {
            Some((method, data)) => exchange(&mut body, method, data),
            None => body.extend(properties),
        }
        text(&mut body, self.id);
        if let Some(topic) = self.will {
            body.extend(properties);
            text(&mut body, topic);
            text(&mut body, "gone");
        }
        for given in [self.user, self.password].into_iter().flatten() {
            text(&mut body, given);
        }
        frame(0x10, &body)
    }
}

/// What bytes go through.
trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// A connection.
pub(crate) struct Client {
    stream: Box<dyn Stream>,
    socket: TcpStream,
}

impl Client {
    /// Sends CONNECT; the answer is the reason code of CONNACK.
    pub(crate) fn try_connect(address: SocketAddr, level: u8, login: Login<'_>) -> (Self, u8) {
        let mut client = Self::begin(address, level, login);
        let reason = client.connack();
        (client, reason)
    }

    pub(crate) fn begin(address: SocketAddr, level: u8, login: Login<'_>) -> Self {
        let socket = open(address);
        let mut client = Self { stream: Box::new(socket.try_clone().unwrap()), socket };
        client.send(&login.packet(level));
        client
    }

    /// The same through TLS; an error if the handshake fails.
    pub(crate) fn try_encrypted(
        address: SocketAddr,
        config: &Arc<ClientConfig>,
        login: Login<'_>,
    ) -> std::io::Result<(Self, u8)> {
        let socket = open(address);
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        let mut stream = StreamOwned::new(connection, socket.try_clone()?);
        stream.write_all(&login.packet(5))?;
        let mut peeked = [0];
        stream.read_exact(&mut peeked)?;
        let mut client = Self { stream: Box::new(stream), socket };
        let length = client.byte();
        assert!(length < 0x80);
        let mut body = vec![0; length.into()];
        client.stream.read_exact(&mut body)?;
        Ok((client, body[1]))
    }

    /// Says nothing yet.
    pub(crate) fn silent(address: SocketAddr) -> Self {
        let socket = open(address);
        Self { stream: Box::new(socket.try_clone().unwrap()), socket }
    }

    /// The server ends it without a word.
    pub(crate) fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty(), "{rest:02x?}");
    }

    pub(crate) fn connack(&mut self) -> u8 {
        let (first, body) = self.packet();
        assert_eq!(first, 0x20);
        body[1]
    }

    /// Connected with MQTT 5.0.
    pub(crate) fn connect(address: SocketAddr, login: Login<'_>) -> Self {
        let (client, reason) = Self::try_connect(address, 5, login);
        assert_eq!(reason, 0, "CONNACK");
        client
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
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
        self.stream.read_exact(&mut body).unwrap();
        (first, body)
    }

    fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).unwrap();
        byte[0]
    }

    /// Subscribes at `QoS` 0 with MQTT 5.0; the reason code.
    pub(crate) fn subscribe(&mut self, filter: &str) -> u8 {
        let mut body = vec![0, 1, 0];
        text(&mut body, filter);
        body.push(0);
        self.send(&frame(0x82, &body));
        let (first, body) = self.packet();
        assert_eq!(first, 0x90);
        body[3]
    }

    /// Publishes at `QoS` 1 with MQTT 5.0; the reason code of PUBACK.
    pub(crate) fn publish(&mut self, topic: &str, payload: &str) -> u8 {
        let mut body = Vec::new();
        text(&mut body, topic);
        body.extend([0, 1, 0]);
        body.extend(payload.as_bytes());
        self.send(&frame(0x32, &body));
        let (first, body) = self.packet();
        assert_eq!(first, 0x40);
        body.get(2).copied().unwrap_or(0)
    }

    /// The next packet is a PUBLISH at `QoS` 0: topic and payload.
    pub(crate) fn receive(&mut self) -> (String, String) {
        let (first, body) = self.packet();
        assert_eq!(first & 0xF6, 0x30, "0x{first:02x}");
        let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let (topic, rest) = body[2..].split_at(length);
        let payload = &rest[1 + usize::from(rest[0])..];
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (text(topic), text(payload))
    }

    pub(crate) fn expect_silence(&mut self) {
        self.socket.set_read_timeout(Some(SILENCE)).unwrap();
        let mut byte = [0];
        let came = self.stream.read(&mut byte).map_err(|error| error.kind());
        assert_eq!(came, Err(ErrorKind::WouldBlock), "nothing was to come, but 0x{:02x}", byte[0]);
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }

    /// Sends AUTH.
    pub(crate) fn send_auth(&mut self, reason: u8, method: &str, data: &[u8]) {
        let mut body = vec![reason];
        exchange(&mut body, method, data);
        self.send(&frame(0xF0, &body));
    }

    /// The next packet is AUTH: its reason code and data.
    pub(crate) fn auth(&mut self) -> (u8, Vec<u8>) {
        let (first, body) = self.packet();
        assert_eq!(first, 0xF0, "{body:02x?}");
        let properties = &body[if body[1] < 0x80 { 2 } else { 3 }..];
        let method = usize::from(u16::from_be_bytes([properties[1], properties[2]]));
        let data = &properties[3 + method..];
        assert_eq!((properties[0], data[0]), (0x15, 0x16));
        (body[0], data[3..].to_vec())
    }

    /// It still answers.
    pub(crate) fn ping(&mut self) {
        self.send(&[0xC0, 0]);
        assert_eq!(self.packet(), (0xD0, Vec::new()));
    }

    /// The server ends it: the reason code of DISCONNECT.
    pub(crate) fn farewell(&mut self) -> u8 {
        let (first, body) = self.packet();
        assert_eq!(first, 0xE0);
        body.first().copied().unwrap_or(0)
    }
}

fn open(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// Properties with an authentication method and data, shorter than 16 KiB together.
fn exchange(body: &mut Vec<u8>, method: &str, data: &[u8]) {
    let mut properties = vec![0x15];
    text(&mut properties, method);
    properties.push(0x16);
    properties.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    properties.extend(data);
    let length = properties.len();
    if length >= 0x80 {
        body.push((length & 0x7F) as u8 | 0x80);
        body.push(u8::try_from(length >> 7).unwrap());
    } else {
        body.push(u8::try_from(length).unwrap());
    }
    body.extend(properties);
}

fn text(body: &mut Vec<u8>, text: &str) {
    body.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    body.extend(text.as_bytes());
}

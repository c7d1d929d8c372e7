//! The request that a WebSocket begins with (RFC 6455, section 4), and the answer.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dunlin_access::ban::Network;
use ring::digest;

/// What a listener asks of those who connect by WebSocket.
#[derive(Debug, Clone)]
pub struct WebSocketOptions {
    /// The path that must be asked for. Default: any.
    pub path: Option<String>,
    /// Pages that may connect, as `https://example.com`. Default: all.
    pub origins: Vec<String>,
    /// Whether others get an answer that says so. Default: yes, as RFC 6455 has it.
    pub answers_origins: bool,
    /// Proxies whose `X-Forwarded-For` is believed. Default: none.
    pub trusted_proxies: Vec<Network>,
    /// Bytes that a request may have. Default: 8192, as most web servers allow: cookies of a page
    /// come along.
    pub maximum_request: usize,
}

impl Default for WebSocketOptions {
    fn default() -> Self {
        Self {
            path: None,
            origins: Vec::new(),
            answers_origins: true,
            trusted_proxies: Vec::new(),
            maximum_request: 8_192,
        }
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestFault {
    /// It is no HTTP that can be read.
    Garbage,
    /// It goes on for too long.
    TooLarge,
    /// It asks for a page, not for a WebSocket.
    NoUpgrade,
    /// It is not of version 13.
    Version,
    /// Its key is missing or none.
    Key,
    /// It does not offer `mqtt`.
    Protocol,
    /// It asks for another path.
    Path,
    /// It comes from a page that may not connect.
    Origin,
}

/// A request that was accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) answer: String,
    /// The client behind trusted proxies.
    pub(super) forwarded_for: Option<IpAddr>,
}

/// What is added to the key before it is hashed, by the standard.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Names of MQTT as a subprotocol: that of the specification, and that of 3.1, which old clients offer.
const PROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// Answers the request `head`, which ends before its empty line, of a peer at `from`.
pub(super) fn answer(
    head: &[u8],
    from: IpAddr,
    options: &WebSocketOptions,
) -> Result<Accepted, RequestFault> {
    let request = Request::parse(head).ok_or(RequestFault::Garbage)?;
    let asks =
        request.has_token("connection", "upgrade") && request.has_token("upgrade", "websocket");
    if request.method != "GET" || !asks {
        return Err(RequestFault::NoUpgrade);
    }
    if request.value("sec-websocket-version") != Some("13") {
        return Err(RequestFault::Version);
    }
    let path = request.target.split('?').next();
    if options.path.is_some() && options.path.as_deref() != path {
        return Err(RequestFault::Path);
    }
    // Browsers always say which page connects. Who says nothing is no page, and could say anything.
    if let Some(origin) = request.value("origin")
        && !options.origins.is_empty()
        && !options.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    {
        return Err(RequestFault::Origin);
    }
    let key = request.value("sec-websocket-key").ok_or(RequestFault::Key)?;
    if STANDARD.decode(key).map(|key| key.len()) != Ok(16) {
        return Err(RequestFault::Key);
    }
    // [MQTT-6.0.0-3], and it is what is answered [MQTT-6.0.0-4].
    let protocol = PROTOCOLS
        .into_iter()
        .find(|name| request.has_token("sec-websocket-protocol", name))
        .ok_or(RequestFault::Protocol)?;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n",
        accept_of(key)
    );
    Ok(Accepted { answer, forwarded_for: request.forwarded_for(from, &options.trusted_proxies) })
}

/// Shows that the key was understood.
fn accept_of(key: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key.as_bytes());
    context.update(GUID);
    STANDARD.encode(context.finish())
}

struct Request<'a> {
    method: &'a str,
    target: &'a str,
    headers: Vec<(&'a str, &'a str)>,
}

impl<'a> Request<'a> {
    fn parse(head: &'a [u8]) -> Option<Self> {
        let head = core::str::from_utf8(head).ok()?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        if words.next().is_some() || version != "HTTP/1.1" || !target.starts_with('/') {
            return None;
        }
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
            is_name.then(|| (name, value.trim_matches([' ', '\t'])))
        });
        Some(Self { method, target, headers: headers.collect::<Option<_>>()? })
    }

    fn values(&self, wanted: &'static str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(wanted));
        named.map(|(_, value)| *value)
    }

    /// The value of a header that must stand there once.
    fn value(&self, wanted: &'static str) -> Option<&'a str> {
        let mut values = self.values(wanted);
        values.next().filter(|_| values.next().is_none())
    }

    /// Whether a list of words has this one.
    fn has_token(&self, wanted: &'static str, token: &str) -> bool {
        self.values(wanted)
            .flat_map(|value| value.split(','))
            .any(|word| word.trim_matches([' ', '\t']).eq_ignore_ascii_case(token))
    }

    /// The last address that no trusted proxy has: each proxy appends whom it was connected by, and
    /// what stands before the word of a stranger is the word of a stranger.
    fn forwarded_for(&self, from: IpAddr, trusted: &[Network]) -> Option<IpAddr> {
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
        if !is_trusted(from) {
            return None;
        }
        let words: Vec<&str> =
            self.values("x-forwarded-for").flat_map(|value| value.split(',')).collect();
        let mut client = None;
        for word in words.into_iter().rev() {
            let Ok(address) = word.trim_matches([' ', '\t']).parse::<IpAddr>() else { break };
            client = Some(address);
            if !is_trusted(address) {
                break;
            }
        }
        client
    }
}

impl RequestFault {
    /// The status of the answer.
    const fn status(self) -> &'static str {
        match self {
            Self::Garbage | Self::Key | Self::Protocol => "400 Bad Request",
            Self::TooLarge => "431 Request Header Fields Too Large",
            Self::NoUpgrade | Self::Version => "426 Upgrade Required",
            Self::Path => "404 Not Found",
            Self::Origin => "403 Forbidden",
        }
    }

    /// The answer with its text.
    pub(super) fn answer(self) -> String {
        let text = format!("{self}\n");
        let mut answer = format!("HTTP/1.1 {}\r\n", self.status());
        if matches!(self, Self::NoUpgrade | Self::Version) {
            answer.push_str("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
        }
        answer.push_str("Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n");
        answer.push_str(&format!("Content-Length: {}\r\n\r\n{text}", text.len()));
        answer
    }
}

impl core::fmt::Display for RequestFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Garbage => "this is no HTTP request; a WebSocket begins with one",
            Self::TooLarge => "the request is too large (websockets_headers_size)",
            Self::NoUpgrade => "this port serves MQTT over WebSocket: connect with an MQTT client",
            Self::Version => "the version of WebSocket is not 13",
            Self::Key => "Sec-WebSocket-Key is missing or not 16 bytes in base64",
            Self::Protocol => "Sec-WebSocket-Protocol does not offer `mqtt` [MQTT-6.0.0-3]",
            Self::Path => "nothing is served on this path (websocket_path)",
            Self::Origin => "pages of this origin may not connect (websockets_origin)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "GET /mqtt?x=1 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: other, mqtt";

    fn ask(head: &str, options: &WebSocketOptions) -> Result<Accepted, RequestFault> {
        answer(head.as_bytes(), [127, 0, 0, 1].into(), options)
    }

    #[test]
    fn the_key_of_the_standard_gives_its_answer() {
        let accepted = ask(PLAIN, &WebSocketOptions::default()).unwrap();
        assert!(accepted.answer.contains("Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(accepted.answer.ends_with("Sec-WebSocket-Protocol: mqtt\r\n\r\n"));
    }

    #[test]
    fn requests_that_are_none_are_refused_with_their_reason() {
        let options = WebSocketOptions {
            path: Some("/mqtt".into()),
            origins: vec!["https://example.com".into()],
            ..WebSocketOptions::default()
        };
        let good = format!("{PLAIN}\r\nOrigin: https://example.com");
        ask(&good, &options).unwrap();
        let table = [
            (good.replace("GET ", "FETCH it "), RequestFault::Garbage),
            (good.replace("HTTP/1.1", "HTTP/1.0"), RequestFault::Garbage),
            (good.replace("Host: a", "Host"), RequestFault::Garbage),
            (good.replace("GET", "POST"), RequestFault::NoUpgrade),
            (good.replace("WebSocket\r", "h2c\r"), RequestFault::NoUpgrade),
            (good.replace("Version: 13", "Version: 8"), RequestFault::Version),
            (good.replace("dGhl", "d"), RequestFault::Key),
            (good.replace("other, mqtt", "other, mqttx"), RequestFault::Protocol),
            (good.replace("/mqtt?", "/other?"), RequestFault::Path),
            (good.replace("//example", "//evil"), RequestFault::Origin),
        ];
        for (head, fault) in table {
            assert_eq!(ask(&head, &options).unwrap_err(), fault, "{head}");
            assert!(fault.answer().starts_with("HTTP/1.1 4"));
        }
    }

    #[test]
    fn clients_that_are_no_pages_need_no_origin() {
        let origins = vec!["https://example.com".into()];
        let options = WebSocketOptions { origins, ..WebSocketOptions::default() };
        ask(PLAIN, &options).unwrap();
        let none = ask(&format!("{PLAIN}\r\nOrigin: null"), &options).unwrap_err();
        assert_eq!(none, RequestFault::Origin);
    }

    #[test]
    fn the_word_of_a_stranger_about_its_address_is_not_taken() {
        let trusting = WebSocketOptions {
            trusted_proxies: vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()],
            ..WebSocketOptions::default()
        };
        let told = |list: &str, options: &WebSocketOptions| {
            ask(&format!("{PLAIN}\r\nX-Forwarded-For: {list}"), options).unwrap().forwarded_for
        };
        let client: IpAddr = "192.0.2.7".parse().unwrap();
        assert_eq!(told("1.1.1.1, 192.0.2.7, 10.0.0.1", &trusting), Some(client));
        assert_eq!(told("192.0.2.7", &WebSocketOptions::default()), None);
        assert_eq!(told("unknown", &trusting), None);
    }
}

//! Hostile bytes at every door of the server: on the parsers of the layers, in the files it is given, and
//! over real sockets. `SEEDS=10000 cargo test -p dunlin-server --test hostile` tries more of them.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

#[allow(dead_code, unreachable_pub, reason = "parts of the package, of which not all is used")]
mod bodies;
mod doors;
mod files;
mod logins;
#[path = "../../../../fuzz/harness/measure.rs"]
mod measure;
#[allow(dead_code, reason = "shared with other tests, which need more of it")]
#[path = "../../../../fuzz/harness/mutation.rs"]
mod mutation;
#[allow(dead_code, reason = "shared with other tests, which need more of it")]
#[path = "../../src/transport/pki.rs"]
mod pki;
#[allow(dead_code, reason = "shared with other tests, which need more of it")]
#[path = "../access/place.rs"]
mod place;

use measure::bounded;
use mutation::seeds;
use pki::Pki;

const PROXY: &[&[u8]] = &[
    b"PROXY TCP4 10.1.2.3 10.0.0.1 4711 1883\r\n\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0",
    b"PROXY TCP6 2001:db8::7 ::1 4711 1883\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\x01\x02\x03\x0a\0\0\x01\x12\x67\x07\x5b",
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x1f\x0a\x01\x02\x03\x0a\0\0\x01\x12\x67\x07\x5b\x20\0\x0d\x01\0\0\0\0\x22\0\x05meter\x04\0\0",
];

#[test]
fn headers_of_proxies() {
    let words = [
        "PROXY ",
        "TCP4 ",
        "TCP6 ",
        "UNKNOWN",
        "\r\n",
        "::1",
        "255.255.255.256",
        " ",
        "\r\n\r\n\0\r\nQUIT\n",
    ];
    seeds(1_000, |mutator| {
        let bytes = mutator.variant(PROXY, &words);
        bounded(bytes.len(), || bodies::proxy(&bytes));
    });
}

/// What a browser asks, and frames after it: a CONNECT in one, in two, a ping, an end.
const WEBSOCKET: &[u8] = b"GET /mqtt HTTP/1.1\r\nHost: localhost:9001\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\
    Origin: https://example.com\r\nX-Forwarded-For: 10.1.2.3, 127.0.0.1\r\n\r\n\
    \x82\x8e\0\0\0\0\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0\
    \x02\x81\x01\x02\x03\x04\xc1\x80\x81\x01\x02\x03\x04\x02\
    \x89\x84\0\0\0\0ping\x82\xfe\0\x80\x01\x02\x03\x04\x88\x82\0\0\0\0\x03\xe8";

#[test]
fn requests_and_frames_of_websockets() {
    let words = [
        "GET ",
        "POST ",
        " HTTP/1.1\r\n",
        "HTTP/2",
        "\r\n",
        "\r\n\r\n",
        "Upgrade: websocket",
        "Connection: ",
        ", ",
        "Sec-WebSocket-Protocol: mqtt",
        "Sec-WebSocket-Version: 8",
        "X-Forwarded-For: ",
        "Origin: null",
        ": ",
        "::1",
        "\u{1}",
        "\u{7f}",
    ];
    seeds(1_000, |mutator| {
        let bytes = mutator.variant(&[WEBSOCKET], &words);
        let longest = *mutator.pick(&[9, 70_000]);
        let step = 1 + mutator.below(longest);
        bounded(bytes.len(), || bodies::websocket(&bytes, step));
    });
}

#[test]
fn first_bytes_of_connections() {
    let samples: [&[u8]; 4] =
        [PROXY[0], PROXY[3], WEBSOCKET, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"];
    seeds(500, |mutator| {
        let bytes = mutator.variant(&samples, &["GET ", "PROXY ", "MQTT", "MQIsdp"]);
        bodies::first_bytes(&bytes);
    });
}

#[test]
fn certificates_of_clients() {
    let pki = Pki::new();
    let server = pki.server("server", &["localhost", "10.1.2.3", "::1", "*.example.com"]);
    let client = pki.client("meter-7");
    let samples =
        [server.certificate.der().as_ref(), client.certificate.der(), pki.authority.der()];
    let words =
        ["\u{1e}", "\x30\x03", "0\u{0}", "\x06\x03\x55\x04\x03", "\x17\x0d", "\u{2}\u{1}", "Z"];
    seeds(2_000, |mutator| {
        let bytes = mutator.variant(&samples, &words);
        bounded(bytes.len(), || bodies::certificate(&bytes));
    });
}

#[test]
fn answers_of_services() {
    let samples = [
        r#"{"result":"allow","username":"anna","superuser":false,"groups":["a"],"roles":["b"],"acl":{"publish":["x/#"]}}"#,
        r#"{"result":"deny"}"#,
        r#"{"result":"allow","username":null,"acl":null}"#,
    ];
    let words =
        ["allow", "\"superuser\":true", "[[", "\\ud800", "null", "1e999", "%u", "#", ",", "\""];
    seeds(2_000, |mutator| {
        let body = mutator.text(&samples, &words);
        bounded(body.len(), || bodies::answer(&body));
    });
}

#[test]
fn requests_of_operators() {
    let samples: [&[u8]; 5] = [
        br#"{"version":1,"command":"why","client":"meter","topic":"a/b","limit":5}"#,
        br#"{"version":1,"command":"clients","limit":100,"prefix":"m"}"#,
        br#"{"version":1,"command":"ban","target":"address:10.0.0.0/8","reason":"y","seconds":60}"#,
        br#"{"version":1,"command":"log-level","types":["error","warning"]}"#,
        br#"{"version":1,"command":"kick","client":"a\"b"}"#,
    ];
    let words = [
        "\"version\":",
        "\"command\":",
        "null",
        "[",
        "]",
        "{",
        "}",
        "\"",
        ",",
        ":",
        "\\u0000",
        "\\ud800",
        "-1",
        "\"reload\"",
        "\"unban\"",
        "\"limit\":",
        "\"seconds\":",
    ];
    seeds(1_000, |mutator| {
        let line = mutator.variant(&samples, &words);
        bounded(line.len(), || bodies::operator(&line));
    });
}

//! A service that is asked about logins, and what becomes of its answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::client::{Client, Login};
use super::place::Place;

/// A service on a free port; it lives as long as the process.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
}

impl Service {
    /// Answers the body of each request.
    pub(crate) fn start(respond: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let respond = std::sync::Arc::new(respond);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let respond = std::sync::Arc::clone(&respond);
                thread::spawn(move || serve(&mut stream.unwrap(), &*respond));
            }
        });
        Self { address }
    }
}

fn serve(stream: &mut TcpStream, respond: &dyn Fn(&str) -> String) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        request.push(byte[0]);
    }
    let head = String::from_utf8(request).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    let answer = respond(&format!("{head}{}", String::from_utf8(body).unwrap()));
    let written = stream.write_all(answer.as_bytes());
    assert!(written.is_ok() || answer.is_empty(), "{written:?}");
}

pub(crate) fn answer(status: u16, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} So\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

/// Decides by the user name.
fn decide(request: &str) -> String {
    assert!(request.contains("authorization: bearer hush-token"));
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let question: Value = serde_json::from_str(body).unwrap();
    assert_eq!(question["address"], "127.0.0.1");
    match question["username"].as_str().unwrap() {
        "anna" if question["password"] == "hush-anna" => {
            answer(200, r#"{"result":"allow","acl":{"publish":["anna/#"],"subscribe":["anna/#"]}}"#)
        }
        "root" => answer(200, r#"{"result":"allow","superuser":true}"#),
        "renamed" => {
            answer(200, r#"{"result":"allow","username":"anna","acl":{"publish":["of/%u"]}}"#)
        }
        "forbidden" => answer(403, ""),
        "broken" => answer(500, "hush-"),
        "strange" => answer(200, "yes"),
        "moved" => {
            "HTTP/1.1 302 So\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".into()
        }
        "slow" => {
            // Longer than anybody waits for it.
            thread::sleep(Duration::from_secs(60));
            answer(200, r#"{"result":"allow"}"#)
        }
        _ => answer(200, r#"{"result":"deny"}"#),
    }
}

#[test]
fn a_service_decides_and_nobody_comes_in_without_its_word() {
    let place = Place::new();
    place.write("acl", "topic nothing\n");
    let service = Service::start(decide);
    let server = place.serve(&format!(
        "security.http.url = 'http://{}/login'\nsecurity.http.token = 'hush-token'\nsecurity.http.timeout = '6s'\n\
         security.acl_file = 'DIR/acl'\nlistener = [{{ port = 1 }}]",
        service.address
    ));
    let address = server.addresses[0];
    let reason = |user| Client::try_connect(address, 5, Login::new("c", user, "hush-anna")).1;
    for (user, expected) in [
        ("anna", 0),
        ("nobody", 0x87),
        ("forbidden", 0x87),
        ("broken", 0x88),
        ("strange", 0x88),
        ("moved", 0x88),
        ("slow", 0x88),
    ] {
        assert_eq!(reason(user), expected, "{user}");
    }
    let login = |user| Login::new("d", user, "hush-anna");
    let mut anna = Client::connect(address, login("anna"));
    assert_ne!(anna.publish("anna/x", ""), 0x87);
    assert_eq!(anna.publish("other", ""), 0x87);
    let mut root = Client::connect(address, login("root"));
    assert_ne!(root.publish("other", ""), 0x87);
    let mut renamed = Client::connect(address, login("renamed"));
    assert_ne!(renamed.publish("of/anna", ""), 0x87);
    assert_eq!(renamed.publish("of/renamed", ""), 0x87);
}

#[test]
fn a_service_that_is_not_there_lets_nobody_in() {
    let place = Place::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = place.serve(&format!(
        "security.http.url = 'http://127.0.0.1:{port}/'\nlistener = [{{ port = 1 }}]"
    ));
    let login = Login::new("c", "anna", "hush-anna");
    assert_eq!(Client::try_connect(server.addresses[0], 5, login).1, 0x88);
}

#[test]
fn a_password_that_is_no_text_reaches_the_service_byte_by_byte() {
    let service = Service::start(|request| {
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        let question: Value = serde_json::from_str(body).unwrap();
        let expected = if question["username"] == "bytes" {
            question["password"].is_null() && question["password_base64"] == "aP8AgA=="
        } else {
            question["password"] == "h\u{e9}\u{1}" && question.get("password_base64").is_none()
        };
        answer(200, if expected { r#"{"result":"allow"}"# } else { r#"{"result":"deny"}"# })
    });
    let server = Place::new().serve(&format!(
        "security.http.url = 'http://{}/login'\nlistener = [{{ port = 1 }}]\n",
        service.address
    ));
    let mut packet = Login::new("b", "bytes", "####").packet(4);
    let at = packet.len() - 4;
    packet[at..].copy_from_slice(&[b'h', 0xFF, 0, 0x80]);
    let mut socket = TcpStream::connect(server.addresses[0]).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket.write_all(&packet).unwrap();
    let mut connack = [0; 4];
    socket.read_exact(&mut connack).unwrap();
    assert_eq!(connack, [0x20, 2, 0, 0]);
    let login = Login::new("t", "text", "h\u{e9}\u{1}");
    assert_eq!(Client::try_connect(server.addresses[0], 5, login).1, 0);
}

//! A running server whose every listener is given hostile bytes, and then a client that means well.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use dunlin_access::password::Kind;

use crate::measure::bounded;
use crate::mutation::{Mutator, seeds};
use crate::pki::Pki;
use crate::place::Place;
use crate::{PROXY, WEBSOCKET};

/// What clients say, right so far: logins of each version, an exchange, subscriptions, commands, all of QoS.
const CONVERSATIONS: &[&[u8]] = &[
    b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01c\x82\x06\0\x01\0\x01#\x01\x30\x06\0\x03a/bx\xc0\0\xe0\0",
    b"\x10\x16\0\x06MQIsdp\x03\xc2\0\0\0\x01d\0\x01u\0\x01p\xc0\0",
    b"\x10\x17\0\x04MQTT\x05\xc2\0\0\0\0\x01e\0\x04anna\0\x01x\x82\x09\0\x01\0\0\x03a/#\x02\x34\x09\0\x03a/b\0\x01\0xy\x62\x02\0\x01",
    b"\x10\x41\0\x04MQTT\x05\x02\0\0\x33\x15\0\x0dSCRAM-SHA-256\x16\0\x20n,,n=anna,r=fyko+d2lbbFgONRv9qkxaw\0\x01f\
      \xf0\x1a\x18\x18\x15\0\x0dSCRAM-SHA-256\x16\0\x05c=biw",
    b"\x10\x0e\0\x04MQTT\x05\x02\0\0\0\0\x01g\x30\x30\0\x1c$CONTROL/dynamic-security/v1\0{\"commands\":[{}]}",
];
const WORDS: &[&str] =
    &["\u{4}MQTT\u{5}", "$share/g/#", "$CONTROL/", "#", "+", "SCRAM-SHA-256", "\u{0}", "n,,n="];

/// Nobody waits for an answer to nonsense for longer.
const ANSWER: Duration = Duration::from_millis(15);

/// Bytes that a server in a test build may have grown by: buffers of its shards and threads. 64 MiB.
const GROWTH: usize = 64 << 20;

fn throw(address: SocketAddr, bytes: &[u8], mutator: &mut Mutator) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(ANSWER)).unwrap();
    socket.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    let (first, second) = bytes.split_at(mutator.below(bytes.len() + 1));
    // The server hangs up on most of it, at times before it has taken all.
    if socket.write_all(first).is_ok() && mutator.below(3) == 0 {
        drop(socket.read(&mut [0; 4_096]));
    }
    drop(socket.write_all(second));
    drop(socket.shutdown(Shutdown::Write));
    drop(socket.read(&mut [0; 4_096]));
}

/// Somebody who logs in, subscribes, publishes and gets it, wherever the session is at home.
fn is_served(address: SocketAddr) {
    for id in *b"stuvwxyz" {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut packets = b"\x10\x16\0\x04MQTT\x04\xc2\0\0\0\x01?\0\x04anna\0\x01x".to_vec();
        packets[14] = id;
        packets.extend(b"\x82\x09\0\x01\0\x04me/?\0\x30\x08\0\x04me/?hi");
        let topics: Vec<usize> = (0..packets.len()).filter(|&at| packets[at] == b'?').collect();
        topics.iter().for_each(|&at| packets[at] = id);
        socket.write_all(&packets).unwrap();
        let mut answer = [0; 4 + 5 + 10];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(&answer[..4], b"\x20\x02\0\0", "{answer:02x?}");
        assert_eq!(&answer[17..], b"hi", "{answer:02x?}");
    }
}

#[test]
fn a_server_that_is_shouted_at_serves_whoever_means_well() {
    let (place, pki) = (Place::new(), Pki::new());
    let signed = pki.server("server", &["localhost"]);
    place.passwords("passwords", &[("anna", "x", Kind::Sha512)]);
    let server = place.serve(&format!(
        "security.password_file = 'DIR/passwords'\nsecurity.scram = true\n[[listener]]\nport = 1\n\
         [[listener]]\nport = 2\nprotocol = 'websockets'\n\
         [[listener]]\nport = 3\nproxy_protocol = 'v1'\nproxy_from = ['127.0.0.1/32']\n\
         [[listener]]\nport = 4\ncertfile = '{}'\nkeyfile = '{}'\n\
         [[listener]]\nport = 5\nproxy_protocol = 'v2'\nprotocol = 'websockets'\n",
        signed.chain.display(),
        signed.key.display()
    ));
    is_served(server.addresses[0]);
    let hello = b"\x16\x03\x01\0\x60\x01\0\0\x5c\x03\x03".as_slice();
    let samples: Vec<&[u8]> = [CONVERSATIONS, PROXY, &[WEBSOCKET, hello]].concat();
    bounded(GROWTH / 400, || {
        seeds(150, |mutator| {
            let address = *mutator.pick(&server.addresses);
            // What belongs there, and more often than not damaged.
            let bytes = mutator.variant(&samples, WORDS);
            throw(address, &bytes, mutator);
        });
    });
    is_served(server.addresses[0]);
}

//! What the real Mosquitto has stored, brought over. Without Mosquitto there is nothing to show.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::place::{Broker, Place, ctl, export, said, text};

struct Mosquitto {
    process: Child,
    port: u16,
}

impl Mosquitto {
    /// `None` where there is none.
    fn start(place: &Place) -> Option<Self> {
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = free.local_addr().expect("its address").port();
        drop(free);
        let directory = place.path("mosquitto");
        fs::create_dir(&directory).expect("a directory");
        // Started by root, it would become somebody else, who may not write here.
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\n\
             persistence_location {}/\nmax_queued_messages 0\n",
            text(&directory)
        );
        let config = place.file("mosquitto.conf", config.as_bytes());
        let log = File::create(place.path("mosquitto.log")).expect("a file");
        let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];
        let program = program.into_iter().find(|path| Path::new(path).exists())?;
        let process = Command::new(program)
            .arg("-c")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Mosquitto starts");
        Some(Self { process, port })
    }

    /// A connection of MQTT 3.1.1 with a session that stays.
    fn connect(&self, client_id: &str) -> TcpStream {
        let mut stream = (0..1_200)
            .find_map(|_| match TcpStream::connect(("127.0.0.1", self.port)) {
                Ok(stream) => Some(stream),
                Err(_) => {
                    std::thread::sleep(Duration::from_millis(50));
                    None
                }
            })
            .expect("Mosquitto accepts");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time limit");
        let mut packet = b"\x10\x00\x00\x04MQTT\x04\x00\x00\x00\x00".to_vec();
        packet.push(client_id.len() as u8);
        packet.extend_from_slice(client_id.as_bytes());
        packet[1] = packet.len() as u8 - 2;
        stream.write_all(&packet).expect("CONNECT");
        assert_eq!(answer(&mut stream)[..2], [0x20, 2]);
        stream
    }

    /// Ends it, which writes its file.
    fn stop(mut self) {
        let id = self.process.id().to_string();
        let killed = Command::new("kill").arg(id).status().expect("there is a kill");
        assert!(killed.success());
        self.process.wait().expect("it ends");
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The next packet, which is a short one.
fn answer(stream: &mut TcpStream) -> Vec<u8> {
    let mut packet = vec![0; 2];
    stream.read_exact(&mut packet).expect("an answer");
    let length = usize::from(packet[1]);
    packet.resize(2 + length, 0);
    stream.read_exact(&mut packet[2..]).expect("the whole answer");
    packet
}

fn subscribe(stream: &mut TcpStream, filter: &str, qos: u8) {
    let mut packet = vec![0x82, filter.len() as u8 + 5, 0, 1, 0, filter.len() as u8];
    packet.extend_from_slice(filter.as_bytes());
    packet.push(qos);
    stream.write_all(&packet).expect("SUBSCRIBE");
    assert_eq!(answer(stream)[0], 0x90);
}

fn publish(stream: &mut TcpStream, first: u8, topic: &str, packet_id: u8, payload: &str) {
    let length = topic.len() + payload.len() + 4;
    let mut packet = vec![first, length as u8, 0, topic.len() as u8];
    packet.extend_from_slice(topic.as_bytes());
    packet.extend_from_slice(&[0, packet_id]);
    packet.extend_from_slice(payload.as_bytes());
    stream.write_all(&packet).expect("PUBLISH");
    answer(stream);
}

/// Sessions, subscriptions, a queue, messages in flight both ways and retained messages.
fn fill(mosquitto: &Mosquitto) {
    drop(mosquitto.connect("early"));
    let mut keeper = mosquitto.connect("keeper");
    subscribe(&mut keeper, "a/#", 2);
    drop(keeper);
    let mut flight = mosquitto.connect("flight");
    subscribe(&mut flight, "f/+", 2);
    let mut publisher = mosquitto.connect("publisher");
    for number in 1..=100 {
        let payload = format!("queued {number}");
        publish(&mut publisher, 0x32, "a/1", number, &payload);
    }
    publish(&mut publisher, 0x33, "r/1", 101, "kept");
    publish(&mut publisher, 0x33, "r/2", 102, "kept, too");
    publish(&mut publisher, 0x34, "a/2", 103, "not released");
    for packet_id in [104, 105] {
        publish(&mut publisher, 0x34, "f/1", packet_id, "in flight");
        publisher.write_all(&[0x62, 2, 0, packet_id]).expect("PUBREL");
        assert_eq!(answer(&mut publisher), [0x70, 2, 0, packet_id]);
    }
    for _ in 0..2 {
        assert_eq!(answer(&mut flight)[0], 0x34);
    }
    // The first is received, the second is not acknowledged at all.
    flight.write_all(&[0x50, 2, 0, 1]).expect("PUBREC");
    assert_eq!(answer(&mut flight), [0x62, 2, 0, 1]);
}

#[test]
fn what_mosquitto_has_stored_is_served_by_dunlin() {
    let place = Place::new();
    let Some(mosquitto) = Mosquitto::start(&place) else {
        println!("skipped: Mosquitto is not installed");
        return;
    };
    fill(&mosquitto);
    mosquitto.stop();
    let directory = place.path("store");
    let file = place.path("mosquitto/mosquitto.db");
    let imported = ctl(&["import", "--from", "mosquitto", text(&file)], &directory);
    assert!(imported.status.success(), "{imported:?}");
    assert!(said(&imported).contains("4 sessions, 104 messages"), "{imported:?}");
    let lines = export(&directory);
    for part in [
        r#""client_id":"early","session_expiry_interval":4294967295,"parted":{}}"#,
        r##""parted":{},"subscriptions":[{"topic_filter":"a/#","qos":2}]}"##,
        r#""subscriptions":[{"topic_filter":"f/+","qos":2}],"releases":[1]}"#,
        r#""qos":2,"packet_id":2}]}"#,
        r#""held":{"session":"#,
    ] {
        assert!(lines.contains(part), "{part}: {lines}");
    }
    let broker = Broker::start(&directory);
    let got = broker.run("sub -i keeper -c -q 2 -t a/# -C 100 -W 60");
    let expected: String = (1..=100).map(|number| format!("queued {number}\n")).collect();
    assert_eq!(got, expected);
    let got = broker.run("sub -v -t r/# -C 2 -W 60");
    let mut got: Vec<_> = got.lines().collect();
    got.sort_unstable();
    assert_eq!(got, ["r/1 kept", "r/2 kept, too"]);
    let got = broker.run("sub -i flight -c -q 2 -t f/+ -C 1 -W 60");
    assert_eq!(got, "in flight\n");
}

#[test]
fn broken_files_of_mosquitto_are_refused_with_their_place() {
    let place = Place::new();
    let whole = include_bytes!("../data/mosquitto-2.0.11.db");
    let file = place.file("mosquitto.db", &whole[..500]);
    let directory = place.path("store");
    let refused = ctl(&["import", "--from", "mosquitto", text(&file)], &directory);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(said(&refused).contains("mosquitto.db: offset 477: cut short"), "{refused:?}");
    assert!(matches!(fs::metadata(directory), Err(error) if error.kind() == ErrorKind::NotFound));
}

//! A long queue of a session that is away.

use std::time::Duration;

use dunlin_testkit::{Connect, Event, Packet, Publish, RawClient, Version, request};

use crate::daemon::Daemon;

/// Messages that wait, and the bytes of each.
const MESSAGES: u64 = 30_000;
const PAYLOAD: u64 = 2_000;
/// Unacknowledged at the publisher.
const WINDOW: u64 = 15;
/// Unacknowledged at the subscriber: that of the broker.
const WINDOW_OUT: u64 = 1000;
const PATIENCE: Duration = Duration::from_secs(60);
/// Acknowledgements after which the subscriber waits until they are written down: fewer than it may have open.
const WRITTEN: usize = 500;

fn publish(daemon: &Daemon, from: u64, to: u64) {
    let connect = Connect::persistent(Version::V5, "source");
    let (mut client, _) = RawClient::connect(daemon.address(), &connect);
    let (mut sent, mut acknowledged) = (from, from);
    while acknowledged < to {
        let mut bytes = Vec::new();
        while sent < to && sent - acknowledged < WINDOW {
            sent += 1;
            let text = format!("{sent} {}", "x".repeat(PAYLOAD as usize));
            let packet_id = (sent % 1000 + 1) as u16;
            bytes.extend(Publish::new("long", &text).qos(1, packet_id).bytes(Version::V5));
        }
        client.send(&bytes);
        match client.next(PATIENCE) {
            Event::Packet(Packet::PubAck(ack)) if ack.reason == 0 => acknowledged += 1,
            other => panic!("{other:?} after {acknowledged}"),
        }
    }
    client.disconnect();
}

fn subscriber(daemon: &Daemon) -> (RawClient, bool) {
    let connect = Connect::persistent(Version::V5, "sink");
    let (client, answer) = RawClient::connect(daemon.address(), &connect);
    (client, answer.session_present)
}

/// Receives up to a number, in order. What came before the kill may come again, at QoS 1 without DUP if
/// that it was sent was not written down yet.
fn receive(client: &mut RawClient, last: &mut u64, to: u64) {
    let (mut held, mut since, mut asked) = (Vec::new(), 0, false);
    while *last < to {
        let publish = match client.next(PATIENCE) {
            Event::Packet(Packet::Publish(publish)) => publish,
            // What was acknowledged before is written with what this is the answer to.
            Event::Packet(Packet::PubAck(_)) => {
                client.send(&std::mem::take(&mut held));
                (since, asked) = (0, false);
                continue;
            }
            other => panic!("{other:?} after {last} of {to}"),
        };
        let text = publish.text();
        let number: u64 = text.split_once(' ').and_then(|(n, _)| n.parse().ok()).expect("a number");
        assert!(number <= *last + 1, "{number} came after {last}");
        assert!(number + 2 * WINDOW_OUT > *last, "{number} came again after {last}");
        *last = (*last).max(number);
        held.extend(request::ack(request::PUBACK, publish.packet_id));
        if !asked {
            client.send(&std::mem::take(&mut held));
            since += 1;
        }
        if since == WRITTEN && !asked {
            let kept = Publish::new("written", "so far").qos(1, 1).retained();
            client.send(&kept.bytes(Version::V5));
            asked = true;
        }
    }
}

#[test]
fn a_long_queue_stays_on_the_disk_and_in_order() {
    let mut daemon = Daemon::new("queue", "always").option("--max-queued", "0");
    daemon.start(&[]);
    let idle = daemon.resident_bytes();
    let (mut client, _) = subscriber(&daemon);
    client.subscribe("long", 1);
    client.disconnect();
    publish(&daemon, 0, MESSAGES / 2);
    daemon.kill();
    daemon.start(&[]);
    publish(&daemon, MESSAGES / 2, MESSAGES);
    daemon.kill();
    daemon.start(&[]);
    if let (Some(idle), Some(now)) = (idle, daemon.resident_bytes()) {
        eprintln!("resident: {idle} bytes idle, {now} with {MESSAGES} messages waiting");
        // The payloads stay on the disk.
        assert!(now.saturating_sub(idle) < MESSAGES * PAYLOAD / 2, "{idle} grew to {now}");
    }
    let mut last = 0;
    for part in 1..=4 {
        let (mut client, present) = subscriber(&daemon);
        assert!(present);
        receive(&mut client, &mut last, MESSAGES * part / 4);
        if let Some(now) = daemon.resident_bytes() {
            eprintln!("resident: {now} bytes after {last}");
        }
        // In the middle of a full window.
        daemon.kill();
        daemon.start(&[]);
    }
    let (mut client, _) = subscriber(&daemon);
    while let Event::Packet(Packet::Publish(publish)) = client.next(Duration::from_millis(500)) {
        let text = publish.text();
        let number = text.split_once(' ').and_then(|(n, _)| n.parse::<u64>().ok());
        assert!(
            number.is_some_and(|number| number + 2 * WINDOW_OUT > MESSAGES),
            "{number:?} came again"
        );
    }
}

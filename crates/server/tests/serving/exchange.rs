//! Messages between clients, of one shard and of several.

use std::thread;
use std::time::Duration;

use dunlin_server::{ServerOptions, Settings};

use super::wire::{Server, Wire, ack, connect, publish, subscribe};

/// Every QoS from a publisher to a subscriber, with all acknowledgements.
fn exchange(publisher: &mut Wire, subscriber: &mut Wire) {
    subscriber.subscribe("a/+", 2);

    publisher.send(&publish("a/0", 0, 0, b"zero"));
    subscriber.expect(&publish("a/0", 0, 0, b"zero"));

    publisher.send(&publish("a/1", 1, 7, b"one"));
    publisher.expect(&ack(0x40, 7));
    subscriber.expect(&publish("a/1", 1, 1, b"one"));
    subscriber.send(&ack(0x40, 1));

    publisher.send(&publish("a/2", 2, 8, b"two"));
    publisher.expect(&ack(0x50, 8));
    publisher.send(&ack(0x62, 8));
    publisher.expect(&ack(0x70, 8));
    let (first, body) = subscriber.packet();
    assert_eq!((first, &body[..5]), (0x34, &b"\0\x03a/2"[..]));
    let packet_id = u16::from_be_bytes([body[5], body[6]]);
    subscriber.send(&ack(0x50, packet_id));
    subscriber.expect(&ack(0x62, packet_id));
    subscriber.send(&ack(0x70, packet_id));
    subscriber.expect_silence();
}

#[test]
fn two_clients_exchange_every_qos_on_one_shard() {
    let server = Server::with_shards(1);
    exchange(&mut Wire::connect(&server, "from"), &mut Wire::connect(&server, "to"));
}

#[test]
fn two_clients_exchange_every_qos_across_shards() {
    let server = Server::with_shards(2);
    // Dealt out in turn: the second client lives on the other shard.
    exchange(&mut Wire::connect(&server, "from"), &mut Wire::connect(&server, "to"));
    let (mut to, mut from) = (Wire::connect(&server, "to"), Wire::connect(&server, "from"));
    exchange(&mut from, &mut to);
}

#[test]
fn what_follows_connect_at_once_moves_with_the_connection() {
    let server = Server::with_shards(4);
    for client in 0..8 {
        let mut wire = Wire::open(&server);
        let topic = format!("own/{client}");
        let mut bytes = connect(4, &format!("client {client}"));
        bytes.extend(subscribe(1, &topic, 0));
        bytes.extend(publish(&topic, 0, 0, b"to myself"));
        wire.send(&bytes);
        wire.expect(&[0x20, 2, 0, 0]);
        wire.expect(&[0x90, 3, 0, 1, 0]);
        wire.expect(&publish(&topic, 0, 0, b"to myself"));
    }
}

#[test]
fn what_a_client_sent_last_is_read_before_it_connects_again() {
    let server = Server::with_shards(2);
    let mut watcher = Wire::connect(&server, "watcher");
    watcher.subscribe("last", 0);
    // On the other shard than the one that accepts, or on the same.
    for id in ["one", "two"] {
        let mut client = Wire::resume(&server, id, false);
        for round in 0..300 {
            let message = publish("last", 0, 0, format!("{id} {round}").as_bytes());
            client.send(&message);
            drop(client);
            client = Wire::resume(&server, id, true);
            watcher.expect(&message);
        }
    }
}

#[test]
fn a_newer_connection_takes_over_wherever_it_arrives() {
    let server = Server::with_shards(3);
    let mut clients: Vec<_> =
        (0..6).map(|client| Wire::connect(&server, &format!("client {client}"))).collect();
    for (client, old) in clients.iter_mut().enumerate() {
        let mut new = Wire::connect(&server, &format!("client {client}"));
        old.expect_end();
        new.send(&[0xC0, 0]);
        new.expect(&[0xD0, 0]);
        *old = new;
    }
}

#[test]
fn order_is_kept_across_shards_under_load() {
    const MESSAGES: u32 = 20_000;
    // Nothing may be dropped here because the subscriber is slower.
    let settings = Settings { maximum_queued_messages: 20_000, ..Settings::default() };
    let options =
        ServerOptions { shards: 2, sessions_ahead: 1, settings, ..ServerOptions::default() };
    let server = Server::with(options);
    let mut publisher = Wire::connect(&server, "from");
    let mut subscriber = Wire::connect(&server, "to");
    subscriber.subscribe("numbers", 1);
    let sending = thread::spawn(move || {
        for chunk in (0..MESSAGES).collect::<Vec<_>>().chunks(100) {
            let mut bytes = Vec::new();
            for number in chunk {
                let id = u16::try_from(number % 60_000).unwrap() + 1;
                bytes.extend(publish("numbers", 1, id, &number.to_be_bytes()));
            }
            publisher.send(&bytes);
            for _ in chunk {
                assert_eq!(publisher.packet().0, 0x40);
            }
        }
    });
    for number in 0..MESSAGES {
        let (_, body) = subscriber.packet();
        assert_eq!(body[11..], number.to_be_bytes());
        subscriber.send(&ack(0x40, u16::from_be_bytes([body[9], body[10]])));
    }
    sending.join().unwrap();
}

#[test]
fn a_packet_that_comes_in_pieces_is_put_together() {
    let server = Server::with_shards(1);
    let mut wire = Wire::connect(&server, "slow");
    wire.subscribe("pieces", 0);
    let payload: Vec<u8> = (0..300_000u32).map(|number| number as u8).collect();
    let bytes = publish("pieces", 0, 0, &payload);
    let mut sender = Wire::connect(&server, "sender");
    let sizes = [1, 1, 1, 5, 10_000, 20_000, 70_000, 3];
    let mut rest = &bytes[..];
    for size in sizes {
        let (piece, later) = rest.split_at(size);
        sender.send(piece);
        thread::sleep(Duration::from_millis(5));
        rest = later;
    }
    sender.send(rest);
    wire.expect(&bytes);
    sender.send(&publish("pieces", 0, 0, b"after"));
    wire.expect(&publish("pieces", 0, 0, b"after"));
}

#[test]
fn a_reader_that_pauses_gets_everything_in_the_end() {
    const MESSAGES: u16 = 500;
    let server = Server::with_shards(2);
    let mut publisher = Wire::connect(&server, "from");
    let mut subscriber = Wire::connect(&server, "to");
    subscriber.subscribe("big", 1);
    let payload = vec![7; 20_000];
    for id in 1..=MESSAGES {
        publisher.send(&publish("big", 1, id, &payload));
        publisher.expect(&ack(0x40, id));
    }
    for _ in 0..MESSAGES {
        let (_, body) = subscriber.packet();
        assert_eq!(body.len(), 2 + 3 + 2 + payload.len());
        subscriber.send(&ack(0x40, u16::from_be_bytes([body[5], body[6]])));
    }
    subscriber.expect_silence();
}

#[test]
fn a_flood_does_not_starve_others() {
    let server = Server::with_shards(1);
    let mut flooder = Wire::connect(&server, "flooder");
    let mut other = Wire::connect(&server, "other");
    let flood = publish("nobody/listens", 0, 0, &[0; 100]).repeat(1_000);
    let flooding = thread::spawn(move || {
        for _ in 0..300 {
            flooder.send(&flood);
        }
    });
    for _ in 0..50 {
        other.send(&[0xC0, 0]);
        other.expect(&[0xD0, 0]);
    }
    flooding.join().unwrap();
}

#[test]
fn full_mailboxes_slow_publishers_down_and_lose_nothing() {
    const MESSAGES: u16 = 3_000;
    // Room for no more than a message or two: both shards are over the limit all the time.
    let settings = Settings { maximum_queued_messages: 10_000, ..Settings::default() };
    let mailbox_bytes = 1_000;
    let server = Server::with(ServerOptions {
        shards: 2,
        sessions_ahead: 1,
        settings,
        mailbox_bytes,
        ..ServerOptions::default()
    });
    let mut wires = [Wire::connect(&server, "one"), Wire::connect(&server, "other")];
    let topics = ["for/one", "for/other"];
    for (wire, topic) in wires.iter_mut().zip(topics) {
        wire.subscribe(topic, 1);
    }
    let both = wires.into_iter().zip([topics[1], topics[0]]).map(|(mut wire, topic)| {
        thread::spawn(move || {
            let (mut acknowledged, mut received) = (0, 0);
            for id in 1..=MESSAGES {
                wire.send(&publish(topic, 1, id, &[5; 500]));
                while acknowledged + 100 < id {
                    one_more(&mut wire, &mut acknowledged, &mut received);
                }
            }
            while acknowledged < MESSAGES || received < MESSAGES {
                one_more(&mut wire, &mut acknowledged, &mut received);
            }
        })
    });
    for thread in both.collect::<Vec<_>>() {
        thread.join().unwrap();
    }
}

/// Takes a PUBACK, or a PUBLISH that it acknowledges.
fn one_more(wire: &mut Wire, acknowledged: &mut u16, received: &mut u16) {
    let (first, body) = wire.packet();
    if first == 0x40 {
        *acknowledged += 1;
    } else {
        *received += 1;
        let topic = usize::from(body[1]);
        wire.send(&ack(0x40, u16::from_be_bytes([body[2 + topic], body[3 + topic]])));
    }
}

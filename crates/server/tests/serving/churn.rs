//! Clients that come and go all the time, on every shard at once.

use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use dunlin_server::ServerOptions;

use super::wire::{Server, Wire, ack, connect, publish, subscribe, wait_until};

const LENGTH: Duration = Duration::from_millis(1_500);

/// One short life: any of it may be cut off by a newer connection with the same identifier.
fn live(address: SocketAddr, random: u64) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    // Few identifiers, so that connections meet; some sessions are to be kept.
    let mut hello = connect(4, &format!("client {}", random % 7));
    if random & 0x100 != 0 {
        hello[9] = 0;
    }
    stream.write_all(&hello)?;
    let qos = (random >> 10) as u8 % 3;
    stream.write_all(&subscribe(1, "churn/+", qos))?;
    stream.write_all(&publish(&format!("churn/{}", random % 5), qos, 1, &[1; 700]))?;
    if qos == 2 {
        stream.write_all(&ack(0x62, 1))?;
    }
    let mut buffer = [0; 4096];
    for _ in 0..(random >> 20) % 4 {
        if stream.read(&mut buffer)? == 0 {
            return Ok(());
        }
    }
    if random & 0x200 != 0 {
        stream.write_all(&[0xE0, 0])?;
    }
    Ok(())
}

#[test]
fn takeovers_across_shards_leave_a_server_that_works() {
    let options = ServerOptions { shards: 4, sessions_ahead: 1, ..ServerOptions::default() };
    let server = Server::with(options);
    let address = server.address;
    let end = Instant::now() + LENGTH;
    // Not one of them without a number of lives, however busy the machine is.
    let threads: Vec<_> = (0..6u64)
        .map(|number| {
            thread::spawn(move || {
                let hasher = RandomState::new();
                let mut lives = 0u64;
                while Instant::now() < end || lives < 10 {
                    // What happens to a single life does not matter here.
                    drop(live(address, hasher.hash_one((number, lives))));
                    lives += 1;
                }
                lives
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    // What the last of them sent may be read yet, and take the place of whoever has come meanwhile. They were
    // all accepted before this one.
    drop(Wire::connect(&server, "after them"));
    wait_until("all are gone", || server.handle().listeners()[0].connections == 0);

    // Each identifier still has one home: a second connection always ends the first.
    for client in 0..7 {
        let id = format!("client {client}");
        let mut first = Wire::connect(&server, &id);
        let mut second = Wire::connect(&server, &id);
        first.expect_end();
        second.send(&[0xC0, 0]);
        second.expect(&[0xD0, 0]);
    }
    server.handle().stop();
    server.join();
}

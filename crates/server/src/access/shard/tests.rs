//! Verdicts that cross with what takes the right away to come in.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use dunlin_config::{Disk, Loader};
use parking_lot::Mutex;

use crate::options::ServerOptions;
use crate::shared::Parcel;
use crate::start::{Handle, start};

const PATIENCE: Duration = Duration::from_secs(60);

/// A service that is asked about logins and lets everybody in, when it is told to.
fn service() -> (SocketAddr, Receiver<()>, SyncSender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, is_asked) = sync_channel(16);
    let (go, wait) = sync_channel(16);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while stream.read_line(&mut line).unwrap() > 2 {
                let value = line.to_lowercase();
                let value = value.strip_prefix("content-length:").map(|rest| rest.trim().parse());
                length = value.map_or(length, |value| value.unwrap());
                line.clear();
            }
            stream.read_exact(&mut vec![0; length]).unwrap();
            asked.send(()).unwrap();
            wait.recv().unwrap();
            let body = r#"{"result":"allow"}"#;
            let head = "HTTP/1.1 200 So\r\nConnection: close\r\nContent-Length:";
            write!(stream.get_mut(), "{head} {}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    (address, is_asked, go)
}

fn serve(hook: SocketAddr) -> Handle {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dunlin.toml");
    let toml = format!(
        "persistence.enabled = false\nsecurity.http.url = 'http://{hook}/'\n\
         listener = [{{ address = '127.0.0.1', port = 1 }}]\n"
    );
    std::fs::write(&path, toml).unwrap();
    let loaded = Loader::new(&Disk).load(path.to_str()).unwrap();
    let mut options = ServerOptions::from_config(&loaded.config).unwrap();
    options.shards = 1;
    for listener in &mut options.listeners {
        listener.place = crate::entrance::Place::Tcp {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            interface: None,
        };
    }
    start(options).unwrap()
}

/// Lets the only shard wait in its turn until what is given back is used.
fn stop_the_shard(handle: &Handle) -> SyncSender<()> {
    let (stopped, is_stopped) = sync_channel(1);
    let (go, wait) = sync_channel::<()>(1);
    let wait = Mutex::new(wait);
    let mailbox = &handle.shared.mailboxes[0];
    let question = move |_: &dunlin_broker::Broker, _| {
        stopped.send(()).unwrap();
        wait.lock().recv_timeout(PATIENCE).unwrap();
    };
    mailbox.post(Parcel::Ask(Arc::new(question)), 0);
    mailbox.ring();
    is_stopped.recv_timeout(PATIENCE).unwrap();
    go
}

#[test]
fn a_client_that_was_let_in_before_it_was_banned_and_comes_in_after_is_refused() {
    let (hook, is_asked, answer) = service();
    let handle = serve(hook);
    let mut client = TcpStream::connect(handle.addresses()[0]).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    // 3.1.1, clean, user "u": client identifier "late".
    let connect = b"\x10\x13\x00\x04MQTT\x04\x82\x00\x00\x00\x04late\x00\x01u";
    client.write_all(connect).unwrap();
    is_asked.recv_timeout(PATIENCE).unwrap();
    let go_on = stop_the_shard(&handle);
    answer.send(()).unwrap();
    // The verdict is on its way as soon as the worker has it; the shard cannot take it yet.
    thread::sleep(Duration::from_millis(300));
    handle.ban("client:late", "meanwhile", None).unwrap();
    go_on.send(()).unwrap();
    // Should it be asked again about more than the ban.
    answer.send(()).unwrap();
    let mut connack = [0; 4];
    client.read_exact(&mut connack).unwrap();
    assert_eq!(connack, [0x20, 2, 0, 5]);
    handle.stop();
    handle.join().unwrap();
}

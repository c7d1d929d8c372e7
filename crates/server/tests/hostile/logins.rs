//! Failed logins cost the same whoever is named: told by the memory that a hash takes, which does not vary
//! as time does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::measure::peak_of;
use crate::place::Place;

/// KiB that the hash of the only user takes: far above what else the server may take meanwhile. 96 MiB.
const MEMORY: usize = 96 * 1024;

/// The return code of a CONNECT of 3.1.1 with these.
fn login(address: SocketAddr, user: &str, password: Option<&str>) -> u8 {
    let mut body = b"\0\x04MQTT\x04\x82\0\0\0\x01c".to_vec();
    body[7] |= u8::from(password.is_some()) << 6;
    for text in [Some(user), password].into_iter().flatten() {
        body.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        body.extend(text.as_bytes());
    }
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(300))).unwrap();
    let length = u8::try_from(body.len()).ok().filter(|length| *length < 128).unwrap();
    socket.write_all(&[&[0x10, length], &*body].concat()).unwrap();
    let mut answer = [0; 4];
    socket.read_exact(&mut answer).unwrap();
    answer[3]
}

#[test]
fn a_failed_login_is_hashed_whether_or_not_the_user_exists() {
    let place = Place::new();
    let hash = format!("$argon2id$v=19$m={MEMORY},t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA");
    place.write("passwords", &format!("anna:{hash}\n"));
    let server = place.serve("security.password_file = 'DIR/passwords'\n[[listener]]\nport = 1\n");
    let address = server.addresses[0];
    for user in ["anna", "nobody", "anna ", "", "\u{e4}"] {
        for password in [Some("wrong"), Some(""), None] {
            let peak = peak_of(|| assert_eq!(login(address, user, password), 5));
            // Others may give memory back meanwhile, but far less.
            assert!(peak >= MEMORY * 1024 / 2, "{user:?} {password:?}: {peak} bytes, so no hash");
            assert!(peak < 2 * MEMORY * 1024, "{user:?} {password:?}: {peak} bytes");
        }
    }
}

//! Logins that come all at once.

use std::time::Instant;

use dunlin_access::password::Kind;

use super::client::{Client, Login};
use super::place::Place;

/// After a failure of the network, all gateways of a site come back with the same user.
#[test]
fn a_password_that_many_show_at_once_is_hashed_for_few() {
    const CLIENTS: u32 = 60;
    let place = Place::new();
    place.passwords("passwd", &[("anna", "hush-anna", Kind::Argon2id)]);
    let server = place.serve(
        "security.password_file = 'DIR/passwd'\nlimits.password_checks = 1\n\
         limits.connect_timeout = '60s'\nlistener = [{ port = 1 }]\n",
    );
    let address = server.addresses[0];
    let taken = |password: &str, reason: u8| {
        let begun = Instant::now();
        let begin = |_| Client::begin(address, 5, Login::new("", "anna", password));
        let mut clients: Vec<Client> = (0..CLIENTS).map(begin).collect();
        clients.iter_mut().for_each(|client| assert_eq!(client.connack(), reason));
        Instant::now().duration_since(begun)
    };
    // Nothing is remembered of a wrong one, so it takes a hash for each client.
    let wrong = taken("wrong", 0x87);
    let right = taken("hush-anna", 0);
    assert!(right < wrong / 3, "{right:?}, and {wrong:?} for {CLIENTS} hashes");
}

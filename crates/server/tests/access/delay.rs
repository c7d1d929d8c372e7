//! Refused logins that are answered after a while.

use std::thread;
use std::time::{Duration, Instant};

use dunlin_access::password::Kind;

use super::client::{Client, Login};
use super::place::{Place, Server};

/// Far longer than a login takes without it, on a machine that has other things to do.
const DELAY: Duration = Duration::from_secs(5);

fn serve(place: &Place, more: &str) -> Server {
    place.passwords("passwd", &[("anna", "hush-anna", Kind::Sha512)]);
    place.serve(&format!(
        "security.password_file = 'DIR/passwd'\nsecurity.logins.delay = '5s'\n{more}\
         listener = [{{ port = 1 }}]\n"
    ))
}

#[test]
fn a_refused_login_waits_and_one_that_is_right_does_not() {
    let place = Place::new();
    let server = serve(&place, "");
    let timed = |(user, password)| {
        let begun = Instant::now();
        let login = Login::new(user, user, password);
        let (_, reason) = Client::try_connect(server.addresses[0], 5, login);
        (reason, Instant::now().duration_since(begun))
    };
    let (reason, taken) = timed(("anna", "hush-anna"));
    assert!(reason == 0 && taken < DELAY, "{reason}, {taken:?}");
    let wrong = [("anna", "wrong"), ("nobody", "wrong"), ("nobody", "hush-anna")];
    thread::scope(|scope| {
        let all = wrong.map(|login| scope.spawn(move || timed(login)));
        for (thread, (user, _)) in all.into_iter().zip(wrong) {
            let (reason, taken) = thread.join().unwrap();
            assert_eq!(reason, 0x87);
            assert!(taken >= DELAY, "{user}: {taken:?}");
        }
    });
}

#[test]
fn those_that_wait_are_in_the_way_of_nobody() {
    let place = Place::new();
    let server = serve(&place, "limits.password_checks = 1\n");
    let address = server.addresses[0];
    let begun = Instant::now();
    let mut waiting: Vec<Client> =
        (0..50).map(|_| Client::begin(address, 5, Login::new("w", "anna", "wrong"))).collect();
    let right = Login::new("r", "anna", "hush-anna");
    assert_eq!(Client::try_connect(address, 5, right).1, 0);
    assert!(Instant::now().duration_since(begun) < DELAY, "it has waited for others");
    // They wait at the same time, not one after the other.
    waiting.iter_mut().for_each(|client| assert_eq!(client.connack(), 0x87));
    assert!(Instant::now().duration_since(begun) < 10 * DELAY);
}

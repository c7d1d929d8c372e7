//! What is kept, under the names that Mosquitto's files give it.

use std::fs;

use crate::process::{Place, publish, subscribe};

const KEEPS: &str = "listener PORT\nallow_anonymous true\npersistence true\n\
                     persistence_location DIR/\npersistence_file kept.db\n";

#[test]
fn retained_queued_and_sessions_come_back_after_a_restart() {
    let place = Place::new();
    place.write("k.conf", KEEPS);
    let port = place.port();
    let broker = place.start("-c k.conf", &[port]);
    subscribe(port, "-i away -c -q 1 -t q -E");
    assert!(publish(port, "-t r -m retained -r -q 1"));
    assert!(publish(port, "-t q -m queued -q 1"));
    assert!(fs::metadata(place.path("kept.db")).expect("it is there").is_file());
    assert_eq!(broker.stop(), Some(0));
    let broker = place.start("-c k.conf", &[port]);
    assert_eq!(subscribe(port, "-t r -C 1 -W 60"), "retained\n");
    assert_eq!(subscribe(port, "-i away -c -q 1 -t q -C 1 -W 60"), "queued\n");
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn whoever_removes_the_database_begins_anew_and_loses_nothing_for_good() {
    let place = Place::new();
    place.write("k.conf", KEEPS);
    let port = place.port();
    let broker = place.start("-c k.conf", &[port]);
    assert!(publish(port, "-t r -m old -r -q 1"));
    assert_eq!(broker.stop(), Some(0));
    fs::remove_file(place.path("kept.db")).expect("it is there");
    let mut broker = place.start("-c k.conf", &[port]);
    assert_eq!(subscribe(port, "-t r -C 1 -W 1"), "");
    broker.hears("begins anew");
    assert_eq!(broker.stop(), Some(0));
    assert!(place.path("kept.db.dunlin.removed/VERSION").exists());
}

#[test]
fn a_second_broker_does_not_take_the_store_from_the_first() {
    let place = Place::new();
    place.write("k.conf", KEEPS).write("l.conf", &KEEPS.replace("PORT", "PORT2"));
    let broker = place.start("-c k.conf", &[place.port()]);
    fs::remove_file(place.path("kept.db")).expect("it is there");
    let second = place.run("dunlin", "-c l.conf");
    let stderr = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("in use"), "{stderr}");
    assert!(publish(place.port(), "-t r -m still -r -q 1"));
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn what_mosquitto_has_kept_is_taken_over_once_and_stays_as_it_is() {
    let place = Place::new();
    let database = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/mosquitto-2.0.11.db");
    let bytes = fs::read(database).expect("it is part of the tests");
    fs::write(place.path("kept.db"), &bytes).expect("it is written");
    place.write("k.conf", KEEPS);
    let mut broker = place.start("-c k.conf", &[place.port()]);
    broker.hears("taken over from");
    assert_eq!(broker.stop(), Some(0));
    let mut broker = place.start("-c k.conf", &[place.port()]);
    broker.hears("shards, room for");
    assert!(!broker.log().contains("taken over from"), "{}", broker.log());
    assert_eq!(broker.stop(), Some(0));
    assert_eq!(fs::read(place.path("kept.db")).expect("it is there"), bytes);
}

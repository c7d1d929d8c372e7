//! Stores of dunlin's own making.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::place::{Broker, Place, contents, ctl, export, files, said, text};

/// A store with everything that can be in one.
const FULL: &str = r##"{"kind":"store","version":1,"written_by":"hand"}
{"kind":"session","number":3,"client_id":"away","session_expiry_interval":4294967295,"parted":{},"subscriptions":[{"topic_filter":"$share/g/s/+","qos":1},{"topic_filter":"a/#","qos":2,"no_local":true,"retain_as_published":true,"subscription_identifier":7}],"releases":[12,11]}
{"kind":"session","number":5,"client_id":"was connected","session_expiry_interval":60,"will":{"message":{"topic":"gone","payload":"bye","qos":1,"retain":true,"properties":{"content_type":"text/plain"}},"will_delay_interval":30,"message_expiry_interval":9}}
{"kind":"session","number":6,"client_id":"will only","session_expiry_interval":0,"parted":{"ends_at_us":4000000000000000,"will_due_us":4000000000000000},"will":{"message":{"topic":"gone/2","payload":"","qos":0},"will_delay_interval":0}}
{"kind":"message","id":2,"message":{"topic":"a/1","payload":"first\nline","qos":2,"properties":{"payload_format_indicator":1,"response_topic":"re","correlation_data_base64":"/wA=","user_properties":[["k","v"],["k","w"]]}},"receivers":[{"session":3,"qos":2,"subscription_identifier":7,"packet_id":9},{"session":5,"qos":1}]}
{"kind":"message","id":4,"message":{"topic":"a/2","payload_base64":"//4=","qos":1,"retain":true},"retained":5,"receivers":[{"session":3,"qos":1,"retain":true,"shared":true,"subscription_identifier":7},{"session":5,"qos":1},{"session":5,"qos":1}]}
{"kind":"message","id":5,"message":{"topic":"r/1","payload":"kept","qos":0,"retain":true,"expires_us":4000000000000000},"retained":4}
{"kind":"message","id":9,"message":{"topic":"a/held","payload":"not released","qos":2},"held":{"session":5,"packet_id":4}}
{"kind":"end","sessions":3,"messages":4}
"##;

#[test]
fn what_was_imported_is_exported_again() {
    let place = Place::new();
    let directory = place.store("new/store", FULL);
    assert_eq!(contents(&export(&directory)), contents(FULL));
    let output = place.path("out.ndjson");
    let done = ctl(&["export", "-o", text(&output)], &directory);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(contents(&fs::read_to_string(&output).unwrap()), contents(FULL));
    let again = ctl(&["export", "-o", text(&output)], &directory);
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("exists"), "{again:?}");
}

#[test]
fn looking_changes_nothing() {
    let place = Place::new();
    let directory = place.store("store", FULL);
    let before = files(&directory);
    let check = ctl(&["check"], &directory);
    assert!(check.status.success(), "{check:?}");
    assert!(said(&check).contains("3 sessions, 2 subscriptions, 2 retained"), "{check:?}");
    assert!(said(&check).ends_with("sound\n"), "{check:?}");
    let stats = ctl(&["stats"], &directory);
    assert!(said(&stats).contains("retained messages"), "{stats:?}");
    let json = ctl(&["stats", "--json"], &directory);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    for (name, number) in [
        ("/sessions", 3),
        ("/sessions_connected", 1),
        ("/subscriptions", 2),
        ("/shared_subscriptions", 1),
        ("/retained/count", 2),
        ("/queued/count", 2),
        ("/deliveries", 5),
        ("/deliveries_sent", 1),
        ("/held/count", 1),
        ("/releases", 2),
        ("/wills/count", 2),
        ("/longest_queue", 3),
    ] {
        assert_eq!(json.pointer(name), Some(&number.into()), "{name}: {json}");
    }
    export(&directory);
    assert!(before == files(&directory), "files are as they were");
}

/// Changes a byte behind `needle` in a segment; the name of the segment.
fn damage(directory: &Path, needle: &str) -> String {
    for (path, ..) in files(directory) {
        let mut front = vec![0; 8 << 20];
        let file = File::options().read(true).write(true).open(&path);
        let mut file = file.expect("a segment");
        let length = file.read(&mut front).expect("its front");
        let places = front[..length].windows(needle.len());
        if let Some(at) = places.into_iter().position(|place| place == needle.as_bytes()) {
            file.write_all_at(b"!", at as u64).expect("to be changed");
            let name = path.file_name().and_then(|name| name.to_str());
            return name.expect("a name").to_owned();
        }
    }
    panic!("{needle} is in no segment");
}

#[test]
fn damage_is_found_named_and_left_alone() {
    let place = Place::new();
    // Large enough for two groups: damage in front of a sound one is no unfinished end.
    let mut content = FULL.replace(r#"{"kind":"end","sessions":3,"messages":4}"#, "");
    for id in 10..14 {
        let payload = "x".repeat(400_000);
        let message = format!(r#"{{"topic":"big/{id}","payload":"{payload}","qos":1}}"#);
        let line = format!(r#"{{"kind":"message","id":{id},"message":{message},"retained":{id}}}"#);
        content = content + &line + "\n";
    }
    content += r#"{"kind":"end","sessions":3,"messages":8}"#;
    let directory = place.store("store", &content);
    assert!(ctl(&["check"], &directory).status.success());
    let segment = damage(&directory, "first\nline");
    let before = files(&directory);
    let check = ctl(&["check"], &directory);
    assert_eq!(check.status.code(), Some(2), "{check:?}");
    assert!(said(&check).contains(&format!("DAMAGED {segment}: bytes ")), "{check:?}");
    let exported = ctl(&["export"], &directory);
    assert_eq!(exported.status.code(), Some(2));
    let lines = String::from_utf8(exported.stdout).unwrap();
    assert!(lines.contains("big/13") && lines.contains("big/10"), "the other frames are there");
    assert!(!lines.contains(r"first\nline"), "and this one is not");
    assert!(before == files(&directory), "files are as they were");
}

#[test]
fn what_a_broker_has_stored_is_exported_once_it_is_gone() {
    let place = Place::new();
    let directory = place.path("store");
    let broker = Broker::start(&directory);
    broker.run("sub -V 5 -i keeper -c -q 2 -t a/# -x 1000 -E");
    broker.run("pub -V 5 -q 1 -t a/1 -m one");
    broker.run("pub -V 5 -q 2 -t a/2 -m two");
    broker.run("pub -V 5 -q 1 -r -t r -m kept");
    for words in [&["check"][..], &["stats"], &["export"]] {
        let refused = ctl(words, &directory);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(said(&refused).contains("in use"), "{refused:?}");
    }
    drop(broker);
    let check = ctl(&["check"], &directory);
    assert!(check.status.success(), "{check:?}");
    let lines = export(&directory);
    for part in [
        r#""client_id":"keeper","session_expiry_interval":1000,"parted":{"ends_at_us":"#,
        r##""subscriptions":[{"topic_filter":"a/#","qos":2}]}"##,
        r#""message":{"topic":"a/1","payload":"one","qos":1},"receivers":[{"session":"#,
        r#""message":{"topic":"a/2","payload":"two","qos":2},"receivers":[{"session":"#,
        r#""message":{"topic":"r","payload":"kept","qos":1,"retain":true},"retained":"#,
        r#"{"kind":"end","sessions":1,"messages":3}"#,
    ] {
        assert!(lines.contains(part), "{part}: {lines}");
    }
}

#[test]
fn directories_without_a_store_are_refused() {
    let place = Place::new();
    let nothing = place.path("nothing");
    let refused = ctl(&["check"], &nothing);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(said(&refused).contains("does not exist"), "{refused:?}");
    assert!(!nothing.exists());
    let other = place.path("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("letter"), "dear").unwrap();
    let before = fs::read_dir(&other).unwrap().count();
    let refused = ctl(&["check"], &other);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(said(&refused).contains("no store"), "{refused:?}");
    assert_eq!(fs::read_dir(&other).unwrap().count(), before);
}

#[test]
fn an_import_that_fails_leaves_nothing_behind() {
    let place = Place::new();
    let bad = place
        .file("bad.ndjson", FULL.replace(r#""qos":2},"held""#, r#""qos":3},"held""#).as_bytes());
    let directory = place.path("store");
    let refused = ctl(&["import", text(&bad)], &directory);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let why = said(&refused);
    assert!(why.contains("bad.ndjson: line 8: message 9: 3 is not a QoS"), "{why}");
    assert!(!directory.exists());
    let refused = ctl(&["import", "--from", "mosquitto", text(&bad)], &directory);
    assert!(said(&refused).contains("neither"), "{refused:?}");
    let refused = ctl(&["import", text(&place.path("none"))], &directory);
    assert!(said(&refused).contains("none"), "{refused:?}");
    assert!(!directory.exists());
}

#[test]
fn nothing_is_imported_over_a_store() {
    let place = Place::new();
    let directory = place.store("store", FULL);
    let before = files(&directory);
    let refused = ctl(&["import", text(&place.path("import.ndjson"))], &directory);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(said(&refused).contains("not empty"), "{refused:?}");
    assert!(before == files(&directory), "files are as they were");
}

#[test]
fn a_broker_goes_on_with_what_was_imported() {
    let place = Place::new();
    let directory = place.store("store", FULL);
    let broker = Broker::start(&directory);
    let got = broker.run("sub -V 5 -i away -c -q 2 -v -t unused -C 2 -W 60");
    assert_eq!(got, "a/1 first\nline\na/2 \u{FFFD}\u{FFFD}\n");
    let got = broker.run("sub -v -t r/# -C 1 -W 60");
    assert_eq!(got, "r/1 kept\n");
    drop(broker);
    let left = export(&directory);
    assert!(!left.contains(r#""session":3"#), "{left}");
    assert!(left.contains("not released"), "{left}");
}

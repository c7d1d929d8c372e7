//! `DB` was written by Mosquitto 2.0.11: sessions `away` (5.0, offline, all of `a/#` queued), `old`
//! (3.1.1, offline, QoS 1), `flight` (connected, has answered the first of three with PUBREC), `pub`
//! (one QoS 2 message not released) and `willed`; two retained messages. What `SQLITE` holds is said in
//! the file it was made of.

use super::super::dump::{Checker, Line};
use super::snapshot::{Snapshot, Source};
use super::*;

const DB: &[u8] = include_bytes!("../../../../tests/data/mosquitto-2.0.11.db");
const SQLITE: &[u8] = include_bytes!("../../../../tests/data/mosquitto-2.1.sqlite3");
const NOW: u64 = 1_795_274_031;

fn lines(snapshot: Snapshot) -> (Vec<String>, LeftOut) {
    let Converted { sessions, messages, left_out } =
        convert::convert(snapshot, NOW, Listeners::new());
    let sessions = sessions.into_iter().map(Line::Session);
    let lines = sessions.chain(messages.into_iter().map(Line::Message));
    (lines.map(|line| serde_json::to_string(&line).unwrap()).collect(), left_out)
}

#[test]
fn everything_in_a_snapshot_is_found() {
    let (lines, left_out) = lines(db::read(DB).unwrap());
    assert_eq!(left_out, LeftOut::default());
    let expected = [
        r#"{"kind":"session","number":1,"client_id":"away","session_expiry_interval":100000,"parted":{"ends_at_us":1795374029000000},"subscriptions":[{"topic_filter":"a/#","qos":2,"no_local":true,"retain_as_published":true,"subscription_identifier":7}]}"#,
        r#"{"kind":"session","number":2,"client_id":"old","session_expiry_interval":4294967295,"parted":{},"subscriptions":[{"topic_filter":"a/+","qos":1}]}"#,
        r#"{"kind":"session","number":3,"client_id":"flight","session_expiry_interval":100000,"parted":{"ends_at_us":1795374031000000},"subscriptions":[{"topic_filter":"a/#","qos":2}],"releases":[1]}"#,
        r#"{"kind":"session","number":4,"client_id":"pub","session_expiry_interval":100000,"parted":{"ends_at_us":1795374031000000}}"#,
        r#"{"kind":"session","number":5,"client_id":"willed","session_expiry_interval":100000,"parted":{"ends_at_us":1795374031000000}}"#,
        r#"{"kind":"message","id":1,"message":{"topic":"a/1","payload":"hello","qos":2,"properties":{"payload_format_indicator":1,"content_type":"text/plain","response_topic":"re","correlation_data_base64":"/wA=","user_properties":[["k","v"],["k","w"]]}},"receivers":[{"session":1,"qos":2,"subscription_identifier":7},{"session":2,"qos":1}]}"#,
        r#"{"kind":"message","id":2,"message":{"topic":"a/2","payload_base64":"//4=","qos":1},"receivers":[{"session":1,"qos":1,"subscription_identifier":7},{"session":2,"qos":1},{"session":3,"qos":1,"packet_id":2}]}"#,
        r#"{"kind":"message","id":3,"message":{"topic":"a/3","payload":"third","qos":2},"receivers":[{"session":1,"qos":2,"subscription_identifier":7},{"session":2,"qos":1},{"session":3,"qos":2,"packet_id":3}]}"#,
        r#"{"kind":"message","id":4,"message":{"topic":"r/1","payload":"kept","qos":1,"retain":true},"retained":56,"publisher":{"client_id":"pub"}}"#,
        r#"{"kind":"message","id":5,"message":{"topic":"r/2","payload":"kept for a while","qos":1,"retain":true,"expires_us":1795374030000000},"retained":57,"publisher":{"client_id":"pub"}}"#,
        r#"{"kind":"message","id":6,"message":{"topic":"a/held","payload":"not released","qos":2},"held":{"session":4,"packet_id":9}}"#,
    ];
    assert_eq!(lines, expected);
}

#[test]
fn everything_in_a_database_is_found() {
    let (lines, left_out) = lines(sqlite::read(SQLITE).unwrap());
    assert_eq!(left_out, LeftOut { sessions: 1, qos0: 1, ..LeftOut::default() });
    let filters: Vec<_> = (1..=40)
        .map(|number| format!(r#"{{"topic_filter":"filter/number/{number}","qos":1}}"#))
        .collect();
    let old = format!(
        r#"{{"kind":"session","number":2,"client_id":"old","username":"user","session_expiry_interval":4294967295,"parted":{{}},"subscriptions":[{}],"releases":[2]}}"#,
        filters.join(",")
    );
    let long = format!(
        r#"{{"kind":"message","id":3,"message":{{"topic":"a/long","payload":"{}","qos":1,"properties":{{"content_type":"text/plain","correlation_data_base64":"/wA=","user_properties":[["k","v"]]}}}},"receivers":[{{"session":2,"qos":1}}]}}"#,
        r"\u0000".repeat(1000)
    );
    let expected = [
        r##"{"kind":"session","number":1,"client_id":"away","session_expiry_interval":100000,"parted":{"ends_at_us":1795374029000000},"subscriptions":[{"topic_filter":"a/#","qos":2,"no_local":true,"retain_as_published":true,"subscription_identifier":7},{"topic_filter":"$share/g/s/+","qos":1}]}"##,
        &old,
        r#"{"kind":"session","number":3,"client_id":"pub","session_expiry_interval":100000,"parted":{"ends_at_us":1795374029000000,"will_due_us":1795274060000000},"will":{"message":{"topic":"gone","payload":"bye","qos":1},"will_delay_interval":30,"message_expiry_interval":60}}"#,
        r#"{"kind":"session","number":4,"client_id":"brief","session_expiry_interval":0,"will":{"message":{"topic":"gone/2","payload":"bye","qos":0,"retain":true},"will_delay_interval":0}}"#,
        r#"{"kind":"message","id":1,"message":{"topic":"r/1","payload":"kept","qos":1,"retain":true},"retained":7,"publisher":{"client_id":"pub"}}"#,
        r#"{"kind":"message","id":2,"message":{"topic":"1234","payload_base64":"//4=","qos":1,"retain":true,"expires_us":1795374030000000},"retained":8,"publisher":{"client_id":"pub"}}"#,
        &long,
        r#"{"kind":"message","id":4,"message":{"topic":"a/2","payload":"2","qos":2},"receivers":[{"session":1,"qos":2,"subscription_identifier":7,"packet_id":5}]}"#,
        // Queued behind it, though it is older.
        r#"{"kind":"message","id":5,"message":{"topic":"r/1","payload":"kept","qos":1,"retain":true},"receivers":[{"session":1,"qos":1,"retain":true}]}"#,
        r#"{"kind":"message","id":6,"message":{"topic":"a/held","payload":"no","qos":2},"held":{"session":3,"packet_id":9}}"#,
    ];
    assert_eq!(lines.len(), expected.len());
    for (line, expected) in lines.iter().zip(expected) {
        assert_eq!(line, expected);
    }
}

#[test]
fn who_published_and_whose_a_session_is_keeps_the_listener() {
    let listeners = |pairs: &[(u16, u16)]| pairs.iter().copied().collect::<Listeners>();
    let told = |listeners| {
        let mut snapshot = sqlite::read(SQLITE).unwrap();
        for message in snapshot.messages.values_mut() {
            message.source = Source::new("pub", Some("anna"), 1883);
        }
        let converted = convert::convert(snapshot, NOW, listeners);
        let retained = converted.messages.into_iter().find(|message| message.retained.is_some());
        let publisher = retained.unwrap().publisher;
        let publisher = publisher.map(|who| (who.client_id, who.username, who.listener));
        (converted.sessions[0].listener, publisher)
    };
    let anna = |listener| Some(("pub".to_owned(), Some("anna".to_owned()), listener));
    assert_eq!(told(Listeners::new()), (0, anna(0)));
    assert_eq!(told(listeners(&[(1884, 0)])), (0, anna(0)));
    assert_eq!(told(listeners(&[(8883, 0), (1883, 1)])), (1, anna(1)));
    // Nobody can say by which rules to judge who came by a listener that is gone.
    assert_eq!(told(listeners(&[(8883, 0), (1884, 1)])), (0, None));
    for (client_id, username) in [("", None), ("a\0", None), ("a", Some("b\0"))] {
        assert!(Source::new(client_id, username, 1883).is_none(), "{client_id:?} {username:?}");
    }
}

/// Whatever is in the file, it is refused or makes lines that an import takes.
fn survives(snapshot: Result<Snapshot>) {
    let Ok(snapshot) = snapshot else { return };
    let converted = convert::convert(snapshot, NOW, Listeners::new());
    let (mut checker, mut records) = (Checker::default(), Vec::new());
    for session in &converted.sessions {
        checker.session(session, &mut records).expect("a session that can be kept");
    }
    for message in &converted.messages {
        checker.message(message, &mut records).expect("a message that can be kept");
    }
}

#[test]
fn cut_files_are_refused_or_hold_whole_chunks() {
    let mut whole = 0;
    for end in 0..DB.len() {
        survives(db::read(&DB[..end]));
        whole += usize::from(db::read(&DB[..end]).is_ok());
    }
    assert_eq!(whole, 27, "between chunks only");
}

#[test]
fn flipped_bits_never_panic_nor_make_nonsense() {
    for index in 0..DB.len() {
        for flip in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF] {
            let mut bytes = DB.to_vec();
            bytes[index] ^= flip;
            survives(db::read(&bytes));
        }
    }
}

#[test]
fn damaged_databases_never_panic_nor_make_nonsense() {
    for end in (0..SQLITE.len()).step_by(61) {
        survives(sqlite::read(&SQLITE[..end]));
    }
    let mut bytes = SQLITE.to_vec();
    // Zeros are mostly free room, which is not looked at.
    let interesting = |index: &usize| SQLITE[*index] != 0 || index.is_multiple_of(7);
    for index in (0..SQLITE.len()).filter(interesting) {
        bytes[index] ^= 1 << (index % 8);
        survives(sqlite::read(&bytes));
        bytes[index] = SQLITE[index];
    }
}

#[test]
fn a_database_with_a_journal_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mosquitto.sqlite3");
    fs::write(&path, SQLITE).unwrap();
    assert!(read(&path, NOW, Listeners::new()).is_ok());
    fs::write(directory.path().join("mosquitto.sqlite3-wal"), b"changes").unwrap();
    let error = format!("{:#}", read(&path, NOW, Listeners::new()).unwrap_err());
    assert!(error.contains("mosquitto.sqlite3-wal holds changes"), "{error}");
    fs::write(&path, b"something else").unwrap();
    let error = format!("{:#}", read(&path, NOW, Listeners::new()).unwrap_err());
    assert!(error.contains("neither"), "{error}");
}

#[test]
fn errors_tell_where() {
    let error = format!("{:#}", db::read(&DB[..100]).unwrap_err());
    assert_eq!(error, "offset 47: cut short");
    let mut bytes = DB.to_vec();
    bytes[HEAD_VERSION] = 7;
    let error = format!("{:#}", db::read(&bytes).unwrap_err());
    assert_eq!(error, "version 7 of mosquitto.db; 5 and 6 can be read");
    bytes = DB.to_vec();
    bytes[0x33 + 31] = 0xFF;
    let error = format!("{:#}", db::read(&bytes).unwrap_err());
    assert!(error.starts_with("offset 47: chunk of kind 2: "), "{error}");
}

/// The last byte of the version.
const HEAD_VERSION: usize = 22;

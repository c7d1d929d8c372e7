//! Bans and flapping.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::net::IpAddr;

use dunlin_access::ban::{Ban, BanFault, BanList, Flapping, FlappingLimits, Target};

fn target(text: &str) -> Target {
    text.parse().unwrap()
}

fn ban(reason: &str, until: Option<u64>) -> Ban {
    Ban { reason: reason.into(), until }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn list() -> BanList {
    let mut list = BanList::default();
    for (who, reason, until) in [
        ("client:bad", "broken firmware", Some(100)),
        ("user:eve", "left the company", None),
        ("address:192.0.2.0/24", "scanner", Some(50)),
        ("address:192.0.2.7", "worse", None),
        ("address:2001:db8::/32", "documentation", None),
    ] {
        list.insert(target(who), ban(reason, until), 0).unwrap();
    }
    list
}

#[test]
fn bans_hold_until_they_end() {
    let list = list();
    let reason = |found: Option<&Ban>| found.map(|ban| ban.reason.clone());
    let client = |id, user, now| reason(list.check_client(id, user, now));
    assert_eq!(client("bad", None, 99).as_deref(), Some("broken firmware"));
    assert_eq!(client("bad", None, 100), None);
    assert_eq!(client("bad", Some("eve"), 100).as_deref(), Some("left the company"));
    assert_eq!(client("eve", Some("bad"), 0), None);
    let from = |text, now| reason(list.check_address(address(text), now));
    assert_eq!(from("192.0.2.1", 49).as_deref(), Some("scanner"));
    assert_eq!(from("::ffff:192.0.2.1", 49).as_deref(), Some("scanner"));
    assert_eq!(from("192.0.2.1", 50), None);
    assert_eq!(from("192.0.2.7", 50).as_deref(), Some("worse"));
    assert_eq!(from("2001:db8::5", 50).as_deref(), Some("documentation"));
    assert_eq!(from("198.51.100.1", 0), None);
}

#[test]
fn what_ended_is_removed_and_what_is_lifted_no_longer_holds() {
    let mut list = list();
    list.purge(60);
    assert_eq!(list.len(), 4);
    assert!(list.remove(&target("address:192.0.2.7")).is_some());
    assert!(list.remove(&target("address:192.0.2.7")).is_none());
    assert!(list.check_address(address("192.0.2.7"), 60).is_none());
    assert!(list.remove(&target("user:eve")).is_some());
    assert_eq!(list.len(), 2);
}

#[test]
fn the_list_is_written_and_read() {
    let text = list().to_json();
    let read = BanList::parse("bans.json", &text, 60).unwrap();
    assert_eq!(read.len(), 4);
    assert_eq!(BanList::parse("bans.json", &read.to_json(), 60).unwrap().all(), read.all());
    for (text, expected) in [
        ("{", "bans.json:1: this is not JSON"),
        ("{}", "bans.json:1: expected a list"),
        ("[{}]", "bans.json: ban 1 is not usable: expected client:ID"),
        (r#"[{"target":"address:x"}]"#, "bans.json: ban 1 is not usable: expected an address"),
        (r#"[{"target":"user:x","until":"y"}]"#, "bans.json: ban 1 is not usable: `until`"),
    ] {
        let fault = BanList::parse("bans.json", text, 0).unwrap_err().to_string();
        assert!(fault.starts_with(expected), "{fault}");
    }
}

#[test]
fn the_list_does_not_grow_without_bound() {
    let mut list = BanList::default();
    for number in 0..100_000 {
        list.insert(Target::ClientId(number.to_string()), ban("", Some(10)), 0).unwrap();
    }
    let more = || Target::User("x".into());
    assert_eq!(list.insert(more(), ban("", None), 5), Err(BanFault::Full));
    assert_eq!(list.insert(more(), ban("", None), 10), Ok(()));
    assert_eq!(list.len(), 1);
}

#[test]
fn a_client_that_connects_too_often_is_banned() {
    let limits = FlappingLimits { connections: 3, within: 10, ban_for: 60 };
    let mut flapping = Flapping::new(limits);
    let mut at = |now| flapping.connected("c", now);
    assert_eq!(at(0), None);
    assert_eq!(at(5), None);
    assert_eq!(at(10), None);
    assert_eq!(at(14), Some(ban("connected 3 times within 10 s", Some(74))));
    assert_eq!(at(15), None);
    assert!(flapping.connected("other", 15).is_none());
}

#[test]
fn many_clients_are_watched_in_bounded_memory() {
    let mut flapping = Flapping::default();
    for number in 0..100_000_u64 {
        assert!(flapping.connected(&number.to_string(), number / 1000).is_none());
        assert!(flapping.len() <= 20_000);
    }
    assert!(flapping.len() >= 10_000);
}

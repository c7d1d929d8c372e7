//! User names, passwords, client identifiers, and what comes of them.

use dunlin_access::password::Kind;

use super::client::{Client, Login};
use super::place::Place;

const RIGHT: &str = "hush-right";
const WRONG: &str = "hush-wrong";

const ALL_KINDS: [(&str, &str, Kind); 4] = [
    ("old", RIGHT, Kind::Sha512),
    ("usual", RIGHT, Kind::Pbkdf2Sha512),
    ("new", RIGHT, Kind::Argon2id),
    ("proving", RIGHT, Kind::ScramSha256),
];

#[test]
fn passwords_of_every_kind_are_checked() {
    let place = Place::new();
    place.passwords("passwords", &ALL_KINDS);
    let server = place.serve("listener = [{ port = 1 }]\nsecurity.password_file = 'DIR/passwords'");
    let reason = |level, login| Client::try_connect(server.addresses[0], level, login).1;
    for (user, ..) in ALL_KINDS {
        // The second time it may be remembered.
        for _ in 0..2 {
            assert_eq!(reason(5, Login::new(user, user, RIGHT)), 0, "{user}");
            assert_eq!(reason(4, Login::new(user, user, RIGHT)), 0, "{user}");
            assert_eq!(reason(5, Login::new(user, user, WRONG)), 0x87, "{user}");
            assert_eq!(reason(4, Login::new(user, user, WRONG)), 5, "{user}");
        }
        let without = Login { password: None, ..Login::new(user, user, RIGHT) };
        assert_eq!(reason(5, without), 0x87, "{user}");
    }
    assert_eq!(reason(5, Login::new("c", "nobody", RIGHT)), 0x87);
    assert_eq!(reason(5, Login::new("c", "", "")), 0x87);
    assert_eq!(reason(5, Login::nameless("c")), 0x87);
    assert_eq!(reason(4, Login::nameless("c")), 5);
}

#[test]
fn a_right_password_of_a_client_is_not_that_of_another() {
    let place = Place::new();
    let users = [("anna", "hush-anna", Kind::Argon2id), ("bert", "hush-bert", Kind::Argon2id)];
    place.passwords("passwords", &users);
    let server = place.serve("listener = [{ port = 1 }]\nsecurity.password_file = 'DIR/passwords'");
    let reason = |login| Client::try_connect(server.addresses[0], 5, login).1;
    for _ in 0..2 {
        assert_eq!(reason(Login::new("c", "anna", "hush-anna")), 0);
        assert_eq!(reason(Login::new("c", "bert", "hush-anna")), 0x87);
        assert_eq!(reason(Login::new("c", "anna", "hush-bert")), 0x87);
    }
}

#[test]
fn each_listener_has_users_of_its_own() {
    let place = Place::new();
    place.passwords("one", &[("anna", RIGHT, Kind::Sha512)]);
    place.passwords("two", &[("bert", RIGHT, Kind::Sha512)]);
    let server = place.serve(
        "[[listener]]\nport = 1\npassword_file = 'DIR/one'\n[[listener]]\nport = 2\npassword_file = 'DIR/two'\n\
         [[listener]]\nport = 3\nallow_anonymous = true",
    );
    let reason =
        |listener: usize, login| Client::try_connect(server.addresses[listener], 5, login).1;
    let (anna, bert) = (Login::new("c", "anna", RIGHT), Login::new("c", "bert", RIGHT));
    assert_eq!([reason(0, anna), reason(0, bert)], [0, 0x87]);
    assert_eq!([reason(1, anna), reason(1, bert)], [0x87, 0]);
    assert_eq!([reason(2, anna), reason(2, Login::nameless("c"))], [0, 0]);
    assert_eq!([reason(0, Login::nameless("c")), reason(1, Login::nameless("c"))], [0x87, 0x87]);
}

#[test]
fn nobody_comes_in_where_nothing_is_said_about_who_may() {
    let place = Place::new();
    let server = place.serve("listener = [{ port = 1 }]");
    let reason = |login| Client::try_connect(server.addresses[0], 5, login).1;
    assert_eq!(reason(Login::nameless("c")), 0x87);
    assert_eq!(reason(Login::new("c", "anna", RIGHT)), 0x87);
}

#[test]
fn without_a_listener_this_machine_may_do_everything() {
    let place = Place::new();
    let server = place.serve("");
    Client::connect(server.addresses[0], Login::nameless("c")).publish("a", "b");
    Client::connect(server.addresses[0], Login::new("d", "anna", RIGHT)).publish("a", "b");
}

#[test]
fn client_identifiers_are_what_the_policy_wants() {
    let place = Place::new();
    place.passwords("passwords", &[("anna", RIGHT, Kind::Sha512)]);
    let anna = |id| Login::new(id, "anna", RIGHT);
    let serve = |policy: &str| {
        place.serve(&format!(
            "[security]\npassword_file = 'DIR/passwords'\nallow_anonymous = true\n{policy}\n[[listener]]\nport = 1"
        ))
    };
    let refused = |policy: &str, fits: Login<'_>, others: &[Login<'_>]| {
        let server = serve(policy);
        let reason = |login| Client::try_connect(server.addresses[0], 5, login).1;
        assert_eq!(reason(fits), 0, "{policy}");
        for login in others {
            assert!(matches!(reason(*login), 0x85 | 0x87), "{policy}: {}", login.id);
        }
    };
    refused("client_id_prefixes = ['dev-', 'test-']", anna("test-1"), &[anna("x"), anna("de")]);
    refused("client_id_user = 'equal'", anna("anna"), &[anna("bert"), Login::nameless("c")]);
    refused("client_id_user = 'begins'", anna("anna-1"), &[anna("annabel"), anna("bert")]);
    refused("allow_empty_client_id = false", anna("x"), &[anna("")]);
}

#[test]
fn the_user_name_can_be_the_client_identifier() {
    let place = Place::new();
    place.passwords("passwords", &[("anna", RIGHT, Kind::Pbkdf2Sha512)]);
    let server = place.serve(
        "security.password_file = 'DIR/passwords'\nsecurity.allow_anonymous = true\n\
         [[listener]]\nport = 1\nusername_as_client_id = true",
    );
    let address = server.addresses[0];
    let mut first = Client::connect(address, Login::new("one", "anna", RIGHT));
    // The same client by another name: it takes the connection over.
    let mut second = Client::connect(address, Login::new("two", "anna", RIGHT));
    assert_eq!(first.farewell(), 0x8E);
    second.ping();
    assert_eq!(Client::try_connect(address, 5, Login::nameless("three")).1, 0x87);
}

#[test]
fn logins_beyond_the_queue_are_refused_as_busy() {
    let place = Place::new();
    place.passwords("passwords", &[("anna", RIGHT, Kind::Argon2id)]);
    let server = place.serve(
        "security.password_file = 'DIR/passwords'\nlimits.password_checks = 1\nsecurity.logins.queue = 2\n\
         listener = [{ port = 1 }]",
    );
    let ids: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
    // None of them right, so that none is remembered.
    let login = |id| Login::new(id, "anna", WRONG);
    let clients = ids.iter().map(|id| Client::begin(server.addresses[0], 5, login(id)));
    let mut clients: Vec<Client> = clients.collect();
    let reasons: Vec<u8> = clients.iter_mut().map(Client::connack).collect();
    assert!(reasons.iter().all(|reason| [0x87, 0x88].contains(reason)), "{reasons:02x?}");
    assert!(reasons.contains(&0x87) && reasons.contains(&0x88), "{reasons:02x?}");
    // Afterwards there is room again.
    Client::connect(server.addresses[0], Login::new("later", "anna", RIGHT)).ping();
}

#[test]
fn rules_decide_what_is_published_and_delivered() {
    let place = Place::new();
    place.passwords("passwords", &[("anna", RIGHT, Kind::Sha512), ("bert", RIGHT, Kind::Sha512)]);
    place.write(
        "acl",
        "topic read public/#\n\nuser anna\ntopic readwrite anna/#\ntopic deny anna/secret\ntopic write public/#\n\n\
         user bert\ntopic read anna/#\ntopic deny anna/private\n\npattern write devices/%c/state\n",
    );
    let server = place.serve(
        "security.password_file = 'DIR/passwords'\nsecurity.acl_file = 'DIR/acl'\nsecurity.allow_anonymous = true\n\
         listener = [{ port = 1 }]",
    );
    let address = server.addresses[0];
    let mut bert = Client::connect(address, Login::new("b", "bert", RIGHT));
    let mut nameless = Client::connect(address, Login::nameless("n"));
    assert_eq!([bert.subscribe("#"), nameless.subscribe("#")], [0, 0]);
    let mut anna = Client::connect(address, Login::new("a", "anna", RIGHT));
    assert_eq!(anna.publish("anna/secret", "no"), 0x87);
    assert_eq!(anna.publish("elsewhere", "no"), 0x87);
    assert_eq!(anna.publish("devices/b/state", "no"), 0x87);
    anna.publish("devices/a/state", "nobody reads it");
    anna.publish("anna/private", "not for bert");
    anna.publish("anna/open", "for bert");
    anna.publish("public/news", "for all without a name");
    assert_eq!(bert.receive(), ("anna/open".into(), "for bert".into()));
    assert_eq!(nameless.receive().0, "public/news");
    bert.expect_silence();
    nameless.expect_silence();
    assert_eq!(bert.publish("anna/open", "no"), 0x87);
}

#[test]
fn a_will_is_published_only_where_its_client_may_write() {
    let place = Place::new();
    place.write("acl", "topic write wills/open\ntopic read wills/#\n");
    let server = place.serve(
        "security.acl_file = 'DIR/acl'\nsecurity.allow_anonymous = true\nlistener = [{ port = 1 }]",
    );
    let address = server.addresses[0];
    let mut reader = Client::connect(address, Login::nameless("r"));
    reader.subscribe("wills/#");
    for (id, topic) in [("x", "wills/closed"), ("y", "wills/open")] {
        let login = Login { will: Some(topic), ..Login::nameless(id) };
        drop(Client::connect(address, login));
    }
    assert_eq!(reader.receive().0, "wills/open");
    reader.expect_silence();
}

//! Users, rules and ways in that change while the server runs.

use dunlin_access::password::Kind;

use super::client::{Client, Login};
use super::place::Place;

const TOML: &str = "persistence.enabled = false\nsecurity.password_file = 'DIR/passwords'\n\
                    security.acl_file = 'DIR/acl'\nsecurity.allow_anonymous = true\nlistener = [{ port = 1 }]\n";

const USERS: [(&str, &str, Kind); 3] = [
    ("anna", "hush-1", Kind::Pbkdf2Sha512),
    ("bert", "hush-1", Kind::Sha512),
    ("cleo", "hush-1", Kind::Sha512),
];

#[test]
fn connections_end_whose_login_does_not_hold_any_more() {
    let place = Place::new();
    place.passwords("passwords", &USERS);
    place.write("acl", "topic a/#\n");
    let server = super::place::Server::start(&place.config(TOML));
    let address = server.addresses[0];
    let [mut anna, mut bert, mut cleo] =
        USERS.map(|(user, password, _)| Client::connect(address, Login::new(user, user, password)));
    let mut nameless = Client::connect(address, Login::nameless("n"));
    // Anna stays as she is, bert gets another password, cleo is gone.
    place.passwords("passwords", &[USERS[0], ("bert", "hush-2", Kind::Sha512)]);
    let config = place.config(&TOML.replace("anonymous = true", "anonymous = false"));
    server.handle().replace_access(&config).unwrap();
    assert_eq!([bert.farewell(), cleo.farewell(), nameless.farewell()], [0x87; 3]);
    anna.ping();
    let reason = |login| Client::try_connect(address, 5, login).1;
    assert_eq!(reason(Login::new("b", "bert", "hush-1")), 0x87);
    assert_eq!(reason(Login::new("b", "bert", "hush-2")), 0);
    assert_eq!(reason(Login::nameless("n")), 0x87);
}

#[test]
fn a_password_is_not_remembered_beyond_its_end() {
    let place = Place::new();
    place.passwords("passwords", &USERS);
    place.write("acl", "");
    let server = super::place::Server::start(&place.config(TOML));
    let reason =
        |password| Client::try_connect(server.addresses[0], 5, Login::new("a", "anna", password)).1;
    assert_eq!([reason("hush-1"), reason("hush-1")], [0, 0]);
    place.passwords("passwords", &[("anna", "hush-2", Kind::Argon2id)]);
    server.handle().replace_access(&place.config(TOML)).unwrap();
    assert_eq!([reason("hush-1"), reason("hush-2")], [0x87, 0]);
}

#[test]
fn a_mistake_is_told_with_its_line_and_changes_nothing() {
    let place = Place::new();
    place.passwords("passwords", &USERS);
    place.write("acl", "topic a/#\n");
    let server = super::place::Server::start(&place.config(TOML));
    let mut client = Client::connect(server.addresses[0], Login::new("b", "bert", "hush-1"));
    place.passwords("passwords", &[("bert", "hush-2", Kind::Sha512)]);
    place.write("acl", "topic a/#\n\ntopik b/#\n");
    let faults = server.handle().replace_access(&place.config(TOML)).unwrap_err();
    assert!(faults[0].to_string().contains("acl:3: "), "{faults:?}");
    client.ping();
    let again = Client::try_connect(server.addresses[0], 5, Login::new("x", "bert", "hush-1"));
    assert_eq!(again.1, 0);
    let missing = TOML.replace("DIR/acl", "DIR/none");
    let faults = server.handle().replace_access(&place.config(&missing)).unwrap_err();
    let told = faults[0].to_string();
    assert!(told.contains("dunlin.toml:3: acl_file") && told.contains("none"), "{told}");
}

#[test]
fn a_broker_that_was_open_is_closed_to_those_that_there_are() {
    const OPEN: &str =
        "persistence.enabled = false\nsecurity.allow_anonymous = true\nlistener = [{ port = 1 }]\n";
    let place = Place::new();
    place.passwords("passwords", &USERS);
    place.write("acl", "topic write b/#\ntopic readwrite a/#\n");
    let server = super::place::Server::start(&place.config(OPEN));
    let address = server.addresses[0];
    // Enough of them that both shards have some.
    let ids: Vec<String> = (0..6).map(|number| format!("reader-{number}")).collect();
    let readers = ids.iter().map(|id| Client::connect(address, Login::nameless(id)));
    let mut readers: Vec<Client> = readers.collect();
    for reader in &mut readers {
        assert_eq!(reader.subscribe("#"), 0);
    }
    let mut writer = Client::connect(address, Login::nameless("writer"));
    let mut anna = Client::connect(address, Login::new("a", "anna", "hush-unseen"));
    writer.publish("b/0", "open");
    server.handle().replace_access(&place.config(TOML)).unwrap();
    // She had a name, but had not proved it.
    assert_eq!(anna.farewell(), 0x87);
    assert_eq!(Client::try_connect(address, 5, Login::new("x", "anna", "hush-unseen")).1, 0x87);
    writer.publish("b/1", "closed");
    writer.publish("a/1", "open");
    for reader in &mut readers {
        assert_eq!(reader.receive().0, "b/0");
        assert_eq!(reader.receive().0, "a/1");
    }
}

#[test]
fn new_rules_hold_at_once() {
    let place = Place::new();
    place.passwords("passwords", &USERS);
    place.write("acl", "topic a/#\n");
    let server = super::place::Server::start(&place.config(TOML));
    let mut client = Client::connect(server.addresses[0], Login::nameless("n"));
    assert_ne!(client.publish("a/1", ""), 0x87);
    assert_eq!(client.publish("b/1", ""), 0x87);
    place.write("acl", "topic b/#\n");
    server.handle().replace_access(&place.config(TOML)).unwrap();
    // The shard looks at them in its next turn.
    assert_eq!(client.publish("a/1", ""), 0x87);
    assert_ne!(client.publish("b/1", ""), 0x87);
}

#[test]
fn connections_end_whose_network_may_not_connect_any_more() {
    let place = Place::new();
    let toml = |more: &str| {
        let open = "persistence.enabled = false\nsecurity.allow_anonymous = true\n[[listener]]\nport = 1\n";
        place.config(&format!("{open}{more}"))
    };
    let server = super::place::Server::start(&toml(""));
    let address = server.addresses[0];
    for rule in ["deny_from = ['127.0.0.0/8']", "allow_from = ['10.0.0.0/8']"] {
        server.reload(&toml("deny_from = ['10.0.0.0/8']"));
        // Enough of them that both shards have some, and one that says nothing yet.
        let ids: Vec<String> = (0..6).map(|number| format!("c-{number}")).collect();
        let clients = ids.iter().map(|id| Client::connect(address, Login::nameless(id)));
        let mut clients: Vec<Client> = clients.collect();
        let mut silent = Client::silent(address);
        server.reload(&toml("deny_from = ['10.0.0.0/8', '192.0.2.0/24']"));
        clients.iter_mut().for_each(Client::ping);
        server.reload(&toml(rule));
        for (client, id) in clients.iter_mut().zip(&ids) {
            assert_eq!(client.farewell(), 0x87);
            let (cause, text) = server.why(id);
            assert!(cause == "no-longer-allowed" && text.contains("deny_from"), "{cause}: {text}");
        }
        silent.expect_end();
    }
}

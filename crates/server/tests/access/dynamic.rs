//! Dynamic security: commands by MQTT, and Mosquitto's own tool.

use std::process::{Command, Output};

use dunlin_access::dynsec::Dynsec;
use serde_json::Value;

use super::client::{Client, Login};
use super::place::{Place, Server};

const TOML: &str = "persistence.enabled = false\nsecurity.dynamic_security_file = 'DIR/dynsec.json'\n\
                    security.allow_anonymous = true\nlistener = [{ port = 1 }]\n";

fn place() -> Place {
    let place = Place::new();
    let state = Dynsec::init("admin", b"hush-admin", &mut |bytes: &mut [u8]| bytes.fill(7));
    place.write("dynsec.json", &state.to_json());
    place
}

fn admin(server: &Server) -> Client {
    let login = Login::new("the-admin", "admin", "hush-admin");
    let mut admin = Client::connect(server.addresses[0], login);
    assert_eq!(admin.subscribe("$CONTROL/dynamic-security/v1/response"), 0);
    admin
}

/// Sends commands; the answers.
fn command(admin: &mut Client, commands: &str) -> Vec<Value> {
    let payload = format!(r#"{{"commands":[{commands}]}}"#);
    let reason = admin.publish("$CONTROL/dynamic-security/v1", &payload);
    assert!(matches!(reason, 0 | 0x10), "0x{reason:02x}");
    let (topic, answer) = admin.receive();
    assert_eq!(topic, "$CONTROL/dynamic-security/v1/response");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["responses"].as_array().unwrap().clone()
}

#[test]
fn what_a_command_changes_holds_at_once_and_after_a_restart() {
    let place = place();
    let config = place.config(TOML);
    let server = Server::start(&config);
    let mut admin = admin(&server);
    let answers = command(
        &mut admin,
        r#"{"command":"createRole","rolename":"r","acls":[{"acltype":"publishClientSend","topic":"r/#","allow":true}]},
           {"command":"createClient","username":"dora","password":"hush-dora","roles":[{"rolename":"r"}]}"#,
    );
    assert!(answers.iter().all(|answer| answer.get("error").is_none()), "{answers:?}");
    let login = Login::new("d", "dora", "hush-dora");
    let mut dora = Client::connect(server.addresses[0], login);
    assert_ne!(dora.publish("r/1", ""), 0x87);
    assert_eq!(dora.publish("s/1", ""), 0x87);
    command(&mut admin, r#"{"command":"setClientPassword","username":"dora","password":"hush-2"}"#);
    assert_eq!(dora.farewell(), 0x98);
    drop((server, admin));
    let server = Server::start(&config);
    let reason =
        |password| Client::try_connect(server.addresses[0], 5, Login::new("d", "dora", password)).1;
    assert_eq!([reason("hush-dora"), reason("hush-2")], [0x87, 0]);
}

#[test]
fn the_broker_tells_its_listeners_and_a_topic_of_nobody_says_so() {
    let toml = "persistence.enabled = false\nserver.control_api = true\nsecurity.allow_anonymous = true\n\
                security.acl_file = 'DIR/acl'\nlistener = [{ port = 1 }]\n";
    let place = Place::new();
    place.write("acl", "topic readwrite $CONTROL/#\ntopic deny $CONTROL/secret/v1\n");
    let server = Server::start(&place.config(toml));
    let mut client = Client::connect(server.addresses[0], Login::nameless("c"));
    assert_eq!(client.subscribe("$CONTROL/#"), 0);
    let mut ask = |topic: &str, command: &str| {
        let payload = format!(r#"{{"commands":[{{"command":"{command}"}}]}}"#);
        assert_ne!(client.publish(topic, &payload), 0x87);
        let (answered, answer) = client.receive();
        assert_eq!(answered, format!("{topic}/response"));
        serde_json::from_str::<Value>(&answer).unwrap()
    };
    let answer = ask("$CONTROL/broker/v1", "listListeners");
    let listener = &answer["responses"][0]["data"]["listeners"][0];
    assert_eq!((&listener["port"], &listener["tls"]), (&1.into(), &false.into()), "{answer}");
    let answer = ask("$CONTROL/broker/v1", "listPlugins");
    assert_eq!(answer["responses"][0]["data"]["plugins"], serde_json::json!([]));
    let answer = ask("$CONTROL/nobody/v1", "listPlugins");
    assert_eq!(answer["error"], "endpoint not available");
    assert_eq!(client.publish("$CONTROL/secret/v1", "{}"), 0x87);
}

#[test]
fn only_those_give_commands_who_may() {
    let place = place();
    let server = Server::start(&place.config(TOML));
    let mut nameless = Client::connect(server.addresses[0], Login::nameless("n"));
    let payload = r#"{"commands":[{"command":"createClient","username":"eve"}]}"#;
    assert_eq!(nameless.publish("$CONTROL/dynamic-security/v1", payload), 0x87);
    let mut admin = admin(&server);
    let answers = command(&mut admin, r#"{"command":"getClient","username":"eve"}"#);
    assert_eq!(answers[0]["error"], "Client not found");
}

#[test]
fn a_change_that_cannot_be_kept_is_not_made() {
    let place = place();
    let server = Server::start(&place.config(TOML));
    let mut admin = admin(&server);
    // Where the new file would go, there is a directory.
    std::fs::create_dir_all(place.path("dynsec.json.new").join("x")).unwrap();
    let answers = command(&mut admin, r#"{"command":"createRole","rolename":"r"}"#);
    assert!(answers[0]["error"].as_str().unwrap().contains("disk"), "{answers:?}");
    let answers = command(&mut admin, r#"{"command":"listRoles"}"#);
    assert_eq!(answers[0]["data"]["totalCount"], 1, "{answers:?}");
}

#[test]
fn who_asks_about_clients_is_told_from_where_they_are_connected() {
    let place = place();
    let server = Server::start(&place.config(TOML));
    let mut admin = admin(&server);
    command(
        &mut admin,
        r#"{"command":"createClient","username":"dora","password":"hush-dora","clientid":"d"}"#,
    );
    let shown = |admin: &mut Client| {
        let answers = command(admin, r#"{"command":"listClients","verbose":true}"#);
        let clients = answers[0]["data"]["clients"].as_array().unwrap().clone();
        clients.iter().map(|client| client["connections"].clone()).collect::<Vec<Value>>()
    };
    let here = serde_json::json!([{ "address": "127.0.0.1" }]);
    let none = serde_json::json!([]);
    assert_eq!(shown(&mut admin), [here.clone(), none]);
    let login = Login::new("d", "dora", "hush-dora");
    let dora = Client::connect(server.addresses[0], login);
    assert_eq!(shown(&mut admin), [here.clone(), here.clone()]);
    let answers = command(&mut admin, r#"{"command":"getClient","username":"dora"}"#);
    assert_eq!(answers[0]["data"]["client"]["connections"], here);
    drop(dora);
}

#[test]
fn a_file_that_is_missing_is_made_at_start_and_only_then() {
    let place = Place::new();
    let config = place.config(TOML);
    dunlin_server::check(&config).unwrap();
    assert!(!place.path("dynsec.json").exists());
    let server = Server::start(&config);
    let passwords = std::fs::read_to_string(place.path("dynsec.json.pw")).unwrap();
    for (user, line) in ["admin", "democlient"].into_iter().zip(passwords.lines()) {
        let password = line.strip_prefix(user).unwrap().trim();
        let login = Login::new(user, user, password);
        assert_eq!(Client::try_connect(server.addresses[0], 5, login).1, 0, "{user}");
    }
    assert_eq!(passwords.lines().count(), 2);
    use std::os::unix::fs::PermissionsExt as _;
    for file in ["dynsec.json", "dynsec.json.pw"] {
        let mode = std::fs::metadata(place.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    std::fs::remove_file(place.path("dynsec.json")).unwrap();
    let faults = server.handle().replace_access(&config).unwrap_err();
    assert!(faults[0].message.contains("dynsec.json"), "{faults:?}");
    assert!(!place.path("dynsec.json").exists());
}

#[test]
fn the_first_password_may_be_given_in_a_file() {
    let place = Place::new();
    place.write("first", "hush-hush-hush \nrest\n");
    let toml = format!("security.dynamic_security_password_file = 'DIR/first'\n{TOML}");
    let server = Server::start(&place.config(&toml));
    let login = |password| Login::new("a", "admin", password);
    let reason = |password| Client::try_connect(server.addresses[0], 5, login(password)).1;
    assert_eq!([reason("hush-hush-hush"), reason("other")], [0, 0x87]);
    assert!(!place.path("dynsec.json.pw").exists());
}

/// Mosquitto's tool, as an operator runs it; `None` where it is not installed.
fn ctrl(server: &Server, arguments: &[&str]) -> Option<String> {
    let port = server.addresses[0].port().to_string();
    let login = ["-h", "127.0.0.1", "-p", &port, "-u", "admin", "-P", "hush-admin", "dynsec"];
    let run = Command::new("mosquitto_ctrl").args(login).args(arguments).output();
    let Output { status, stdout, stderr } = run.ok()?;
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{arguments:?}: {out} {err}");
    Some(format!("{out}{err}"))
}

#[test]
fn the_tool_of_mosquitto_administers_this_broker() {
    let place = place();
    let server = Server::start(&place.config(TOML));
    if ctrl(&server, &["listClients"]).is_none() {
        eprintln!("mosquitto_ctrl is not installed: not tested");
        return;
    }
    let run = |line: &str| {
        let arguments: Vec<&str> = line.split(' ').collect();
        ctrl(&server, &arguments).unwrap()
    };
    let dora =
        |password| Client::try_connect(server.addresses[0], 4, Login::new("d", "dora", password)).1;
    run("createClient dora -p hush-1");
    assert_eq!(dora("hush-1"), 0);
    run("setClientPassword dora hush-2");
    assert_eq!([dora("hush-1"), dora("hush-2")], [5, 0]);
    run("createRole r");
    run("addRoleACL r publishClientSend d/# allow 5");
    run("addClientRole dora r 3");
    assert!(run("getClient dora").contains("r (priority: 3)"));
    assert!(run("getRole r").contains("d/#"));
    run("createGroup g");
    run("addGroupRole g r");
    run("addGroupClient g dora");
    assert!(run("getGroup g").contains("dora"));
    run("setAnonymousGroup g");
    assert!(run("getAnonymousGroup").contains('g'));
    let mut nameless = Client::connect(server.addresses[0], Login::nameless("n"));
    assert_ne!(nameless.publish("d/1", ""), 0x87);
    run("setDefaultACLAccess subscribe allow");
    assert!(run("getDefaultACLAccess").contains("allow"));
    run("disableClient dora");
    assert_eq!(dora("hush-2"), 5);
    run("enableClient dora");
    assert_eq!(dora("hush-2"), 0);
    run("removeClientRole dora r");
    run("removeGroupClient g dora");
    run("removeRoleACL r publishClientSend d/#");
    run("setClientId dora d");
    assert!(run("listClients").contains("dora"));
    assert!(run("listGroups").contains('g') && run("listRoles").contains('r'));
    run("deleteClient dora");
    run("deleteGroup g");
    run("deleteRole r");
    assert_eq!(dora("hush-2"), 5);
}

//! Dynamic security, checked against what Mosquitto's plugin answered.
//!
//! The files `dynsec-*.jsonl` were recorded from Mosquitto 2.0.11 as Debian packages it: requests and
//! responses in order, each sequence from the state of `dynsec-init.json`. Of the first sequence the end
//! is left out, because the plugin then answers from memory that it has freed. What Mosquitto 2.1 answers
//! otherwise stands as it does there: no empty names and topics, bounds of priorities, groups and clients that must
//! exist, and `#` not for what begins with `$`. What it adds is in `since_2_1` below.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

#[path = "dynsec/since_2_1.rs"]
mod since_2_1;

use dunlin_access::acl::{Action, Cache, Who};
use dunlin_access::dynsec::{By, Dynsec, Kick, Outcome};
use serde_json::{Value, json};

fn counting() -> impl FnMut(&mut [u8]) {
    let mut next = 0_u8;
    move |bytes| {
        for byte in bytes {
            next = next.wrapping_add(1);
            *byte = next;
        }
    }
}

fn parse(text: &str) -> Dynsec {
    let (state, faults) = Dynsec::parse("dynamic-security.json", text).unwrap();
    assert_eq!(faults, []);
    state
}

fn initial() -> Dynsec {
    parse(include_str!("data/dynsec-init.json"))
}

fn run(state: &mut Dynsec, commands: &Value) -> Outcome {
    let payload = json!({ "commands": commands }).to_string();
    state.handle(payload.as_bytes(), &mut counting())
}

fn errors(outcome: &Outcome) -> Vec<String> {
    let response: Value = serde_json::from_str(&outcome.response).unwrap();
    let responses = response["responses"].as_array().unwrap().clone();
    responses.iter().filter_map(|one| one["error"].as_str().map(Into::into)).collect()
}

/// JSON without the members that the plugin has only since Mosquitto 2.1.
fn without_the_new(text: &str) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.remove("allowwildcardsubs");
                object.remove("changeIndex");
                object.values_mut().for_each(strip);
            }
            Value::Array(list) => list.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(text).unwrap();
    strip(&mut value);
    value
}

/// The requests that are answered otherwise than recorded.
fn replay(state: &mut Dynsec, recorded: &str) -> Vec<String> {
    let mut different = Vec::new();
    for line in recorded.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let request = line["request"].as_str().unwrap();
        let outcome = state.handle(request.as_bytes(), &mut counting());
        if without_the_new(&outcome.response) != line["response"] {
            let response = &outcome.response;
            different.push(format!("{request} {response}"));
        }
    }
    different
}

#[test]
fn commands_are_answered_as_by_the_plugin() {
    let different = replay(&mut initial(), include_str!("data/dynsec-commands.jsonl"));
    // After the role of a client was deleted, the plugin shows a role that it has freed; here is none.
    let expected = r#"{"commands":[{"command":"getClient","username":"anna"}]}"#;
    assert_eq!(different.len(), 1, "{different:#?}");
    assert!(different[0].starts_with(expected), "{different:#?}");
    assert!(different[0].contains(r#""roles":[{"rolename":"r2"}]"#), "{different:#?}");
}

#[test]
fn deletions_leave_the_same_state_as_in_the_plugin() {
    let mut state = initial();
    assert_eq!(replay(&mut state, include_str!("data/dynsec-deletions.jsonl")), [""; 0]);
    run(&mut state, &json!([{ "command": "deleteClient", "username": "admin" }]));
    let without_secrets = |text: &str| {
        let mut value = without_the_new(text);
        for client in value["clients"].as_array_mut().unwrap() {
            for key in ["password", "salt", "iterations"] {
                client.as_object_mut().unwrap().remove(key);
            }
        }
        value
    };
    let expected = include_str!("data/dynsec-after-deletions.json");
    assert_eq!(without_secrets(&state.to_json()), without_secrets(expected));
}

/// The requests are those of Debian's mosquitto_ctrl, seen on the wire.
#[test]
fn mosquitto_ctrl_gets_the_answers_it_knows() {
    let mut state = initial();
    for line in include_str!("data/dynsec-mosquitto-ctrl.jsonl").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let request = line["request"].as_str().unwrap();
        let outcome = state.handle(request.as_bytes(), &mut counting());
        let response = without_the_new(&outcome.response);
        if request.contains("getDefaultACLAccess") {
            // The plugin does not understand `"access"` of its own tool; here it has its effect.
            assert_eq!(response["responses"][0]["data"]["acls"][0]["allow"], true);
        } else {
            assert_eq!(response, line["response"], "{request}");
        }
    }
}

/// Recorded from the plugin with the state of `dynsec-acl.json`. Shared subscriptions are left out: the
/// plugin does not look at the filter behind `$share/NAME/`, so a share would evade what is denied.
#[test]
fn every_decision_is_that_of_the_plugin() {
    let state = parse(include_str!("data/dynsec-acl.json"));
    let mut count = 0;
    for line in include_str!("data/dynsec-acl-answers.tsv").lines() {
        let [user, action, topic, expected] = *line.split('\t').collect::<Vec<_>>().as_slice()
        else {
            panic!("{line}");
        };
        let who = Who { user: Some(user), client_id: "c", ..Who::default() };
        let action = match action {
            "send" => Action::Publish,
            "recv" => Action::Deliver,
            "sub" => Action::Subscribe,
            "unsub" => Action::Unsubscribe,
            other => panic!("{other}"),
        };
        let decision = state.check(&who, action, topic);
        assert_eq!(decision.allowed, expected == "allowed", "{line}: {decision:?}");
        count += 1;
    }
    assert!(count > 150);
}

#[test]
fn logins_are_those_of_the_plugin() {
    let state = parse(include_str!("data/dynsec-acl.json"));
    let table = [
        ("anna", "x", Some("p"), true),
        ("anna", "x", Some("q"), false),
        ("anna", "x", None, false),
        ("carl", "x", None, false),
        ("carl", "x", Some(""), false),
        ("dis", "x", Some("p"), false),
        ("idc", "must", Some("p"), true),
        ("idc", "x", Some("p"), false),
        ("zz", "x", Some("p"), false),
    ];
    for (user, client_id, password, expected) in table {
        let attempt = state.attempt(user, client_id);
        assert_eq!(attempt.verify(password.map(str::as_bytes)), expected, "{user} {password:?}");
    }
}

#[test]
fn the_file_reads_back_as_it_was_written() {
    for text in [include_str!("data/dynsec-acl.json"), include_str!("data/dynsec-init.json")] {
        let state = parse(text);
        let written = state.to_json();
        assert_eq!(parse(&written).to_json(), written);
    }
    let init = Dynsec::init("admin", b"pw", &mut counting());
    let read = parse(&init.to_json());
    assert!(read.attempt("admin", "any").verify(Some(b"pw")));
    let admin = Who { user: Some("admin"), client_id: "c", ..Who::default() };
    assert!(read.check(&admin, Action::Publish, "$CONTROL/dynamic-security/v1").allowed);
    assert!(!read.check(&admin, Action::Publish, "other").allowed);
}

#[test]
fn deleting_takes_the_name_out_of_every_list() {
    let mut state = initial();
    let outcome = run(
        &mut state,
        &json!([
            { "command": "createRole", "rolename": "r" },
            { "command": "createGroup", "groupname": "g", "roles": [{ "rolename": "r" }] },
            { "command": "createClient", "username": "u", "roles": [{ "rolename": "r" }],
              "groups": [{ "groupname": "g" }] },
            { "command": "setAnonymousGroup", "groupname": "g" },
        ]),
    );
    assert_eq!(errors(&outcome), [""; 0]);
    let outcome = run(&mut state, &json!([{ "command": "deleteRole", "rolename": "r" }]));
    assert_eq!(outcome.kicks, [Kick::User("u".into()), Kick::Anonymous]);
    let delete = json!([{ "command": "deleteGroup", "groupname": "g" }]);
    assert_eq!(errors(&run(&mut state, &delete)), ["Deleting the anonymous group is forbidden"]);
    let other = json!([
        { "command": "createGroup", "groupname": "h" },
        { "command": "setAnonymousGroup", "groupname": "h" },
    ]);
    assert_eq!(errors(&run(&mut state, &other)), [""; 0]);
    assert_eq!(run(&mut state, &delete).kicks, [Kick::User("u".into())]);
    let outcome = run(
        &mut state,
        &json!([
            { "command": "getClient", "username": "u" },
            { "command": "getAnonymousGroup" },
        ]),
    );
    assert_eq!(
        serde_json::from_str::<Value>(&outcome.response).unwrap(),
        json!({ "responses": [
            { "command": "getClient",
              "data": { "client": { "username": "u", "roles": [], "groups": [] } } },
            { "command": "getAnonymousGroup", "data": { "group": { "groupname": "h" } } },
        ]})
    );
}

#[test]
fn what_changes_is_kicked_and_counted() {
    let mut state = parse(include_str!("data/dynsec-acl.json"));
    let user = |name: &str| Kick::User(name.into());
    let table = [
        (json!({ "command": "getClient", "username": "anna" }), false, vec![]),
        (json!({ "command": "deleteClient", "username": "nobody" }), false, vec![]),
        (json!({ "command": "disableClient", "username": "anna" }), true, vec![user("anna")]),
        (json!({ "command": "enableClient", "username": "anna" }), true, vec![]),
        (
            json!({ "command": "addGroupRole", "groupname": "g", "rolename": "low" }),
            true,
            vec![user("anna"), user("geo")],
        ),
        (
            json!({ "command": "removeRoleACL", "rolename": "grp2", "acltype": "publishClientSend",
                    "topic": "g/x" }),
            true,
            vec![user("anna"), user("geo")],
        ),
    ];
    for (command, changed, kicks) in table {
        let before = state.generation();
        let outcome = run(&mut state, &json!([command]));
        assert_eq!((outcome.changed, outcome.kicks), (changed, kicks), "{command}");
        assert_eq!(state.generation() > before, changed);
    }
}

#[test]
fn the_cache_answers_as_the_state_until_it_changes() {
    let mut state = parse(include_str!("data/dynsec-acl.json"));
    let mut cache = Cache::default();
    let anna = Who { user: Some("anna"), client_id: "c", ..Who::default() };
    for _ in 0..3 {
        for topic in ["p/a", "p/no", "tie", "other", "r/a", "r/no"] {
            for action in [Action::Publish, Action::Deliver] {
                let expected = state.check(&anna, action, topic).allowed;
                assert_eq!(cache.check_dynamic(&state, &anna, action, topic), expected, "{topic}");
            }
        }
    }
    assert!(cache.check_dynamic(&state, &anna, Action::Publish, "p/a"));
    let command = json!({ "command": "removeRoleACL", "rolename": "one",
                          "acltype": "publishClientSend", "topic": "p/#" });
    assert!(run(&mut state, &json!([command])).changed);
    assert!(!cache.check_dynamic(&state, &anna, Action::Publish, "p/a"));
}

#[test]
fn the_acl_that_decides_is_named() {
    let state = parse(include_str!("data/dynsec-acl.json"));
    let who = |user| Who { user, client_id: "c", ..Who::default() };
    let decision = state.check(&who(Some("anna")), Action::Publish, "p/no");
    let By::Acl { role, topic, kind } = decision.by else { panic!("{decision:?}") };
    assert_eq!((role, topic, kind.name()), ("one", "p/no", "publishClientSend"));
    let decision = state.check(&who(Some("bob")), Action::Publish, "p/no");
    assert_eq!(decision.by, By::Default("publishClientSend"));
    let decision = state.check(&who(Some("zz")), Action::Deliver, "x");
    assert_eq!((decision.allowed, decision.by), (false, By::Unknown));
    let decision = state.check(&who(None), Action::Deliver, "x");
    assert_eq!(decision.by, By::Default("publishClientReceive"));
}

#[test]
fn passwords_are_in_no_log_line_and_no_debug_output() {
    let mut state = initial();
    let outcome = run(
        &mut state,
        &json!([{ "command": "createClient", "username": "u", "password": "hunter2" }]),
    );
    assert_eq!(outcome.log, ["dynamic security: createClient username=\"u\""]);
    assert!(!format!("{state:?} {outcome:?}").contains("hunter2"));
    assert!(state.attempt("u", "c").verify(Some(b"hunter2")));
}

#[test]
fn broken_files_are_told_with_their_line() {
    let fault = Dynsec::parse("ds.json", "{\n \"clients\": [\n").unwrap_err();
    assert!(fault.to_string().starts_with("ds.json:"), "{fault}");
    assert!(Dynsec::parse("ds.json", "[]").is_err());
    let text = r#"{"clients":[{"x":1},{"username":"a","password":"x","salt":"y"},
        {"username":"b","roles":[{"rolename":"none"}]}],"groups":[{"groupname":"g",
        "clients":[{"username":"nobody"}]}],"anonymousGroup":"none"}"#;
    let (state, faults) = Dynsec::parse("ds.json", text).unwrap();
    assert_eq!(faults.len(), 5);
    assert!(state.contains("a") && state.contains("b"));
}

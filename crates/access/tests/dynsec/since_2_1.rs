//! What the plugin has since Mosquitto 2.1, by its sources.

use std::collections::HashMap;

use dunlin_access::acl::{Action, Who};
use dunlin_access::dynsec::{By, Dynsec, make_password};
use serde_json::{Value, json};

use super::{counting, errors, initial, parse, run};

fn answers(state: &mut Dynsec, commands: &Value) -> Value {
    let outcome = run(state, commands);
    let response: Value = serde_json::from_str(&outcome.response).unwrap();
    response["responses"].clone()
}

#[test]
fn names_with_control_characters_and_without_any_are_refused() {
    let mut state = initial();
    let long = "x".repeat(65_536);
    for odd in ["a\0b", "\0", "a\nb", "a\u{7f}", "\u{9f}", "\u{fdd0}", "\u{ffff}LO", &long] {
        let outcome = run(
            &mut state,
            &json!([
                { "command": "createClient", "username": odd },
                { "command": "createClient", "username": "u", "clientid": odd },
                { "command": "createGroup", "groupname": odd },
                { "command": "createRole", "rolename": odd },
                { "command": "getClient", "username": odd },
                { "command": "modifyClient", "username": "admin", "clientid": odd },
                { "command": "addRoleACL", "rolename": "admin", "acltype": "publishClientSend",
                  "topic": odd, "allow": true },
            ]),
        );
        let expected =
            ["Username", "Client ID", "Group name", "Role name", "Username", "Client ID"];
        let mut expected = expected.map(|what| format!("{what} not valid UTF-8")).to_vec();
        expected.push("Topic not valid UTF-8".into());
        assert_eq!(errors(&outcome), expected, "{:.9}", odd.escape_debug());
        assert!(!outcome.changed);
    }
    let outcome = run(
        &mut state,
        &json!([
            { "command": "createClient", "username": "" },
            { "command": "createGroup", "groupname": "" },
            { "command": "createRole", "rolename": "" },
        ]),
    );
    assert_eq!(errors(&outcome), ["Empty username", "Empty groupname", "Empty rolename"]);
}

#[test]
fn wildcards_and_letters_of_all_the_world_may_be_in_names() {
    let mut state = initial();
    for name in ["a+b", "#", "a/b", "größe", "温度", "🌡"] {
        let create = json!([
            { "command": "createClient", "username": name },
            { "command": "getClient", "username": name },
        ]);
        assert_eq!(errors(&run(&mut state, &create)), [""; 0], "{name}");
    }
}

#[test]
fn a_role_without_wildcards_denies_them_before_its_acls_are_asked() {
    let mut state = initial();
    let acl = json!([{ "acltype": "subscribePattern", "topic": "a/#", "allow": true }]);
    let outcome = run(
        &mut state,
        &json!([
            { "command": "createRole", "rolename": "r", "allowwildcardsubs": false, "acls": acl },
            { "command": "createClient", "username": "u", "roles": [{ "rolename": "r" }] },
            { "command": "createRole", "rolename": "s", "allowwildcardsubs": "no" },
        ]),
    );
    assert_eq!(errors(&outcome), ["Invalid allowwildcardsubs"]);
    let who = Who { user: Some("u"), client_id: "c", ..Who::default() };
    let reread = parse(&state.to_json());
    for state in [&state, &reread] {
        for filter in ["a/#", "a/+", "b/+"] {
            let decision = state.check(&who, Action::Subscribe, filter);
            assert_eq!((decision.allowed, decision.by), (false, By::Wildcards { role: "r" }));
        }
        assert!(state.check(&who, Action::Subscribe, "a/b").allowed);
        assert!(state.check(&who, Action::Unsubscribe, "a/#").allowed);
    }
    run(
        &mut state,
        &json!([{ "command": "modifyRole", "rolename": "r", "allowwildcardsubs": true }]),
    );
    assert!(state.check(&who, Action::Subscribe, "a/#").allowed);
    let role = answers(&mut state, &json!([{ "command": "getRole", "rolename": "r" }]));
    assert_eq!(role[0]["data"]["role"]["allowwildcardsubs"], true);
}

#[test]
fn details_count_what_there_is_and_every_change_over_restarts() {
    let mut state = initial();
    let details = json!([{ "command": "getDetails" }]);
    assert_eq!(
        answers(&mut state, &details)[0]["data"],
        json!({ "clientCount": 1, "groupCount": 0, "roleCount": 1, "changeIndex": 0 })
    );
    run(
        &mut state,
        &json!([
            { "command": "createGroup", "groupname": "g" },
            { "command": "createGroup", "groupname": "g" },
            { "command": "CREATEclient", "username": "u" },
        ]),
    );
    let mut state = parse(&state.to_json());
    assert_eq!(
        answers(&mut state, &details)[0]["data"],
        json!({ "clientCount": 2, "groupCount": 1, "roleCount": 1, "changeIndex": 2 })
    );
}

#[test]
fn who_asks_about_a_client_is_told_from_where_it_is_connected() {
    let mut state = initial();
    run(&mut state, &json!([{ "command": "createClient", "username": "u", "clientid": "only" }]));
    let there = HashMap::from([("admin", vec!["192.0.2.1", "::1"]), ("u", vec!["192.0.2.2"])]);
    let mut asked = Vec::new();
    let mut connections = |user: &str, client_id: Option<&str>| {
        asked.push((user.to_owned(), client_id.map(str::to_owned)));
        there.get(user).into_iter().flatten().map(|address| (*address).into()).collect()
    };
    let commands = json!({ "commands": [
        { "command": "getClient", "username": "admin" },
        { "command": "listClients", "verbose": true },
        { "command": "listClients" },
    ]});
    let mut random = counting();
    let outcome = state.handle_with(commands.to_string().as_bytes(), &mut random, &mut connections);
    let response: Value = serde_json::from_str(&outcome.response).unwrap();
    let both = json!([{ "address": "192.0.2.1" }, { "address": "::1" }]);
    assert_eq!(response["responses"][0]["data"]["client"]["connections"], both);
    let listed = &response["responses"][1]["data"]["clients"];
    assert_eq!(listed[0]["connections"], both);
    assert_eq!(listed[1]["connections"], json!([{ "address": "192.0.2.2" }]));
    let admin = || ("admin".to_owned(), None);
    assert_eq!(asked, [admin(), admin(), ("u".into(), Some("only".into()))]);
}

#[test]
fn no_default_opens_the_topics_of_commands() {
    let mut state = initial();
    let all = ["publishClientSend", "publishClientReceive", "subscribe", "unsubscribe"]
        .map(|kind| json!({ "acltype": kind, "allow": true }));
    run(
        &mut state,
        &json!([
            { "command": "setDefaultACLAccess", "acls": all },
            { "command": "createClient", "username": "u" },
        ]),
    );
    let who = Who { user: Some("u"), client_id: "c", ..Who::default() };
    for action in [Action::Publish, Action::Deliver, Action::Subscribe, Action::Unsubscribe] {
        assert!(state.check(&who, action, "a/b").allowed);
        assert!(!state.check(&who, action, "$CONTROL/dynamic-security/v1").allowed);
    }
}

#[test]
fn what_begins_with_a_dollar_is_granted_by_name_only() {
    let acl = |kind| json!({ "acltype": kind, "topic": "#", "allow": true });
    let mut state = initial();
    run(
        &mut state,
        &json!([
            { "command": "createRole", "rolename": "all",
              "acls": [acl("subscribePattern"), acl("publishClientSend")] },
            { "command": "createClient", "username": "u", "roles": [{ "rolename": "all" }] },
        ]),
    );
    let who = Who { user: Some("u"), client_id: "c", ..Who::default() };
    for action in [Action::Publish, Action::Subscribe] {
        assert!(state.check(&who, action, "a").allowed);
        assert!(!state.check(&who, action, "$CONTROL/x").allowed);
        assert!(!state.check(&who, action, "$SYS/x").allowed);
    }
}

#[test]
fn passwords_are_read_in_the_form_of_both_versions() {
    let new = dunlin_access::password::Hash::create(
        dunlin_access::password::Kind::Argon2id,
        b"hush",
        &mut counting(),
    );
    let text = json!({ "clients": [{ "username": "u", "encoded_password": new.encode() }] });
    let state = parse(&text.to_string());
    let reread = parse(&state.to_json());
    for state in [state, reread] {
        assert!(state.attempt("u", "c").verify(Some(b"hush")));
        assert!(!state.attempt("u", "c").verify(Some(b"hash")));
    }
}

#[test]
fn a_file_that_is_made_has_an_administrator_and_perhaps_a_client() {
    let state = Dynsec::first(b"one", Some(b"two"), &mut counting());
    let state = parse(&state.to_json());
    assert!(state.attempt("admin", "c").verify(Some(b"one")));
    assert!(state.attempt("democlient", "c").verify(Some(b"two")));
    let may = |user, action, topic| {
        let who = Who { user: Some(user), client_id: "c", ..Who::default() };
        state.check(&who, action, topic).allowed
    };
    let commands = "$CONTROL/dynamic-security/v1";
    assert!(may("admin", Action::Publish, commands) && may("admin", Action::Subscribe, commands));
    assert!(may("admin", Action::Subscribe, "#") && !may("admin", Action::Publish, "a"));
    assert!(may("admin", Action::Subscribe, "$SYS/#"));
    assert!(may("democlient", Action::Publish, "a") && may("democlient", Action::Subscribe, "#"));
    assert!(!may("democlient", Action::Publish, commands));
    assert!(!may("democlient", Action::Subscribe, commands));
    let nameless = Who { user: None, client_id: "c", ..Who::default() };
    assert!(state.has_anonymous_group());
    assert!(!state.check(&nameless, Action::Subscribe, "a").allowed);
    let alone = Dynsec::first(b"one", None, &mut counting());
    assert!(!alone.contains("democlient"));
}

#[test]
fn passwords_that_are_made_up_use_all_letters_alike() {
    let mut counts = HashMap::new();
    let mut next = 0_u8;
    // Every byte once: those that would prefer some letters are passed over.
    let mut all = |bytes: &mut [u8]| {
        for byte in bytes {
            *byte = next;
            next = next.wrapping_add(1);
        }
    };
    for _ in 0..448 {
        let password = make_password(&mut all);
        assert_eq!(password.len(), 22);
        password.chars().for_each(|letter| *counts.entry(letter).or_insert(0_u32) += 1);
    }
    assert_eq!(counts.len(), 56);
    let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
    assert!(most - least <= most / 4, "{counts:?}");
}

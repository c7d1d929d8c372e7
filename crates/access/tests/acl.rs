//! ACL files and tables, checked against what Mosquitto answers.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use dunlin_access::Severity;
use dunlin_access::acl::{Action, Cache, Grants, Rules, Source, Subscribing, Who};

fn file(text: &str) -> Result<Rules, Vec<String>> {
    compile(&[Source::AclFile { name: "acl", text }])
}

fn toml(text: &str) -> Result<Rules, Vec<String>> {
    compile(&[Source::Toml { name: "dunlin.toml", text }])
}

fn compile(sources: &[Source<'_>]) -> Result<Rules, Vec<String>> {
    Rules::compile(1, sources, Subscribing::Checked)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn who<'a>(user: Option<&'a str>, client_id: &'a str) -> Who<'a> {
    Who { user, client_id, ..Who::default() }
}

/// The table was recorded from Mosquitto 2.0.11 as Debian packages it: each client published to each
/// topic with QoS 1 and was sent what another client published to it.
#[test]
fn every_answer_is_that_of_mosquitto() {
    let rules = file(include_str!("data/mosquitto.acl")).unwrap();
    let mut count = 0;
    for line in include_str!("data/mosquitto-acl-answers.tsv").lines() {
        let [user, client_id, topic, expected] = *line.split('\t').collect::<Vec<_>>().as_slice()
        else {
            panic!("{line}");
        };
        let who = who((user != "-").then_some(user), client_id);
        let say = |action, letter| {
            if rules.check(&who, action, topic).allowed { letter } else { '-' }
        };
        let found = format!("{}{}", say(Action::Deliver, 'r'), say(Action::Publish, 'w'));
        assert_eq!(found, expected, "{line}");
        let will = rules.check(&who, Action::Will, topic).allowed;
        assert_eq!(will, expected.ends_with('w'), "will, {line}");
        count += 1;
    }
    assert_eq!(count, 462);
}

/// The files and topics were made by chance, the answers are those of Mosquitto 2.0.11 to PUBLISH.
#[test]
fn files_of_chance_are_answered_as_by_mosquitto() {
    let mut count = 0;
    for line in include_str!("data/mosquitto-acl-random.jsonl").lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = line["acl"].as_str().unwrap();
        let rules = file(text).unwrap();
        for probe in line["probes"].as_array().unwrap() {
            let who = who(probe[0].as_str(), probe[1].as_str().unwrap());
            let topic = probe[2].as_str().unwrap();
            let verdict = rules.check(&who, Action::Publish, topic);
            assert_eq!(verdict.allowed, probe[3] == true, "{who:?} {topic} {verdict:?}\n{text}");
            count += 1;
        }
    }
    assert!(count > 1000);
}

#[test]
fn lines_are_taken_and_refused_as_by_mosquitto() {
    let table = [
        ("topic", Some("acl:2: the topic is missing")),
        ("topic read", None),
        ("topic deny", None),
        ("topic readwrite ", None),
        ("topic  read  x", None),
        (" topic x", None),
        ("user x", None),
        (" user x", None),
        ("pattern write %u/%c", None),
        ("topic read /", None),
        ("topic read $share/g/x", None),
        ("  ", None),
        ("# comment", None),
        ("user", Some("acl:2: `user` without a name")),
        ("user  ", Some("acl:2: `user` without a name")),
        ("pattern", Some("acl:2: the topic is missing")),
        ("topic rad a/b", Some("acl:2: \"rad\" is no access")),
        ("topic a b", Some("acl:2: \"a\" is no access")),
        ("topic READ x", Some("acl:2: \"READ\" is no access")),
        ("topic writeread a", Some("acl:2: \"writeread\" is no access")),
        ("topic a/#/b", Some("acl:2: \"a/#/b\" is no topic filter")),
        ("topic read a+", Some("acl:2: \"a+\" is no topic filter")),
        ("pattern deny a#", Some("acl:2: \"a#\" is no topic filter")),
        ("topics a", Some("acl:2: expected `user`, `topic` or `pattern`")),
        ("TOPIC read x", Some("acl:2: expected")),
        ("\ttopic x", Some("acl:2: expected")),
        ("topic\tread\tx", Some("acl:2: expected")),
        ("nonsense", Some("acl:2: expected")),
    ];
    for (line, expected) in table {
        match (file(&format!("user anna\n{line}\n")), expected) {
            (Ok(_), None) => {}
            (Err(faults), Some(expected)) => {
                assert!(faults[0].starts_with(expected), "{line}: {faults:?}");
            }
            (found, _) => panic!("{line}: {found:?}"),
        }
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let faults = file("topic\nuser\nnonsense\n").unwrap_err();
    assert_eq!(faults.len(), 3);
}

#[test]
fn a_pattern_for_everyone_is_warned_of() {
    let rules = file("pattern read x\npattern read x/%c\n").unwrap();
    let warnings = rules.warnings();
    assert_eq!(warnings.len(), 1);
    assert_eq!((warnings[0].line, warnings[0].severity), (1, Severity::Warning));
}

#[test]
fn the_rule_that_decides_is_named() {
    let rules = file("user anna\ntopic a/#\ntopic deny a/secret\n\npattern read b/%c\n").unwrap();
    let anna = who(Some("anna"), "c1");
    let table = [
        (Action::Publish, "a/x", true, Some(2)),
        (Action::Publish, "a/secret", false, Some(3)),
        (Action::Deliver, "b/c1", true, Some(5)),
        (Action::Publish, "b/c1", false, None),
        (Action::Deliver, "other", false, None),
    ];
    for (action, topic, allowed, line) in table {
        let verdict = rules.check(&anna, action, topic);
        assert_eq!(verdict.allowed, allowed, "{topic}");
        assert_eq!(verdict.rule.map(|rule| rule.line), line, "{topic}");
    }
    let rule = rules.check(&anna, Action::Publish, "a/x").rule.unwrap();
    assert_eq!(rule.to_string(), "acl:2");
}

#[test]
fn without_files_everything_is_allowed_and_with_an_empty_one_nothing() {
    let anyone = who(None, "c");
    assert!(compile(&[]).unwrap().check(&anyone, Action::Publish, "a").allowed);
    assert!(!file("").unwrap().check(&anyone, Action::Publish, "a").allowed);
}

#[test]
fn roles_groups_and_users_of_a_table_add_up() {
    let rules = toml(
        r##"
[log]
level = "info"
[roles.sensor]
rules = ["write s/%c/#", "deny s/%c/locked"]
[roles.reader]
rules = ["read s/#"]
[groups.plant]
roles = ["sensor"]
rules = ["read plant/#"]
[users.anna]
groups = ["plant"]
rules = ["readwrite anna/#",
         "deny plant/private"]
[users.bob]
roles = ["reader"]
[groups.anonymous]
rules = ["read public"]
[groups.everyone]
rules = ["readwrite people/%u/#"]
"##,
    )
    .unwrap();
    let (anna, bob, nobody) = (who(Some("anna"), "c1"), who(Some("bob"), "c2"), who(None, "c3"));
    let table = [
        (anna, Action::Publish, "s/c1/t", Some(5)),
        (anna, Action::Publish, "s/c2/t", None),
        (anna, Action::Publish, "s/c1/locked", None),
        (anna, Action::Deliver, "plant/x", Some(10)),
        (anna, Action::Deliver, "plant/private", None),
        (anna, Action::Publish, "anna/1", Some(13)),
        (anna, Action::Publish, "people/anna/x", Some(20)),
        (bob, Action::Publish, "people/anna/x", None),
        (bob, Action::Deliver, "s/c1/t", Some(7)),
        (bob, Action::Publish, "s/c1/t", None),
        (bob, Action::Deliver, "public", None),
        (nobody, Action::Deliver, "public", Some(18)),
        (nobody, Action::Deliver, "people//x", None),
    ];
    for (who, action, topic, line) in table {
        let verdict = rules.check(&who, action, topic);
        assert_eq!(verdict.allowed, line.is_some(), "{who:?} {topic}");
        if let Some(line) = line {
            assert_eq!(verdict.rule.unwrap().line, line, "{topic}");
        }
    }
    assert_eq!(rules.check(&anna, Action::Deliver, "plant/private").rule.unwrap().line, 14);
}

#[test]
fn tables_are_refused_with_the_line() {
    let table = [
        ("[roles.a]\nrule = []\n", "dunlin.toml:2: `rule` is not known here"),
        ("[roles.a]\nrules = [\"read a\",\n \"rad b\"]\n", "dunlin.toml:3: \"rad\" is no access"),
        ("[users.a]\nroles = [\"x\"]\n", "dunlin.toml:2: there is no [roles.x]"),
        ("[users.a]\ngroups = [\"x\"]\n", "dunlin.toml:2: there is no [groups.x]"),
        ("[users.a]\ngroups = [\"everyone\"]\n", "dunlin.toml:2: there is no [groups.everyone]"),
        ("[groups.everyone]\nroles = []\n", "dunlin.toml:2: `roles` is not known here"),
        ("[groups.anonymous]\ngroups = []\n", "dunlin.toml:2: `groups` is not known here"),
        ("users = 5\n", "dunlin.toml:1: `users` must be"),
        ("[users]\na = 5\n", "dunlin.toml:2: this must be a table"),
        ("[users.a]\nrules = \"read a\"\n", "dunlin.toml:2: this must be a list"),
        ("[users.a]\nrules = [5]\n", "dunlin.toml:2: this must be a string"),
        ("[users.a\n", "dunlin.toml:1:"),
    ];
    for (text, expected) in table {
        let faults = toml(text).unwrap_err();
        assert!(faults[0].starts_with(expected), "{text}: {faults:?}");
    }
}

#[test]
fn groups_and_filters_of_a_token_count_too() {
    let rules = toml("[groups.ops]\nrules = [\"read ops/#\", \"deny mine/locked\"]\n").unwrap();
    let grants = Grants { publish: vec!["mine/%c/+".into()], subscribe: vec!["mine/#".into()] };
    let groups = ["ops".to_string(), "unknown".to_string()];
    let who = Who { client_id: "c", groups: &groups, grants: Some(&grants), ..Who::default() };
    let table = [
        (Action::Deliver, "ops/1", true),
        (Action::Publish, "ops/1", false),
        (Action::Publish, "mine/c/1", true),
        (Action::Publish, "mine/d/1", false),
        (Action::Deliver, "mine/d/1", true),
        (Action::Deliver, "mine/locked", false),
        (Action::Subscribe, "mine/+", true),
        (Action::Subscribe, "other", false),
    ];
    for (action, topic, allowed) in table {
        assert_eq!(rules.check(&who, action, topic).allowed, allowed, "{action:?} {topic}");
    }
    let rule = rules.check(&who, Action::Publish, "mine/c/1").rule.unwrap();
    assert_eq!(rule.file, "token");
}

#[test]
fn a_name_with_a_wildcard_widens_denials_only() {
    let rules = toml(
        "[roles.r]\nrules = [\"readwrite d/%c/x\", \"readwrite e/#\", \"deny e/%c/x\"]\n\
         [groups.anonymous]\nroles = [\"r\"]\n[groups.everyone]\nrules = [\"read all\"]\n",
    )
    .unwrap();
    let plus = who(None, "+");
    assert!(!rules.check(&plus, Action::Deliver, "d/1/x").allowed);
    assert!(!rules.check(&plus, Action::Deliver, "d/+/x").allowed);
    assert!(rules.check(&plus, Action::Deliver, "e/1").allowed);
    assert!(!rules.check(&plus, Action::Deliver, "e/1/x").allowed);
    assert!(!rules.check(&plus, Action::Deliver, "all").allowed);
    assert!(rules.check(&who(None, "c"), Action::Deliver, "all").allowed);
}

#[test]
fn subscriptions_are_refused_when_nothing_of_them_may_be_read() {
    let text = "topic read a/+/c\ntopic deny a/secret/#\ntopic write w\ntopic read $x/#\n";
    let rules = file(text).unwrap();
    let table = [
        ("a/#", true),
        ("#", true),
        ("a/b/c", true),
        ("a/b/d", false),
        ("a/secret/c", false),
        ("a/secret/#", false),
        ("a/secret/+", false),
        ("+/secret/c", true),
        ("w", false),
        ("$x/1", true),
        ("$y/1", false),
        ("+/1", false),
    ];
    for (filter, allowed) in table {
        let verdict = rules.check(&who(None, "c"), Action::Subscribe, filter);
        assert_eq!(verdict.allowed, allowed, "{filter}");
        assert!(rules.check(&who(None, "c"), Action::Unsubscribe, filter).allowed);
    }
    let as_mosquitto =
        Rules::compile(2, &[Source::AclFile { name: "acl", text }], Subscribing::Granted).unwrap();
    for (filter, _) in table {
        assert!(as_mosquitto.check(&who(None, "c"), Action::Subscribe, filter).allowed);
    }
}

/// The tree and the comparison one by one are two ways to the same answer.
#[test]
fn large_sections_answer_as_small_ones() {
    let filters = [
        "#", "+", "+/+", "a", "a/#", "a/+", "a/+/c", "a/b", "a/b/c", "+/b/#", "$x/#", "$x/+", "$x",
        "/", "/+", "a//c", "%c/x", "a/%c", "a/%c/#", "$x/%c", "x%c/+",
    ];
    let topics = [
        "a", "b", "a/b", "a/b/c", "a/x/c", "/", "//", "a//c", "$x", "$x/1", "$x/1/2", "$y/b/1",
        "c", "c/x", "a/c", "a/c/d", "$x/c", "xc/1", "x/b", "x/b/y",
    ];
    let text: String = filters.iter().map(|filter| format!("topic {filter}\n")).collect();
    let large = file(&text).unwrap();
    let single: Vec<_> =
        filters.iter().map(|filter| file(&format!("topic {filter}\n")).unwrap()).collect();
    let client = who(None, "c");
    for topic in topics {
        let found = large.check(&client, Action::Publish, topic).rule.map(|rule| rule.line);
        let expected = single
            .iter()
            .zip(1..)
            .find(|(rules, _)| rules.check(&client, Action::Publish, topic).allowed)
            .map(|(_, line)| line);
        assert_eq!(found, expected, "{topic}");
    }
}

#[test]
fn the_cache_answers_as_the_rules_until_they_change() {
    let text: String = (0..50).map(|n| format!("topic read t/{}\n", 2 * n)).collect();
    let rules = file(&text).unwrap();
    let mut cache = Cache::default();
    let client = who(None, "c");
    for round in 0..3 {
        for n in 0..200 {
            let topic = format!("t/{n}");
            let found = cache.check(&rules, &client, Action::Deliver, &topic);
            assert_eq!(found, rules.check(&client, Action::Deliver, &topic), "{round} {topic}");
            assert!(!cache.check(&rules, &client, Action::Publish, &topic).allowed);
        }
    }
    let changed = Rules::compile(
        2,
        &[Source::AclFile { name: "acl", text: "topic write t/#\n" }],
        Subscribing::Granted,
    )
    .unwrap();
    assert!(cache.check(&changed, &client, Action::Publish, "t/0").allowed);
    assert!(!cache.check(&changed, &client, Action::Deliver, "t/0").allowed);
}

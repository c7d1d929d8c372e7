//! Whatever stands in a file, a variable or on the command line: an answer, never a panic.

use dunlin_config::{CommandLine, Loader, Memory, keys, mosquitto, to_toml};
use proptest::prelude::*;

fn key() -> impl Strategy<Value = String> {
    let mosquitto: Vec<_> = mosquitto::keys().map(|key| key.name.to_owned()).collect();
    let toml: Vec<_> = keys::general()
        .map(|key| key.name)
        .chain(keys::listener().map(|key| key.name))
        .chain(keys::bridge().map(|key| key.name))
        .map(ToOwned::to_owned)
        .collect();
    prop_oneof![
        8 => proptest::sample::select(mosquitto),
        2 => proptest::sample::select(toml),
        1 => "[a-z_.]{0,12}",
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("true".to_owned()),
        Just("\"\" \"\" in 1".to_owned()),
        "-?(0x)?[0-9]{1,20}",
        "[a-z0-9/#+:\" .,-]{0,30}",
        "\\PC{0,20}",
        any::<String>(),
    ]
}

fn never_panics(name: &str, text: &str) {
    let source = Memory::new([(name, text), ("d/a.conf", text)]);
    let Ok(loaded) = Loader::new(&source).load(Some(name)) else { return };
    assert!(!loaded.config.listeners.is_empty());
    // What was accepted can be written down and means the same again.
    let toml = to_toml(&loaded.config, &loaded.notes);
    let source = Memory::new([("d.toml", toml.as_str())]);
    let again = Loader::new(&source).load(Some("d.toml"));
    let mut again =
        again.unwrap_or_else(|problems| panic!("{problems}\n{toml}\nfrom:\n{text}")).config;
    again.definitions = loaded.config.definitions.clone();
    assert_eq!(loaded.config, again, "{toml}\nfrom:\n{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_of_keys_and_values(lines in proptest::collection::vec((key(), value()), 0..12)) {
        let text: String = lines.iter().map(|(key, value)| format!("{key} {value}\n")).collect();
        never_panics("m.conf", &text);
        never_panics("m.conf", &format!("listener 1883\n{text}"));
        never_panics("m.conf", &format!("connection b\naddress a\ntopic #\n{text}"));
    }

    #[test]
    fn one_key_that_is_accepted_survives(key in key(), value in value()) {
        for before in ["", "listener 1\n", "connection b\naddress a\ntopic #\n"] {
            never_panics("m.conf", &format!("{before}{key} {value}\n"));
        }
    }

    #[test]
    fn tables_of_keys_and_values(lines in proptest::collection::vec((key(), value()), 0..8)) {
        let pairs: String = lines.iter().map(|(key, value)| format!("{key} = {value:?}\n")).collect();
        let bare: String = lines.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        for table in ["", "[[listener]]\n", "[[bridge]]\n"] {
            never_panics("d.toml", &format!("{table}{pairs}"));
            never_panics("d.toml", &format!("{table}{bare}"));
        }
    }

    #[test]
    fn any_text(text in any::<String>()) {
        never_panics("m.conf", &text);
        never_panics("d.toml", &text);
        never_panics("other", &text);
    }

    #[test]
    fn any_variables_and_arguments(
        variables in proptest::collection::vec(("DUNLIN_[A-Z0-9_]{0,20}", value()), 0..6),
        arguments in proptest::collection::vec(value(), 0..6),
    ) {
        let source = Memory::default();
        drop(Loader::new(&source).with_environment(variables).load(None));
        drop(CommandLine::parse(arguments.iter().map(String::as_str)));
    }
}

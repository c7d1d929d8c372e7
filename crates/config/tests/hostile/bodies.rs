//! What is done with hostile configurations. libFuzzer runs these too.

use dunlin_config::{CommandLine, Loader, Memory, Problems, to_toml};

/// A file of that name, which may name others that say the same, and itself.
pub(crate) fn file(name: &str, text: &str) {
    let files =
        [(name, text), ("d/a.conf", text), ("d/b.conf", "include_dir d\n"), ("secret", "x")];
    let source = Memory::new(files);
    let loaded = match Loader::new(&source).load(Some(name)) {
        Ok(loaded) => loaded,
        Err(problems) => return places_are_told(&problems, text),
    };
    assert!(!loaded.config.listeners.is_empty());
    assert_eq!(loaded.files.first().map(String::as_str), Some(name));
    for note in &loaded.notes {
        assert!(note.text.len() < 4_000, "a note as long as a file: {}", note.text.len());
    }
    // What was accepted can be written down and means the same again.
    let toml = to_toml(&loaded.config, &loaded.notes);
    let source = Memory::new([("again.toml", toml.as_str()), ("secret", "x")]);
    let again = Loader::new(&source).load(Some("again.toml"));
    let mut again = again.unwrap_or_else(|problems| panic!("{problems}\n{toml}")).config;
    again.definitions = loaded.config.definitions.clone();
    assert_eq!(loaded.config, again, "{toml}");
}

/// Somebody who wrote this finds what is wrong: a file with a line of it, and a message that can be read.
fn places_are_told(problems: &Problems, text: &str) {
    assert!(problems.first().is_some());
    let lines = text.lines().count() + 1;
    for problem in problems.iter() {
        if let Some(place) = &problem.place {
            assert!(place.line as usize <= lines, "{problem} in a file of {lines} lines");
        }
        // A value may be quoted, and one may be long; never all of a file many times over.
        assert!(problem.what.len() < 1_000 + text.len(), "{} bytes", problem.what.len());
    }
    assert!(problems.iter().any(|problem| problem.place.is_some()), "no place: {problems}");
}

/// Variables of the environment, as `NAME=VALUE` on lines.
pub(crate) fn environment(text: &str) {
    // The system allows about so many.
    let variables = text.lines().take(500).filter_map(|line| line.split_once('='));
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let source = Memory::new([("secret", "x")]);
    if let Err(problems) = Loader::new(&source).with_environment(variables).load(None) {
        for problem in problems.iter() {
            let place = problem.place.as_ref().map(|place| &*place.file).unwrap_or("DUNLIN_");
            assert!(!place.is_empty(), "{problem}");
        }
    }
}

/// A command line, an argument on each line.
pub(crate) fn command_line(text: &str) {
    let Ok(line) = CommandLine::parse(text.lines()) else { return };
    let source = Memory::new([("m.conf", "listener 1883\n")]);
    drop(Loader::new(&source).load_command_line(&line));
}

//! Options as they are typed, for the tests of the commands that have them.

use std::iter;

use clap::{Args, Command, Error};

pub(super) fn typed<'a, A: Args>(words: impl IntoIterator<Item = &'a str>) -> Result<A, Error> {
    let command = A::augment_args(Command::new("test").disable_help_flag(true));
    let matches = command.try_get_matches_from(iter::once("test").chain(words))?;
    A::from_arg_matches(&matches)
}

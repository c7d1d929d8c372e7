//! Rules.
fn main() {}

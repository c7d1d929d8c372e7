//! How a topic filter is cut into the edges of the trie.

/// One edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// Levels without wildcards, with the slashes between them. May be empty: one empty level.
    Run(&'a [u8]),
    /// `+`
    Plus,
    /// `#`; always the last.
    Below,
}

/// Most levels in one run, so that the run lengths below a node fit the bits of an `u32`. Longer
/// stretches become several runs.
pub(super) const LONGEST_RUN: usize = 32;

/// Cuts a checked filter. Runs are as long as they can be, so a filter has one way through the trie.
pub(super) fn steps(filter: &[u8]) -> impl Iterator<Item = Step<'_>> {
    let mut rest = Some(filter);
    core::iter::from_fn(move || {
        let whole = rest?;
        let (level, mut after) = split(whole);
        let step = match level {
            b"+" => Step::Plus,
            b"#" => Step::Below,
            _ => {
                let mut end = level.len();
                for _ in 1..LONGEST_RUN {
                    let Some((level, beyond)) = after.map(split) else { break };
                    if matches!(level, b"+" | b"#") {
                        break;
                    }
                    end += 1 + level.len();
                    after = beyond;
                }
                Step::Run(&whole[..end])
            }
        };
        rest = after;
        Some(step)
    })
}

/// Number of levels in a run, or in any topic.
pub(super) fn level_count(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'/').count() + 1
}

/// The first level, and what is behind its slash.
fn split(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == b'/') {
        Some(slash) => (&text[..slash], Some(&text[slash + 1..])),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::Step::{Below, Plus, Run};
    use super::*;

    #[test]
    fn runs_end_at_wildcards_and_at_their_longest() {
        let cut = |filter: &'static str| steps(filter.as_bytes()).collect::<Vec<_>>();
        assert_eq!(cut("a/b/+/c/#"), [Run(b"a/b"), Plus, Run(b"c"), Below]);
        assert_eq!(cut("#"), [Below]);
        assert_eq!(cut("+/+"), [Plus, Plus]);
        assert_eq!(cut("/"), [Run(b"/")]);
        assert_eq!(cut("+/"), [Plus, Run(b"")]);
        assert_eq!(cut("//+"), [Run(b"/"), Plus]);
        let long = "x/".repeat(LONGEST_RUN) + "y/+";
        let cut = steps(long.as_bytes()).collect::<Vec<_>>();
        assert_eq!(cut.len(), 3);
        assert_eq!(cut[1..], [Run(b"y"), Plus]);
    }
}

//! The key that somebody may have meant.

/// The candidate most like `word`, if one is like it at all.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(LONGEST).collect();
    // A third of the letters may be wrong; beyond it the guess would be noise.
    let bound = word.len() / 3 + 1;
    candidates
        .into_iter()
        // Names are ASCII. What differs in length by more needs no look, which makes many wrong lines cheap.
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= bound)
        .map(|candidate| (distance(&word, &candidate.chars().collect::<Vec<_>>()), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Says which key may be meant, as the end of a sentence.
pub(crate) fn advice<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// As much of a word from a file as a message is to repeat.
pub(crate) fn shown(word: &str) -> String {
    let mut letters = word.chars();
    let head: String = letters.by_ref().take(LONGEST).collect();
    if letters.next().is_some() { format!("{head}..") } else { head }
}

/// Letters of a word that are looked at: no key is longer, and the work grows with them.
const LONGEST: usize = 64;

/// Letters to insert, remove, replace or swap with the next to make one word of the other.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let replaced = above[column] + usize::from(letter != other);
            let mut least = replaced.min(above[column + 1] + 1).min(line[column] + 1);
            if row > 0 && column > 0 && from[row - 1] == *other && *letter == to[column - 1] {
                least = least.min(before[column - 1] + 1);
            }
            line.push(least);
        }
        before = std::mem::replace(&mut above, line);
    }
    above.last().copied().unwrap_or(from.len())
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_keyboard_is_understood() {
        let keys = ["listener", "log_dest", "log_type", "allow_anonymous", "cafile", "capath"];
        for (typed, meant) in [
            ("listner", "listener"),
            ("lsitener", "listener"),
            ("logtype", "log_type"),
            ("allow_anonymus", "allow_anonymous"),
            ("ca_file", "cafile"),
        ] {
            assert_eq!(nearest(typed, keys), Some(meant), "{typed}");
        }
        assert_eq!(nearest("something_else_entirely", keys), None);
        assert_eq!(nearest(&"x".repeat(100_000), keys), None);
    }
}

//! One line and the forms of its value.

use crate::place::Place;

/// A line that is neither empty nor a comment.
#[derive(Debug, Clone)]
pub(super) struct Line<'a> {
    pub(super) key: &'a str,
    /// What follows the key.
    rest: &'a str,
    pub(super) place: Place,
}

impl<'a> Line<'a> {
    /// Splits a line as Mosquitto does; none for an empty one and for a comment, which begins in the first
    /// column.
    pub(super) fn new(text: &'a str, place: Place) -> Option<Self> {
        let text = text.trim_end_matches(['\r', '\n']);
        if text.starts_with('#') {
            return None;
        }
        let text = text.trim_start_matches(' ');
        let (key, rest) = text.split_once(' ').unwrap_or((text, ""));
        (!key.is_empty()).then_some(Self { key, rest, place })
    }

    /// The words of the value.
    pub(super) fn words(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.rest.split(' ').filter(|word| !word.is_empty())
    }

    /// The first word; what follows it does not matter.
    pub(super) fn word(&self) -> Result<&'a str, String> {
        self.words().next().ok_or_else(|| "it needs a value".to_owned())
    }

    /// The first word as true or false.
    pub(super) fn flag(&self) -> Result<bool, String> {
        match self.word()? {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(format!("`{other}` is neither true nor false")),
        }
    }

    /// The first word as a number: decimal, octal after `0`, or hexadecimal after `0x`.
    pub(super) fn number(&self) -> Result<i64, String> {
        number(self.word()?)
    }

    /// A number within bounds.
    pub(super) fn between(&self, low: i64, high: i64) -> Result<i64, String> {
        within(self.number()?, low, high)
    }

    /// A number that fits, at least zero.
    pub(super) fn count<T: TryFrom<i64>>(&self, high: i64) -> Result<T, String> {
        let number = self.between(0, high)?;
        T::try_from(number).map_err(|_| format!("{number} is not between 0 and {high}"))
    }

    /// All of the value, without blanks around it.
    pub(super) fn text(&self) -> Result<&'a str, String> {
        let text = self.rest.trim_matches([' ', '\t']);
        if text.is_empty() {
            return Err("it needs a value".into());
        }
        if text.len() > usize::from(u16::MAX) {
            return Err("its value has more than 65535 bytes".into());
        }
        if text.contains('\0') {
            return Err("there is a zero byte in its value".into());
        }
        Ok(text)
    }

    /// All of the value after the first word.
    pub(super) fn after_word(&self) -> &'a str {
        let rest = self.rest.trim_start_matches(' ');
        rest.split_once(' ').map_or("", |(_, after)| after.trim_matches([' ', '\t']))
    }
}

/// How the error about a word ends that is not a number.
pub(super) const NO_NUMBER: &str = "is not a number";

/// A number as the C library reads it; Mosquitto keeps it in 32 bits.
pub(super) fn number(word: &str) -> Result<i64, String> {
    let wrong = || format!("`{word}` {NO_NUMBER}");
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, radix) = match lower.strip_prefix("0x") {
        Some(hexadecimal) => (hexadecimal, 16),
        None if lower.len() > 1 && lower.starts_with('0') => (lower.as_str(), 8),
        None => (lower.as_str(), 10),
    };
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(wrong());
    }
    let number = i64::from_str_radix(digits, radix).map_err(|_| wrong())?;
    let number = if negative { -number } else { number };
    if i32::try_from(number).is_err() {
        return Err(format!("{number} is too large"));
    }
    Ok(number)
}

pub(super) fn within(number: i64, low: i64, high: i64) -> Result<i64, String> {
    if (low..=high).contains(&number) {
        Ok(number)
    } else {
        Err(format!("{number} is not between {low} and {high}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Option<Line<'_>> {
        Line::new(text, Place::whole("test"))
    }

    #[test]
    fn comments_begin_in_the_first_column() {
        assert!(line("# comment").is_none());
        assert!(line("   ").is_none());
        assert!(line("").is_none());
        assert_eq!(line("  # no comment").unwrap().key, "#");
        assert_eq!(line("   listener 1883\r\n").unwrap().word(), Ok("1883"));
    }

    #[test]
    fn paths_go_to_the_end_of_the_line_and_words_do_not() {
        let found = line("cafile   /a b/c # d  ").unwrap();
        assert_eq!(found.text(), Ok("/a b/c # d"));
        assert_eq!(found.word(), Ok("/a"));
        assert_eq!(line("log_dest file  /var/log/a b").unwrap().after_word(), "/var/log/a b");
        assert!(line("cafile").unwrap().text().is_err());
        assert!(line("cafile  \t ").unwrap().text().is_err());
    }

    #[test]
    fn numbers_are_those_of_the_c_library() {
        for (text, value) in [("10", 10), ("-1", -1), ("0x10", 16), ("010", 8), ("0", 0), ("+5", 5)]
        {
            assert_eq!(number(text), Ok(value), "{text}");
        }
        for text in [
            "",
            "abc",
            "1a",
            "0x",
            "--1",
            "+-1",
            "08",
            "2147483648",
            "0x-1",
            "99999999999999999999",
        ] {
            assert!(number(text).is_err(), "{text}");
        }
    }
}

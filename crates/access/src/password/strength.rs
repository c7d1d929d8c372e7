//! Whether a password is easily guessed, and what to do about it.

use std::fmt;

/// Fewer characters than this are found by trying all within hours, given the hash.
const SHORT: usize = 12;
/// Fewer different characters than this make a pattern of any length.
const FEW_DIFFERENT: usize = 5;
/// Runs such as `abcd` or `4321` of this length are tried first.
const RUN: usize = 5;
/// What is tried first of all; also as a part with digits behind.
const COMMON: &[&str] = &[
    "password",
    "passw0rd",
    "123456",
    "qwerty",
    "qwertz",
    "azerty",
    "letmein",
    "welcome",
    "admin",
    "administrator",
    "root",
    "guest",
    "default",
    "changeme",
    "secret",
    "master",
    "dragon",
    "monkey",
    "iloveyou",
    "mosquitto",
    "mqtt",
    "dunlin",
    "broker",
    "public",
    "test",
    "raspberry",
    "raspberrypi",
    "homeassistant",
    "hassio",
    "tasmota",
    "zigbee",
    "zigbee2mqtt",
    "esphome",
    "sensor",
    "device",
];

/// Why a password is weak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Weakness {
    /// There are fewer than twelve characters.
    Short,
    /// It is, but for digits and signs around it, a word that everyone tries.
    Common,
    /// It holds the user name, or the name holds it.
    UserName,
    /// It is made of very few different characters.
    Repetition,
    /// Most of it is a run such as `12345` or `abcde`.
    Sequence,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => {
                "it is short: use at least twelve characters, four random words are easy to type"
            }
            Self::Common => {
                "it is among the first that are tried: use random words or a generated password"
            }
            Self::UserName => {
                "it contains the user name: choose something that has nothing to do with it"
            }
            Self::Repetition => "it repeats few characters: use more different ones",
            Self::Sequence => "it is a run of neighbouring characters: use random ones",
        })
    }
}

/// What makes the password weak; nothing if it is good enough.
#[must_use]
pub fn weaknesses(user: &str, password: &str) -> Vec<Weakness> {
    let lower = password.to_lowercase();
    let characters: Vec<char> = lower.chars().collect();
    let mut found = Vec::new();
    if characters.len() < SHORT {
        found.push(Weakness::Short);
    }
    let core = lower.trim_matches(|c: char| !c.is_alphabetic());
    if COMMON.iter().any(|&common| core == common || lower == common) {
        found.push(Weakness::Common);
    }
    let user = user.to_lowercase();
    if user.chars().count() >= 3 && (lower.contains(&user) || user.contains(&lower)) {
        found.push(Weakness::UserName);
    }
    let mut different = characters.clone();
    different.sort_unstable();
    different.dedup();
    if different.len() < FEW_DIFFERENT {
        found.push(Weakness::Repetition);
    } else if longest_run(&characters) >= RUN && 2 * longest_run(&characters) >= characters.len() {
        found.push(Weakness::Sequence);
    }
    found
}

/// Length of the longest part in which each character is the next, or each the previous, code point.
fn longest_run(characters: &[char]) -> usize {
    let (mut longest, mut length, mut last_step) = (1, 1, 0);
    for pair in characters.windows(2) {
        let step = i64::from(u32::from(pair[1])) - i64::from(u32::from(pair[0]));
        length = match step {
            1 | -1 if step == last_step => length + 1,
            1 | -1 => 2,
            _ => 1,
        };
        last_step = step;
        longest = longest.max(length);
    }
    longest
}

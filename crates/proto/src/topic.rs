//! Topic names, topic filters and shared subscriptions.

use core::fmt;

use crate::text;
use crate::version::Version;
use crate::violation::Violation;

/// What a message is published to: at least one character, no wildcards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName<'a>(&'a str);

impl<'a> TopicName<'a> {
    /// Checks a topic name.
    ///
    /// # Errors
    /// It is empty, too long, or contains a wildcard or U+0000.
    #[inline]
    pub fn new(name: &'a str) -> Result<Self, Violation> {
        let bytes = name.as_bytes();
        // [MQTT-3.3.2-2], [MQTT-4.7.0-1], [MQTT-4.7.3-1], [MQTT-4.7.3-2], [MQTT-4.7.3-3]
        if bytes.is_empty() || bytes.len() > MAX_LEN || text::has_nul_or_wildcard(bytes) {
            return Err(name_fault(bytes));
        }
        Ok(Self(name))
    }

    /// Checks a topic name that is not yet known to be UTF-8.
    ///
    /// # Errors
    /// As [`TopicName::new`], or it is not UTF-8.
    #[inline]
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, Violation> {
        // [MQTT-3.3.2-1]
        Self::new(core::str::from_utf8(bytes).map_err(|_| Violation::StringNotUtf8)?)
    }

    /// A name that was checked before.
    #[inline]
    pub(crate) const fn from_checked(name: &'a str) -> Self {
        Self(name)
    }

    /// The name as text.
    #[inline]
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The levels between the slashes.
    #[inline]
    pub fn levels(self) -> core::str::Split<'a, char> {
        self.0.split('/')
    }

    /// How many levels there are.
    #[inline]
    #[must_use]
    pub fn level_count(self) -> usize {
        level_count(self.0)
    }

    /// Whether it begins with `$`, which filters that begin with a wildcard do not match.
    #[inline]
    #[must_use]
    pub fn is_dollar(self) -> bool {
        self.0.as_bytes().first() == Some(&b'$')
    }
}

/// Which of the rules a topic name breaks.
#[cold]
fn name_fault(bytes: &[u8]) -> Violation {
    if bytes.is_empty() {
        Violation::TopicNameEmpty
    } else if bytes.len() > MAX_LEN {
        Violation::TopicTooLong
    } else if text::has_nul(bytes) {
        Violation::StringContainsNul
    } else {
        Violation::TopicNameWildcard
    }
}

/// What is subscribed to: at least one character, wildcards in their places.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter<'a>(&'a str);

impl<'a> TopicFilter<'a> {
    /// Checks a topic filter. Whether one that begins with `$share/` is a shared subscription is
    /// for [`parse_subscription`] to say.
    ///
    /// # Errors
    /// It is empty, too long, contains U+0000 or has a wildcard where none may be.
    pub fn new(filter: &'a str) -> Result<Self, Violation> {
        let bytes = filter.as_bytes();
        // [MQTT-4.7.3-1]
        if bytes.is_empty() {
            return Err(Violation::TopicFilterEmpty);
        }
        // [MQTT-4.7.3-3]
        if bytes.len() > MAX_LEN {
            return Err(Violation::TopicTooLong);
        }
        // [MQTT-4.7.3-2]
        if text::has_nul(bytes) {
            return Err(Violation::StringContainsNul);
        }
        let mut levels = filter.split('/').peekable();
        while let Some(level) = levels.next() {
            // [MQTT-4.7.1-1]
            if level.contains('#') && (level != "#" || levels.peek().is_some()) {
                return Err(Violation::MultiLevelWildcardMisplaced);
            }
            // [MQTT-4.7.1-2]
            if level.contains('+') && level != "+" {
                return Err(Violation::SingleLevelWildcardMisplaced);
            }
        }
        Ok(Self(filter))
    }

    /// Checks a topic filter that is not yet known to be UTF-8.
    ///
    /// # Errors
    /// As [`TopicFilter::new`], or it is not UTF-8.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, Violation> {
        // [MQTT-3.8.3-1], [MQTT-3.10.3-1]
        Self::new(core::str::from_utf8(bytes).map_err(|_| Violation::StringNotUtf8)?)
    }

    /// A filter that was checked before.
    #[inline]
    pub(crate) const fn from_checked(filter: &'a str) -> Self {
        Self(filter)
    }

    /// The filter as text.
    #[inline]
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The levels between the slashes.
    #[inline]
    pub fn levels(self) -> core::str::Split<'a, char> {
        self.0.split('/')
    }

    /// How many levels there are.
    #[inline]
    #[must_use]
    pub fn level_count(self) -> usize {
        level_count(self.0)
    }

    /// Whether it has a wildcard.
    #[must_use]
    pub fn has_wildcard(self) -> bool {
        self.0.bytes().any(|byte| matches!(byte, b'+' | b'#'))
    }

    /// Whether it begins with a wildcard, and so matches no topic name that begins with `$`.
    #[inline]
    #[must_use]
    pub fn starts_with_wildcard(self) -> bool {
        matches!(self.0.as_bytes().first(), Some(b'+' | b'#'))
    }

    /// Whether messages published to `name` match.
    #[must_use]
    pub fn matches(self, name: TopicName<'_>) -> bool {
        // [MQTT-4.7.2-1]
        if name.is_dollar() && self.starts_with_wildcard() {
            return false;
        }
        // A checked filter has wildcards only alone in their level, so bytes are enough.
        let mut filter = self.0.as_bytes();
        let mut name = name.0.as_bytes();
        while let Some((&wanted, rest)) = filter.split_first() {
            match wanted {
                b'#' => return true,
                b'+' => {
                    let end = name.iter().position(|&byte| byte == b'/').unwrap_or(name.len());
                    name = name.get(end..).unwrap_or_default();
                }
                // [MQTT-3.3.2-3], [MQTT-4.7.3-4]
                _ => match name.split_first() {
                    Some((&byte, rest)) if byte == wanted => name = rest,
                    Some(_) => return false,
                    // A `#` matches the parent level too.
                    None => return filter == b"/#",
                },
            }
            filter = rest;
        }
        name.is_empty()
    }

    /// The share name and the filter of `$share/{name}/{filter}`; `None` for a filter that does
    /// not begin with `$share/`.
    ///
    /// # Errors
    /// It begins so, but the share name or the filter behind it is missing or not allowed.
    pub fn shared(self) -> Result<Option<(&'a str, Self)>, Violation> {
        let Some(rest) = self.0.strip_prefix(SHARE_PREFIX) else {
            return Ok(None);
        };
        let (name, filter) = rest.split_once('/').unwrap_or((rest, ""));
        // [MQTT-4.8.2-1]
        if name.is_empty() {
            return Err(Violation::ShareNameEmpty);
        }
        // [MQTT-4.8.2-2]
        if name.contains(['+', '#']) {
            return Err(Violation::ShareNameWildcard);
        }
        if filter.is_empty() {
            return Err(Violation::ShareFilterMissing);
        }
        Self::new(filter).map(|filter| Some((name, filter)))
    }
}

/// What a topic filter of a SUBSCRIBE asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription<'a> {
    /// The share name, for a shared subscription.
    pub group: Option<&'a str>,
    /// The filter that topic names are matched against.
    pub filter: TopicFilter<'a>,
}

impl<'a> Subscription<'a> {
    /// Reads a checked filter.
    ///
    /// Shared subscriptions came with 5.0. Before it they are granted as an extension where the
    /// form is right; one in the wrong form is then an ordinary filter, as that standard says.
    ///
    /// # Errors
    /// In 5.0: a `$share/` filter of the wrong form.
    pub fn new(filter: TopicFilter<'a>, version: Version) -> Result<Self, Violation> {
        match filter.shared() {
            Ok(Some((group, filter))) => Ok(Self { group: Some(group), filter }),
            Err(fault) if version.is_v5() => Err(fault),
            Ok(None) | Err(_) => Ok(Self { group: None, filter }),
        }
    }
}

/// Checks and reads the topic filter of a SUBSCRIBE or UNSUBSCRIBE.
///
/// # Errors
/// As [`TopicFilter::new`] and [`Subscription::new`].
pub fn parse_subscription(filter: &str, version: Version) -> Result<Subscription<'_>, Violation> {
    Subscription::new(TopicFilter::new(filter)?, version)
}

fn level_count(topic: &str) -> usize {
    topic.bytes().filter(|&byte| byte == b'/').count().saturating_add(1)
}

impl fmt::Debug for TopicName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl fmt::Display for TopicName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for TopicFilter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl fmt::Display for TopicFilter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The longest string the wire carries.
const MAX_LEN: usize = u16::MAX as usize;
const SHARE_PREFIX: &str = "$share/";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn matches(filter: &str, name: &str) -> bool {
        TopicFilter::new(filter).unwrap().matches(TopicName::new(name).unwrap())
    }

    #[test]
    fn filters_match_by_level() {
        for (filter, name) in [
            ("a/b", "a/b"),
            ("#", "a/b"),
            ("a/#", "a"),
            ("a/#", "a/b/c"),
            ("+/+", "/a"),
            ("/+", "/a"),
            ("+", "a"),
            ("a/+/c", "a//c"),
            ("a/+/#", "a/b"),
            ("$SYS/#", "$SYS/x"),
            ("$SYS/+", "$SYS/x"),
            ("a/$b", "a/$b"),
            ("+/$b", "a/$b"),
        ] {
            assert!(matches(filter, name), "{filter} {name}");
        }
        for (filter, name) in [
            ("a/b", "a/B"),
            ("a", "/a"),
            ("+", "/a"),
            ("a/+", "a"),
            ("a/+", "a/b/c"),
            ("a/+/#", "a"),
            ("a/b/#", "a"),
            ("#", "$SYS/x"),
            ("+/x", "$SYS/x"),
        ] {
            assert!(!matches(filter, name), "{filter} {name}");
        }
    }

    #[test]
    fn wildcards_stand_alone_in_their_level() {
        for filter in ["#", "+", "a/#", "+/a/+", "/", "a//b", "$share"] {
            assert!(TopicFilter::new(filter).is_ok(), "{filter}");
        }
        for (filter, fault) in [
            ("", Violation::TopicFilterEmpty),
            ("a#", Violation::MultiLevelWildcardMisplaced),
            ("#/a", Violation::MultiLevelWildcardMisplaced),
            ("a/#/", Violation::MultiLevelWildcardMisplaced),
            ("##", Violation::MultiLevelWildcardMisplaced),
            ("a+", Violation::SingleLevelWildcardMisplaced),
            ("+a/b", Violation::SingleLevelWildcardMisplaced),
            ("a\0", Violation::StringContainsNul),
        ] {
            assert_eq!(TopicFilter::new(filter), Err(fault), "{filter}");
        }
    }

    #[test]
    fn names_have_no_wildcards_and_are_not_empty() {
        for (name, fault) in [
            ("", Violation::TopicNameEmpty),
            ("a/+/b", Violation::TopicNameWildcard),
            ("a/#", Violation::TopicNameWildcard),
            ("a\0", Violation::StringContainsNul),
        ] {
            assert_eq!(TopicName::new(name), Err(fault), "{name}");
        }
        assert_eq!(TopicName::new("/").unwrap().level_count(), 2);
    }

    #[test]
    fn a_shared_subscription_needs_a_name_and_a_filter() {
        let shared = parse_subscription("$share/g/a/+", Version::V5_0).unwrap();
        assert_eq!((shared.group, shared.filter.as_str()), (Some("g"), "a/+"));
        let odd = parse_subscription("$share/g//", Version::V5_0).unwrap();
        assert_eq!((odd.group, odd.filter.as_str()), (Some("g"), "/"));
        for (filter, fault) in [
            ("$share//a", Violation::ShareNameEmpty),
            ("$share/", Violation::ShareNameEmpty),
            ("$share/+/a", Violation::ShareNameWildcard),
            ("$share/g", Violation::ShareFilterMissing),
            ("$share/g/", Violation::ShareFilterMissing),
        ] {
            assert_eq!(parse_subscription(filter, Version::V5_0), Err(fault), "{filter}");
            assert_eq!(parse_subscription(filter, Version::V3_1_1).unwrap().group, None);
        }
        assert_eq!(parse_subscription("$shared/g/a", Version::V5_0).unwrap().group, None);
    }
}

//! Topic filters against each other, and the names of clients in them.

use std::borrow::Cow;

use crate::acl::Who;

/// More levels than this a rule cannot have: Mosquitto's limit for topics.
const LEVELS_MAX: usize = 200;

/// Why a filter cannot be that of a rule.
pub(crate) fn fault(filter: &str) -> Option<&'static str> {
    if filter.split('/').count() > LEVELS_MAX {
        return Some("it has more than 200 levels");
    }
    dunlin_proto::TopicFilter::new(filter)
        .err()
        .map(|_| "a wildcard must stand alone in its level, # only in the last one")
}

/// Whether all topics that match `narrow` match `wide`. A topic name is a filter without wildcards,
/// so this also says whether a topic matches; `$` is for the caller to mind.
pub(crate) fn covers(wide: &str, narrow: &str) -> bool {
    // Most rules differ from a topic at some letter, which is found without looking at levels.
    let pairs = wide.bytes().zip(narrow.bytes());
    let same = pairs.take_while(|(one, other)| one == other).count();
    match wide.as_bytes().get(same) {
        None => narrow.len() == same,
        Some(b'#') => true,
        // A wildcard begins its level, so both go on with a level here.
        Some(b'+') => match (wide.get(same..), narrow.get(same..)) {
            (Some(wide), Some(narrow)) => covers_by_level(wide, narrow),
            _ => false,
        },
        // `a/#` matches `a` too.
        Some(_) => narrow.len() == same && wide.get(same..) == Some("/#"),
    }
}

fn covers_by_level(wide: &str, narrow: &str) -> bool {
    let mut narrow = narrow.split('/');
    for level in wide.split('/') {
        // Also when `narrow` ends here.
        if level == "#" {
            return true;
        }
        match narrow.next() {
            None | Some("#") => return false,
            Some(other) if level == "+" || other == level => {}
            Some(_) => return false,
        }
    }
    narrow.next().is_none()
}

/// Whether some topic matches both.
pub(crate) fn overlap(left: &str, right: &str) -> bool {
    let (mut left, mut right) = (left.split('/'), right.split('/'));
    loop {
        match (left.next(), right.next()) {
            (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
            (None, Some(_)) | (Some(_), None) => return false,
            (Some(one), Some(other)) if one == other || one == "+" || other == "+" => {}
            (Some(_), Some(_)) => return false,
        }
    }
}

/// Whether rules of `filter` are for topics (or filters) like `topic`: those that begin with `$` are
/// left to rules that begin with it.
pub(crate) fn same_dollar(filter: &str, topic: &str) -> bool {
    !topic.starts_with('$') || filter.starts_with('$')
}

/// Whether the filter names the client, by `%c` or `%u`.
pub(crate) fn is_template(filter: &str) -> bool {
    filter.contains("%c") || filter.contains("%u")
}

/// The filter with the names of the client in it; none if it asks for a user name and there is none.
pub(crate) fn expand<'a>(filter: &'a str, who: &Who<'_>) -> Option<Cow<'a, str>> {
    if !filter.contains('%') {
        return Some(Cow::Borrowed(filter));
    }
    let mut result = String::with_capacity(filter.len() + 32);
    let mut rest = filter;
    while let Some((before, after)) = rest.split_once('%') {
        result.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('c') {
            result.push_str(who.client_id);
            rest = after;
        } else if let Some(after) = rest.strip_prefix('u') {
            result.push_str(who.user?);
            rest = after;
        } else {
            result.push('%');
        }
    }
    result.push_str(rest);
    Some(Cow::Owned(result))
}

/// Whether a name of the client would act as a wildcard inside a filter. A slash would not: it only
/// names a deeper place.
pub(crate) fn acts_as_wildcard(who: &Who<'_>) -> bool {
    let wild = |name: &str| name.contains(['+', '#']);
    wild(who.client_id) || who.user.is_some_and(wild)
}

#[cfg(test)]
mod tests {
    use super::{covers, expand, overlap};
    use crate::acl::Who;

    #[test]
    fn filters_cover_what_they_contain() {
        let table = [
            ("#", "a", true),
            ("#", "#", true),
            ("#", "+/a", true),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/#", "a/+/#", true),
            ("a/#", "#", false),
            ("a/#", "+", false),
            ("+", "a", true),
            ("+", "+", true),
            ("+", "#", false),
            ("+", "a/b", false),
            ("a/+", "a/b", true),
            ("a/+", "a/#", false),
            ("a/b", "a/+", false),
            ("a/b", "a/b", true),
            ("a", "a/b", false),
            ("+/+/x", "a//x", true),
            ("a/+/#", "a/b", true),
            ("a/+/#", "a", false),
            ("a/+", "a/", true),
            ("a/#", "a/", true),
            ("a/b/#", "a/bc", false),
            ("a/b", "a/bc", false),
            ("a/bc", "a/b", false),
            ("ä/+", "ä/ö", true),
            ("ä/+", "ö/ö", false),
            ("+/ä", "ö/ö", false),
        ];
        for (wide, narrow, expected) in table {
            assert_eq!(covers(wide, narrow), expected, "{wide} {narrow}");
        }
    }

    #[test]
    fn filters_overlap_when_a_topic_matches_both() {
        let table = [
            ("a/+", "+/b", true),
            ("a/#", "+/b/c", true),
            ("a/#", "a", true),
            ("a/+", "a", false),
            ("a/b", "a/c", false),
            ("#", "x", true),
            ("a/+/c", "a/b", false),
        ];
        for (left, right, expected) in table {
            assert_eq!(overlap(left, right), expected, "{left} {right}");
            assert_eq!(overlap(right, left), expected, "{right} {left}");
        }
    }

    #[test]
    fn names_replace_their_signs_once() {
        let who = Who { user: Some("%c"), client_id: "c1", ..Who::default() };
        for (filter, expected) in [
            ("a/%u/b", "a/%c/b"),
            ("%c%u", "c1%c"),
            ("%%c", "%c1"),
            ("100%", "100%"),
            ("%x/%", "%x/%"),
        ] {
            assert_eq!(expand(filter, &who).as_deref(), Some(expected), "{filter}");
        }
        assert_eq!(expand("%u/x", &Who::default()), None);
    }
}

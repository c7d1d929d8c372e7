//! The names that a server is reached by.

use std::fmt;
use std::net::IpAddr;

use crate::KitError;

/// One alternative name of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// A host name, perhaps with `*` as its first label.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

impl Name {
    /// An address if it is one, else a host name.
    ///
    /// # Errors
    /// It is neither: no client could ever ask for it.
    pub fn parse(text: &str) -> Result<Self, KitError> {
        if let Ok(address) = text.trim_matches(['[', ']']).parse() {
            return Ok(Self::Ip(address));
        }
        // Written with the dot of the root, it would be compared with names that have none.
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if is_host_name(&name) {
            return Ok(Self::Dns(name));
        }
        Err(KitError::refused(format!(
            "`{text}` is no host name and no address: letters, digits, hyphens and dots, without port \
             or `mqtts://`"
        )))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// Lengths are those of the domain name system. Underscores are in names of containers and printers.
fn is_host_name(name: &str) -> bool {
    let name = name.strip_prefix("*.").unwrap_or(name);
    let is_label = |label: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=63).contains(&label.len())
            && label.chars().all(fits)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits alone would be read as a broken address.
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(is_label) && !last.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_told_apart_and_nonsense_is_refused() {
        for (text, name) in [
            ("Broker.Local", "broker.local"),
            ("localhost.", "localhost"),
            ("*.example.org", "*.example.org"),
            ("my_broker", "my_broker"),
            ("10.0.0.1", "10.0.0.1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(Name::parse(text).map(|name| name.to_string()).ok().as_deref(), Some(name));
        }
        assert!(matches!(Name::parse("10.0.0.1"), Ok(Name::Ip(_))));
        for text in
            ["", "a b", "mqtts://host", "host:8883", "-a", "a..b", "*", "a.*", "10.0.0.256", "ü"]
        {
            assert!(Name::parse(text).is_err(), "{text}");
        }
    }
}

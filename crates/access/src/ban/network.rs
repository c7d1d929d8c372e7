//! Addresses and ranges of them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A range of addresses, `10.1.0.0/16` or `2001:db8::/32`, or a single one.
///
/// An IPv4 address and the same one mapped into IPv6 are equal, since a socket for both shows the latter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    /// As IPv6, with all bits behind the prefix zero.
    base: u128,
    /// Bits, of 128.
    prefix: u8,
}

/// Why a text is no range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkFault {
    /// The part before the slash.
    #[error(
        "expected an address such as 192.0.2.7 or 2001:db8::1, or a range such as 192.0.2.0/24"
    )]
    Address,
    /// The part behind it.
    #[error("the prefix length must be a number up to 32 for IPv4 and 128 for IPv6")]
    Prefix,
    /// Bits behind the prefix are set: perhaps another range was meant.
    #[error("the address has bits behind the prefix; write the first address of the range")]
    HostBits,
}

/// Bits before an IPv4 address that is mapped into IPv6.
const MAPPED: u8 = 96;

impl Network {
    /// The range of that one address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        Self { base: bits(address), prefix: 128 }
    }

    /// The range that the address is in, with a prefix of `prefix` bits of 128.
    pub(super) const fn around(address: IpAddr, prefix: u8) -> Self {
        Self { base: bits(address) & mask(prefix), prefix }
    }

    /// Whether the address is in the range.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        Self::around(address, self.prefix) == self
    }

    pub(super) const fn prefix(self) -> u8 {
        self.prefix
    }
}

impl FromStr for Network {
    type Err = NetworkFault;

    fn from_str(text: &str) -> Result<Self, NetworkFault> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkFault::Address)?;
        let Some(prefix) = prefix else { return Ok(Self::of(address)) };
        if !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NetworkFault::Prefix);
        }
        let prefix: u8 = prefix.parse().map_err(|_| NetworkFault::Prefix)?;
        let (most, before) = if address.is_ipv4() { (32, MAPPED) } else { (128, 0) };
        if prefix > most {
            return Err(NetworkFault::Prefix);
        }
        let network = Self::around(address, prefix + before);
        if network.base == bits(address) { Ok(network) } else { Err(NetworkFault::HostBits) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv6Addr::from(self.base);
        let (address, prefix, most): (IpAddr, u8, u8) = match address.to_ipv4_mapped() {
            Some(v4) if self.prefix >= MAPPED => (Ipv4Addr::into(v4), self.prefix - MAPPED, 32),
            _ => (address.into(), self.prefix, 128),
        };
        if prefix == most { write!(f, "{address}") } else { write!(f, "{address}/{prefix}") }
    }
}

const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

const fn mask(prefix: u8) -> u128 {
    match prefix {
        0 => 0,
        prefix if prefix >= 128 => u128::MAX,
        prefix => u128::MAX << (128 - prefix),
    }
}

#[cfg(test)]
mod tests {
    use super::{Network, NetworkFault};

    #[test]
    fn ranges_hold_the_addresses_that_they_should() {
        let table = [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "8.8.8.8", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("::1", "::1", true),
        ];
        for (network, address, expected) in table {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{network} {address}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        let table = [
            ("", NetworkFault::Address),
            ("192.0.2", NetworkFault::Address),
            ("host/24", NetworkFault::Address),
            ("192.0.2.0/", NetworkFault::Prefix),
            ("192.0.2.0/33", NetworkFault::Prefix),
            ("192.0.2.0/+8", NetworkFault::Prefix),
            ("::/129", NetworkFault::Prefix),
            ("192.0.2.1/24", NetworkFault::HostBits),
        ];
        for (text, fault) in table {
            assert_eq!(text.parse::<Network>(), Err(fault), "{text}");
        }
    }

    #[test]
    fn ranges_are_written_as_they_are_read() {
        for text in ["192.0.2.0/24", "192.0.2.7", "0.0.0.0/0", "::/0", "2001:db8::/32", "::1"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
    }
}

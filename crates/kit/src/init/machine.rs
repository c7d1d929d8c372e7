//! What this machine is called and reached by.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cert::Name;

/// The names and addresses that clients may connect to: the host name, with `.local` as devices in the
/// same network know it, `localhost`, and the addresses of the network interfaces.
#[must_use]
pub fn names() -> Vec<Name> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let mut names = host_names(&host);
    names.push(Name::Ip(Ipv4Addr::LOCALHOST.into()));
    names.push(Name::Ip(Ipv6Addr::LOCALHOST.into()));
    let addresses = addresses_4(&read("/proc/net/fib_trie")).into_iter().map(IpAddr::from);
    let addresses =
        addresses.chain(addresses_6(&read("/proc/net/if_inet6")).into_iter().map(IpAddr::from));
    for address in addresses.filter(|address| !address.is_loopback()) {
        if !names.contains(&Name::Ip(address)) {
            names.push(Name::Ip(address));
        }
    }
    names
}

fn host_names(host: &str) -> Vec<Name> {
    let mut wanted = vec![host.to_owned()];
    let short = host.split('.').next().unwrap_or_default();
    wanted.push(short.to_owned());
    wanted.push(format!("{short}.local"));
    wanted.push("localhost".into());
    let mut names: Vec<Name> = Vec::new();
    for name in wanted.iter().filter_map(|name| Name::parse(name).ok()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// From the routing table of the kernel: an address of this machine is followed by the line that it is one.
fn addresses_4(table: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in table.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = last
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// From the list of the kernel: 32 digits, and further on the scope and the flags.
fn addresses_6(list: &str) -> Vec<Ipv6Addr> {
    const TEMPORARY: u8 = 1;
    const LINK: u8 = 0x20;
    let parse = |line: &str| {
        let parts: Vec<&str> = line.split_whitespace().collect();
        let [address, _, _, scope, flags, _] = *parts.as_slice() else { return None };
        let address = u128::from_str_radix(address, 16).ok()?;
        let number = |text| u8::from_str_radix(text, 16).ok();
        // What changes by itself, or means nothing without an interface, is no name of a server.
        let stays = number(scope)? & LINK == 0 && number(flags)? & TEMPORARY == 0;
        stays.then(|| Ipv6Addr::from(address))
    };
    list.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_the_tables_of_the_kernel() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
                    |-- 10.2.0.7\n        /32 host LOCAL\n     |-- 10.2.0.255\n  /32 link BROADCAST\n";
        assert_eq!(addresses_4(trie), [Ipv4Addr::new(10, 2, 0, 7)]);
        let list = "fd000000000000000000000000000007 02 40 00 80     eth0\n\
                    fe800000000000000000000000000001 02 40 20 80     eth0\n\
                    fd000000000000000000000000000008 02 40 00 01     eth0\nnonsense\n";
        assert_eq!(addresses_6(list), ["fd00::7".parse::<Ipv6Addr>().unwrap()]);
    }

    #[test]
    fn a_host_has_a_full_a_short_and_a_local_name() {
        let names: Vec<String> =
            host_names("quay.example.org").iter().map(Name::to_string).collect();
        assert_eq!(names, ["quay.example.org", "quay", "quay.local", "localhost"]);
        let names: Vec<String> = host_names("localhost").iter().map(Name::to_string).collect();
        assert_eq!(names, ["localhost", "localhost.local"]);
    }
}

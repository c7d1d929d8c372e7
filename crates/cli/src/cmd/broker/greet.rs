//! What the broker says on a terminal to somebody who has just started it.

use std::io::{Write, stdout};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use dunlin_config::Config;
use dunlin_server::Handle;

/// How to connect, and what not to rely on.
pub(super) fn greet(handle: &Handle, config: &Config) -> std::io::Result<()> {
    let mut out = stdout().lock();
    let addresses: Vec<String> = handle.addresses().iter().map(ToString::to_string).collect();
    let (host, port) = reachable(handle.addresses());
    writeln!(out, "dunlin {} listens on {}", env!("CARGO_PKG_VERSION"), addresses.join(" and "))?;
    writeln!(out, "  dunlin sub -h {host} -p {port} -v -t '#'")?;
    writeln!(out, "  dunlin pub -h {host} -p {port} -t greeting -m hello")?;
    let local = handle.addresses().iter().all(|address| address.ip().is_loopback());
    let anonymous = config.listeners.iter().any(|listener| config.allows_anonymous(listener));
    match (anonymous, local) {
        (true, true) => writeln!(out, "Anybody on this machine may connect.")?,
        (true, false) => writeln!(out, "Anybody who can reach these addresses may connect.")?,
        (false, _) => writeln!(
            out,
            "Nobody may connect without a user name, and there are none without a configuration: see `dunlin init`, or --allow-anonymous."
        )?,
    }
    if config.persistence.enabled {
        // The absolute path says what a relative one was relative to.
        let directory = &config.persistence.directory;
        let absolute = directory.canonicalize();
        let directory = absolute.as_deref().unwrap_or(directory);
        writeln!(out, "Sessions and retained messages are kept in {}.", directory.display())?;
    } else {
        writeln!(
            out,
            "Nothing is kept beyond the end of the process (--data-dir names a place for it)."
        )?;
    }
    out.flush()
}

/// A host and port to put into an example.
fn reachable(addresses: &[SocketAddr]) -> (IpAddr, u16) {
    let first = addresses.first().copied();
    let address = first.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 1883)));
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    (host, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_name_an_address_that_can_be_connected_to() {
        let any = ["0.0.0.0:1883".parse().unwrap()];
        assert_eq!(reachable(&any), (IpAddr::V4(Ipv4Addr::LOCALHOST), 1883));
    }
}

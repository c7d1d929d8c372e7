//! What a peer speaks, told from its first bytes: only to say what is wrong.

use core::fmt;

/// A protocol that does not belong where it was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// A CONNECT.
    Mqtt,
    /// The start of a TLS handshake.
    Tls,
    /// A request line.
    Http,
    /// The header of a proxy.
    Proxy,
    /// None of these.
    Unknown,
}

/// Beginnings of HTTP requests, 2.0 with prior knowledge among them.
const METHODS: [&[u8]; 8] =
    [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"CONNECT ", b"DELETE ", b"PRI * "];

/// The signature of the second version; the first begins with the same kind of bytes as text.
pub(super) const PROXY_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

impl Spoken {
    /// What these first bytes of a connection are, as far as they go.
    pub(crate) fn in_bytes(bytes: &[u8]) -> Self {
        // A handshake record of any version of TLS.
        if bytes.starts_with(&[0x16, 0x03]) {
            return Self::Tls;
        }
        if METHODS.iter().any(|method| bytes.starts_with(method)) {
            return Self::Http;
        }
        if bytes.starts_with(b"PROXY ") || bytes.starts_with(PROXY_SIGNATURE) {
            return Self::Proxy;
        }
        // The fixed header of CONNECT, its length, then the name of the protocol.
        let is_connect = bytes.first() == Some(&0x10)
            && bytes.get(1..16.min(bytes.len())).is_some_and(|rest| {
                [&b"\0\x04MQTT"[..], b"\0\x06MQIsdp"]
                    .iter()
                    .any(|name| rest.windows(name.len()).any(|window| window == *name))
            });
        if is_connect { Self::Mqtt } else { Self::Unknown }
    }

    /// What these bytes are in the place of a CONNECT, if that is known: none of it could become one.
    pub(crate) fn instead_of_mqtt(bytes: &[u8]) -> Option<Self> {
        match Self::in_bytes(bytes) {
            spoken @ (Self::Tls | Self::Http | Self::Proxy) => Some(spoken),
            Self::Mqtt | Self::Unknown => None,
        }
    }
}

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mqtt => "MQTT",
            Self::Tls => "TLS",
            Self::Http => "HTTP",
            Self::Proxy => "the header of a proxy",
            Self::Unknown => "no protocol that is known here",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_what_is_spoken() {
        let table: [(&[u8], Spoken); 9] = [
            (b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0", Spoken::Mqtt),
            (b"\x10\x8c\x01\0\x06MQIsdp\x03\x02", Spoken::Mqtt),
            (b"\x16\x03\x01\x02\0\x01", Spoken::Tls),
            (b"GET / HTTP/1.1\r\n", Spoken::Http),
            (b"PRI * HTTP/2.0\r\n", Spoken::Http),
            (b"PROXY TCP4 1.2.3.4", Spoken::Proxy),
            (b"\r\n\r\n\0\r\nQUIT\n\x21", Spoken::Proxy),
            (b"\x10", Spoken::Unknown),
            (b"", Spoken::Unknown),
        ];
        for (bytes, spoken) in table {
            assert_eq!(Spoken::in_bytes(bytes), spoken, "{bytes:02x?}");
        }
    }
}

//! The header that a proxy puts before the bytes of a client: who the client is.
//!
//! Only from a listener that was told to expect it, and only from networks that were named: without
//! that anybody could claim any address.

use core::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::guess::PROXY_SIGNATURE;

/// Which header is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyVersion {
    /// One line of text.
    V1,
    /// Binary.
    V2,
    /// The one or the other.
    Any,
}

/// The longest line of version 1, its end included.
const V1_LONGEST: usize = 107;

/// The fixed part of version 2.
const V2_FIXED: usize = 16;

/// Bytes that version 2 may have after its fixed part. Addresses of unix sockets are 216, and what
/// proxies add is rarely above 100; the field could say 65 535.
const V2_LONGEST: usize = 2_048;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ProxyHeader {
    /// Where the client is; `None` if the connection is the proxy's own, as for a check of health.
    pub(crate) source: Option<SocketAddr>,
    /// How the client came to the proxy, if by TLS.
    pub(crate) tls: Option<Box<ProxiedTls>>,
    /// Bytes it took.
    pub(crate) length: usize,
}

/// The TLS between a client and a proxy, as the proxy says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ProxiedTls {
    /// Whether the client has shown a certificate in this session that the proxy has verified.
    pub(crate) certificate: bool,
    /// The common name of that certificate.
    pub(crate) common_name: Option<String>,
    /// The version, as `TLSv1.3`.
    pub(crate) version: Option<String>,
    /// The cipher suite.
    pub(crate) cipher: Option<String>,
}

/// Why a header cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxyFault {
    /// The connection begins with something else.
    Missing,
    /// It is of the version that is not expected.
    OtherVersion,
    /// It goes on for too long.
    TooLong,
    /// It is not well-formed.
    Malformed(&'static str),
}

/// Reads the header at the start of `bytes`; `None` if more bytes are needed.
pub(crate) fn parse(
    bytes: &[u8],
    version: ProxyVersion,
) -> Result<Option<ProxyHeader>, ProxyFault> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let common = bytes.len().min(PROXY_SIGNATURE.len());
    if bytes[..common] == PROXY_SIGNATURE[..common] {
        return match version {
            ProxyVersion::V1 => Err(ProxyFault::OtherVersion),
            _ if common < PROXY_SIGNATURE.len() => Ok(None),
            _ => parse_v2(bytes),
        };
    }
    let common = bytes.len().min(b"PROXY ".len());
    if bytes[..common] != b"PROXY "[..common] {
        return Err(ProxyFault::Missing);
    }
    if version == ProxyVersion::V2 {
        return Err(ProxyFault::OtherVersion);
    }
    parse_v1(bytes)
}

fn parse_v1(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyFault> {
    let window = &bytes[..bytes.len().min(V1_LONGEST)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        let longer = bytes.len() >= V1_LONGEST;
        return if longer { Err(ProxyFault::TooLong) } else { Ok(None) };
    };
    let line = core::str::from_utf8(&window[..end])
        .map_err(|_| ProxyFault::Malformed("the line is no text"))?;
    let words: Vec<&str> = line.split(' ').collect();
    let length = end + 2;
    match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Ok(Some(ProxyHeader { length, ..ProxyHeader::default() })),
        ["PROXY", family @ ("TCP4" | "TCP6"), source, destination, from, to] => {
            let source = address(family, source)?;
            address(family, destination)?;
            port(to)?;
            let source = Some(SocketAddr::new(source, port(from)?));
            Ok(Some(ProxyHeader { source, length, ..ProxyHeader::default() }))
        }
        _ => Err(ProxyFault::Malformed("the line is not `PROXY TCP4|TCP6 FROM TO PORT PORT`")),
    }
}

fn address(family: &str, text: &str) -> Result<IpAddr, ProxyFault> {
    let address: Option<IpAddr> = match family {
        "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        _ => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
    };
    address.ok_or(ProxyFault::Malformed("an address is none of its family"))
}

/// No connection has port 0.
fn port(text: &str) -> Result<u16, ProxyFault> {
    let wrong = ProxyFault::Malformed("a port is none: 1 to 65535");
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0).ok_or(wrong)
}

fn parse_v2(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyFault> {
    let Some(fixed) = bytes.first_chunk::<V2_FIXED>() else { return Ok(None) };
    let rest = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if rest > V2_LONGEST {
        return Err(ProxyFault::TooLong);
    }
    let length = V2_FIXED + rest;
    let local = match fixed[12] {
        0x20 => true,
        0x21 => false,
        _ => return Err(ProxyFault::Malformed("its version or command is unknown")),
    };
    let Some(body) = bytes.get(V2_FIXED..length) else { return Ok(None) };
    let mut header = ProxyHeader { length, ..ProxyHeader::default() };
    let short = ProxyFault::Malformed("it is shorter than its addresses");
    let taken = match fixed[13] >> 4 {
        1 => {
            let addresses: &[u8; 12] = body.first_chunk().ok_or(short)?;
            let [a, b, c, d, .., high, low, _, _] = *addresses;
            let port = u16::from_be_bytes([high, low]);
            header.source = Some((Ipv4Addr::new(a, b, c, d), port).into());
            addresses.len()
        }
        2 => {
            let addresses: &[u8; 36] = body.first_chunk().ok_or(short)?;
            let source: [u8; 16] = *addresses.first_chunk().ok_or(short)?;
            let port = u16::from_be_bytes([addresses[32], addresses[33]]);
            header.source = Some((Ipv6Addr::from(source), port).into());
            addresses.len()
        }
        3 => body.first_chunk::<216>().ok_or(short)?.len(),
        0 if local => body.len(),
        // It might be accepted as from the proxy itself, but then bans and limits would be about the proxy.
        0 => return Err(ProxyFault::Malformed("it does not say where the client is")),
        _ => return Err(ProxyFault::Malformed("its family of addresses is unknown")),
    };
    if local {
        header.source = None;
        return Ok(Some(header));
    }
    read_additions(&body[taken..], &mut header)?;
    Ok(Some(header))
}

/// The kinds of additions that matter here.
const SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;
const COMMON_NAME: u8 = 0x22;
const SSL_CIPHER: u8 = 0x23;

/// In the first byte of an SSL addition: the client came by TLS.
const CLIENT_SSL: u8 = 0x01;
/// It has shown a certificate, in this connection or in one of the same session.
const CLIENT_CERTIFICATE: u8 = 0x02 | 0x04;

fn read_additions(mut bytes: &[u8], header: &mut ProxyHeader) -> Result<(), ProxyFault> {
    while let Some((kind, value)) = next_addition(&mut bytes)? {
        if kind != SSL {
            continue;
        }
        // One byte of flags, four that say whether the certificate was verified.
        let Some((head, mut inner)) = value.split_first_chunk::<5>() else {
            return Err(ProxyFault::Malformed("what it says about TLS is too short"));
        };
        let flags = head[0];
        let certificate = flags & CLIENT_CERTIFICATE != 0 && head[1..] == [0; 4];
        let mut tls = ProxiedTls { certificate, ..ProxiedTls::default() };
        while let Some((kind, value)) = next_addition(&mut inner)? {
            let text = || core::str::from_utf8(value).ok().map(str::to_owned);
            match kind {
                COMMON_NAME if certificate => tls.common_name = text(),
                SSL_VERSION => tls.version = text(),
                SSL_CIPHER => tls.cipher = text(),
                _ => {}
            }
        }
        header.tls = (flags & CLIENT_SSL != 0).then(|| Box::new(tls));
    }
    Ok(())
}

fn next_addition<'a>(bytes: &mut &'a [u8]) -> Result<Option<(u8, &'a [u8])>, ProxyFault> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let cut = ProxyFault::Malformed("an addition is cut off");
    let (head, rest) = bytes.split_first_chunk::<3>().ok_or(cut)?;
    let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
    let (value, rest) = rest.split_at_checked(length).ok_or(cut)?;
    *bytes = rest;
    Ok(Some((head[0], value)))
}

impl fmt::Display for ProxyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is none"),
            Self::OtherVersion => f.write_str("it is of another version"),
            Self::TooLong => f.write_str("it is too long"),
            Self::Malformed(what) => f.write_str(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = PROXY_SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn source(bytes: &[u8]) -> Option<SocketAddr> {
        let header = parse(bytes, ProxyVersion::Any).unwrap().unwrap();
        assert_eq!(header.length, bytes.len());
        header.source
    }

    #[test]
    fn both_versions_tell_the_client() {
        let table: [(Vec<u8>, Option<&str>); 6] = [
            (b"PROXY TCP4 10.1.2.3 10.0.0.1 4711 1883\r\n".to_vec(), Some("10.1.2.3:4711")),
            (b"PROXY TCP6 2001:db8::7 ::1 4711 1883\r\n".to_vec(), Some("[2001:db8::7]:4711")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (v2(0x21, 0x11, &[10, 1, 2, 3, 10, 0, 0, 1, 0x12, 0x67, 7, 91]), Some("10.1.2.3:4711")),
            (v2(0x20, 0x00, &[]), None),
            (v2(0x20, 0x11, &[10, 1, 2, 3, 10, 0, 0, 1, 0x12, 0x67, 7, 91]), None),
        ];
        for (bytes, expected) in table {
            assert_eq!(source(&bytes), expected.map(|text| text.parse().unwrap()), "{bytes:?}");
        }
    }

    #[test]
    fn version_2_tells_of_tls_and_certificate() {
        let mut body = vec![10, 1, 2, 3, 10, 0, 0, 1, 0x12, 0x67, 7, 91];
        let inner = [
            &[5, 0, 0, 0, 0][..],
            &[SSL_VERSION, 0, 7],
            b"TLSv1.3",
            &[SSL_CIPHER, 0, 3],
            b"AES",
            &[COMMON_NAME, 0, 5],
            b"meter",
        ]
        .concat();
        body.extend([0x04, 0, 2, 0, 0]);
        body.push(SSL);
        body.extend(u16::try_from(inner.len()).unwrap().to_be_bytes());
        body.extend(&inner);
        let header = parse(&v2(0x21, 0x11, &body), ProxyVersion::V2).unwrap().unwrap();
        let tls = header.tls.unwrap();
        assert!(tls.certificate);
        assert_eq!(tls.common_name.as_deref(), Some("meter"));
        assert_eq!((tls.version.as_deref(), tls.cipher.as_deref()), (Some("TLSv1.3"), Some("AES")));
        // One that was not shown, or not verified, names nobody.
        let flags = body.len() - inner.len();
        for (at, value) in [(flags, 1), (flags + 4, 1)] {
            let mut other = body.clone();
            other[at] = value;
            let header = parse(&v2(0x21, 0x11, &other), ProxyVersion::V2).unwrap().unwrap();
            let tls = header.tls.unwrap();
            assert_eq!((tls.certificate, tls.common_name), (false, None));
        }
        body[flags] = 4;
        let header = parse(&v2(0x21, 0x11, &body), ProxyVersion::V2).unwrap().unwrap();
        assert_eq!(header.tls, None, "it did not come by TLS");
    }

    #[test]
    fn a_header_that_is_cut_waits_for_more() {
        let whole = [
            b"PROXY TCP4 10.1.2.3 10.0.0.1 4711 1883\r\n".to_vec(),
            v2(0x21, 0x11, &[10, 1, 2, 3, 10, 0, 0, 1, 0x12, 0x67, 7, 91]),
        ];
        for bytes in whole {
            for end in 0..bytes.len() {
                assert_eq!(parse(&bytes[..end], ProxyVersion::Any), Ok(None), "{end} bytes");
            }
        }
    }

    #[test]
    fn headers_that_are_none_are_refused() {
        let none = ProxyFault::Malformed("a port is none: 1 to 65535");
        let table: [(&[u8], ProxyFault); 7] = [
            (b"\x10\x0c\0\x04MQTT", ProxyFault::Missing),
            (&[b'P'; 200], ProxyFault::Missing),
            (
                b"PROXY TCP4 ::1 ::1 1 1\r\n",
                ProxyFault::Malformed("an address is none of its family"),
            ),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 99999 1\r\n", none),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n", none),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 0 1\r\n", none),
            (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 0\r\n", none),
        ];
        for (bytes, fault) in table {
            assert_eq!(parse(bytes, ProxyVersion::Any), Err(fault), "{bytes:?}");
        }
        let nowhere = parse(&v2(0x21, 0x00, &[0; 12]), ProxyVersion::V2);
        assert!(matches!(nowhere, Err(ProxyFault::Malformed(_))), "{nowhere:?}");
        let endless = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
        assert_eq!(parse(&endless, ProxyVersion::V1), Err(ProxyFault::TooLong));
        let huge = [PROXY_SIGNATURE.as_slice(), &[0x21, 0x11, 0xFF, 0xFF]].concat();
        assert_eq!(parse(&huge, ProxyVersion::V2), Err(ProxyFault::TooLong));
        assert_eq!(parse(b"PROXY UNKNOWN\r\n", ProxyVersion::V2), Err(ProxyFault::OtherVersion));
    }
}

//! What a certificate says about its holder, read from its DER: names and dates.
//!
//! Certificates of clients come here after their signatures were verified; still nothing is taken
//! for granted, and what cannot be read is left out.

use core::fmt::Write as _;
use std::net::IpAddr;

/// What is read of a certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// Its number among those of its issuer.
    pub(crate) serial: Vec<u8>,
    /// The whole name of its issuer, DER.
    pub(crate) issuer: Vec<u8>,
    /// The whole name of its holder, DER.
    pub(crate) subject: Vec<u8>,
    /// The key, DER with its algorithm.
    pub(crate) key: Vec<u8>,
    /// Seconds since 1970.
    pub(crate) not_before: u64,
    /// Seconds since 1970.
    pub(crate) not_after: u64,
    /// DNS names, addresses, mail addresses and URIs, in their order.
    pub(crate) alternative_names: Vec<String>,
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const OCTETS: u8 = 0x04;
const INTEGER: u8 = 0x02;
const BOOLEAN: u8 = 0x01;
/// The version of a certificate, which those of version 1 leave out.
const VERSION: u8 = 0xA0;
/// The extensions of a certificate.
const EXTENSIONS: u8 = 0xA3;

const BMP_STRING: u8 = 0x1E;

const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1D, 17];

/// Attributes by the names that OpenSSL gives them.
const ATTRIBUTES: &[(&[u8], &str)] = &[
    (COMMON_NAME, "CN"),
    (&[0x55, 4, 4], "SN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "street"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 12], "title"),
    (&[0x55, 4, 42], "GN"),
    (&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 9, 1], "emailAddress"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 1, 1], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 1, 25], "DC"),
];

impl Certificate {
    /// Reads a certificate; `None` if it is none.
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
        let mut outer = Reader(der);
        let mut certificate = Reader(outer.take(SEQUENCE)?);
        let mut body = Reader(certificate.take(SEQUENCE)?);
        body.take_if(VERSION);
        let serial = body.take(INTEGER)?;
        // The algorithm of the signature.
        body.take(SEQUENCE)?;
        let issuer = body.take_whole(SEQUENCE)?;
        let mut validity = Reader(body.take(SEQUENCE)?);
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        let subject = body.take_whole(SEQUENCE)?;
        let key = body.take_whole(SEQUENCE)?;
        let mut read = Self {
            serial: serial.to_vec(),
            issuer: issuer.to_vec(),
            subject: subject.to_vec(),
            key: key.to_vec(),
            not_before,
            not_after,
            alternative_names: Vec::new(),
        };
        while let Some((tag, value)) = body.next() {
            if tag == EXTENSIONS {
                read.alternative_names = alternative_names(value).unwrap_or_default();
            }
        }
        Some(read)
    }

    /// The common name, the first one if there are several, as Mosquitto takes it.
    pub(crate) fn common_name(&self) -> Option<String> {
        self.attributes().into_iter().find(|(oid, _)| *oid == COMMON_NAME).map(|(_, value)| value)
    }

    /// The whole subject as RFC 2253 writes it: the most special part first.
    pub(crate) fn subject(&self) -> String {
        let mut text = String::new();
        for (oid, value) in self.attributes().into_iter().rev() {
            if !text.is_empty() {
                text.push(',');
            }
            match ATTRIBUTES.iter().find(|(known, _)| *known == oid) {
                Some((_, name)) => text.push_str(name),
                None => push_oid(oid, &mut text),
            }
            text.push('=');
            escape(&value, &mut text);
        }
        text
    }

    /// What it is known by among all certificates.
    pub(crate) fn identifier(&self) -> Vec<u8> {
        [self.issuer.as_slice(), &self.serial].concat()
    }

    /// The identifiers of the certificates that a list takes back; `None` if it is no such list.
    pub(crate) fn revoked_by(list: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut list = Reader(Reader(list).take(SEQUENCE)?);
        let mut body = Reader(list.take(SEQUENCE)?);
        body.take_if(INTEGER);
        // The algorithm of the signature.
        body.take(SEQUENCE)?;
        let issuer = body.take_whole(SEQUENCE)?;
        body.time()?;
        // When the next list is due.
        body.take_if(UTC_TIME);
        body.take_if(GENERALIZED_TIME);
        let mut entries = Reader(body.take(SEQUENCE).unwrap_or_default());
        let mut revoked = Vec::new();
        while let Some(entry) = entries.take(SEQUENCE) {
            revoked.push([issuer, Reader(entry).take(INTEGER)?].concat());
        }
        Some(revoked)
    }

    pub(crate) fn is_self_signed(&self) -> bool {
        self.issuer == self.subject
    }

    fn attributes(&self) -> Vec<(&[u8], String)> {
        let mut found = Vec::new();
        let Some(names) = Reader(&self.subject).take(SEQUENCE) else { return found };
        let mut names = Reader(names);
        while let Some(set) = names.take(SET) {
            let mut set = Reader(set);
            while let Some(pair) = set.take(SEQUENCE) {
                let mut pair = Reader(pair);
                let Some(oid) = pair.take(OID) else { continue };
                let Some((tag, value)) = pair.next() else { continue };
                found.push((oid, text(tag, value)));
            }
        }
        found
    }
}

fn text(tag: u8, value: &[u8]) -> String {
    if tag == BMP_STRING {
        let units = value.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair));
        return char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{FFFD}')).collect();
    }
    String::from_utf8_lossy(value).into_owned()
}

/// Backslashes as RFC 2253 wants them, and for all that is not plain text, as OpenSSL adds them.
fn escape(value: &str, text: &mut String) {
    let last = value.len().saturating_sub(1);
    for (at, byte) in value.bytes().enumerate() {
        if !(0x20..0x7F).contains(&byte) {
            // Writing to a string does not fail.
            write!(text, "\\{byte:02X}").unwrap_or_default();
            continue;
        }
        let special = matches!(byte, b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';')
            || (at == 0 && matches!(byte, b' ' | b'#'))
            || (at == last && byte == b' ');
        if special {
            text.push('\\');
        }
        text.push(char::from(byte));
    }
}

fn push_oid(oid: &[u8], text: &mut String) {
    let mut parts = Vec::new();
    let mut number = 0u64;
    for byte in oid {
        number = number << 7 | u64::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            parts.push(number);
            number = 0;
        }
    }
    if let Some(first) = parts.first_mut() {
        let high = (*first / 40).min(2);
        *first -= high * 40;
        parts.insert(0, high);
    }
    for (at, part) in parts.iter().enumerate() {
        let dot = if at == 0 { "" } else { "." };
        // Writing to a string does not fail.
        write!(text, "{dot}{part}").unwrap_or_default();
    }
}

fn alternative_names(extensions: &[u8]) -> Option<Vec<String>> {
    let mut extensions = Reader(Reader(extensions).take(SEQUENCE)?);
    while let Some(extension) = extensions.take(SEQUENCE) {
        let mut extension = Reader(extension);
        let oid = extension.take(OID)?;
        extension.take_if(BOOLEAN);
        let value = extension.take(OCTETS)?;
        if oid != SUBJECT_ALTERNATIVE_NAME {
            continue;
        }
        let mut names = Reader(Reader(value).take(SEQUENCE)?);
        let mut found = Vec::new();
        while let Some((tag, value)) = names.next() {
            match tag {
                // Mail address, DNS name, URI.
                0x81 | 0x82 | 0x86 => found.push(String::from_utf8_lossy(value).into_owned()),
                0x87 => found.extend(address(value).map(|address| address.to_string())),
                _ => {}
            }
        }
        return Some(found);
    }
    None
}

fn address(value: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(value) {
        return Some(four.into());
    }
    <[u8; 16]>::try_from(value).ok().map(IpAddr::from)
}

/// Reads one element after the other; it gets no further than what is well-formed.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            short @ ..0x80 => (usize::from(short), rest),
            long => {
                let count = usize::from(long & 0x7F);
                if count == 0 || count > 4 {
                    return None;
                }
                let (bytes, rest) = rest.split_at_checked(count)?;
                (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    fn take(&mut self, wanted: u8) -> Option<&'a [u8]> {
        self.next().filter(|(tag, _)| *tag == wanted).map(|(_, value)| value)
    }

    fn take_if(&mut self, wanted: u8) {
        if self.0.first() == Some(&wanted) {
            self.next();
        }
    }

    /// With its tag and length.
    fn take_whole(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let before = self.0;
        self.take(wanted)?;
        before.get(..before.len() - self.0.len())
    }

    fn time(&mut self) -> Option<u64> {
        let (tag, value) = self.next()?;
        let text = core::str::from_utf8(value).ok()?.strip_suffix('Z')?;
        let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
        let (year, at) = match tag {
            // Two digits: from 1950 to 2049.
            UTC_TIME => match number(0, 2)? {
                late @ 50.. => (1900 + late, 2),
                early => (2000 + early, 2),
            },
            GENERALIZED_TIME => (number(0, 4)?, 4),
            _ => return None,
        };
        let part = |place: usize| number(at + 2 * place, at + 2 * place + 2);
        let days = days_since_1970(year, part(0)?, part(1)?)?;
        Some(days * 86_400 + part(2)? * 3_600 + part(3)? * 60 + part(4)?)
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, which years from March on make simple.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month > 2 { year } else { year.checked_sub(1)? };
    let from_march = (month + 9) % 12;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * from_march + 2) / 5 + day;
    // What the same sum gives for 1970-01-01.
    days.checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_as_calendars_do() {
        let table = [
            ((1970, 1, 1), 0),
            ((1970, 3, 1), 59),
            ((2000, 2, 29), 11_016),
            ((2026, 11, 21), 20_778),
        ];
        for ((year, month, day), days) in table {
            assert_eq!(days_since_1970(year, month, day), Some(days), "{year}-{month}-{day}");
        }
        assert_eq!(days_since_1970(2026, 13, 1), None);
    }

    #[test]
    fn names_are_escaped() {
        let mut text = String::new();
        escape(" a,b+ü ", &mut text);
        assert_eq!(text, "\\ a\\,b\\+\\C3\\BC\\ ");
        let mut oid = String::new();
        push_oid(&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 9, 1], &mut oid);
        assert_eq!(oid, "1.2.840.113549.1.9.1");
    }

    #[test]
    fn bytes_that_are_no_certificate_break_nothing() {
        for first in 0..=255u8 {
            for second in [0, 1, 0x7F, 0x80, 0x81, 0x84, 0x85, 0xFF] {
                let bytes = [SEQUENCE, 6, first, second, 0xFF, 0xFF, 0xFF, 0xFF];
                assert_eq!(Certificate::parse(&bytes), None);
            }
        }
    }
}

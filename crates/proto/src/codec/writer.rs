//! Puts fields behind one another, or only counts their bytes.

use alloc::vec::Vec;

use super::EncodeError;
use crate::property::Properties;

/// Where the fields of a packet go. Each body is written by one function that runs twice: once to
/// count what the remaining length has to say, once to append.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);

    #[inline]
    fn u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    #[inline]
    fn u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    /// Binary data or text with its two bytes of length.
    #[inline]
    fn binary(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        let len = u16::try_from(bytes.len())
            .map_err(|_| EncodeError::FieldTooLong { len: bytes.len() })?;
        self.u16(len);
        self.put(bytes);
        Ok(())
    }

    /// A property block with its length.
    #[inline]
    fn properties(&mut self, properties: Properties<'_>) -> Result<(), EncodeError> {
        // [MQTT-2.2.2-1]
        if properties.is_empty() {
            self.u8(0);
            return Ok(());
        }
        let (bytes, len) = integer(length(properties.as_bytes().len())?);
        self.put(bytes.get(..len).unwrap_or_default());
        self.put(properties.as_bytes());
        Ok(())
    }
}

/// The pass that counts.
pub(crate) struct Counter(pub(crate) usize);

impl Sink for Counter {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0 = self.0.saturating_add(bytes.len());
    }
}

impl Sink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// A length as a variable byte integer has it.
#[inline]
pub(crate) fn length(len: usize) -> Result<u32, EncodeError> {
    u32::try_from(len)
        .ok()
        .filter(|&len| len <= super::MAX_REMAINING_LENGTH)
        .ok_or(EncodeError::PacketTooLong)
}

/// How many bytes a variable byte integer takes.
#[inline]
pub(crate) const fn integer_len(value: u32) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// The shortest form of a variable byte integer [MQTT-1.5.5-1], and its length.
#[inline]
fn integer(value: u32) -> ([u8; 4], usize) {
    let len = integer_len(value);
    let spread = value & 0x7F
        | (value & 0x3F80) << 1
        | (value & 0x1F_C000) << 2
        | (value & 0x0FE0_0000) << 3;
    let more = match len {
        1 => 0,
        2 => 0x80,
        3 => 0x8080,
        _ => 0x0080_8080,
    };
    let mut bytes = (spread | more).to_be_bytes();
    bytes.reverse();
    (bytes, len)
}

/// Appends a variable byte integer.
#[inline]
pub(crate) fn put_integer(value: u32, out: &mut Vec<u8>) {
    let (bytes, len) = integer(value);
    out.put(bytes.get(..len).unwrap_or_default());
}

/// Appends binary data or text whose length was checked, or will be by reading it back.
#[inline]
pub(crate) fn put_binary(bytes: &[u8], out: &mut Vec<u8>) {
    out.u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
    out.put(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::reader::Reader;

    #[test]
    fn integers_take_the_fewest_bytes() {
        for (value, len) in [
            (0, 1),
            (127, 1),
            (128, 2),
            (16_383, 2),
            (16_384, 3),
            (2_097_151, 3),
            (2_097_152, 4),
            (268_435_455, 4),
        ] {
            let mut out = Vec::new();
            put_integer(value, &mut out);
            assert_eq!(out.len(), len, "{value}");
            assert_eq!(integer_len(value), len, "{value}");
            assert_eq!(Reader::new(&out).integer(), Ok(value));
        }
    }
}

//! Numbers and byte strings as records hold them.

use dunlin_proto::Time;

/// Appends a number in groups of seven bits, the lowest first.
#[inline]
pub(super) fn put(mut value: u64, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// Appends a time: 0 for none, else microseconds since 1970 and one.
#[inline]
pub(super) fn put_time(time: Time, into: &mut Vec<u8>) {
    put(time.as_micros().wrapping_add(1), into);
}

#[inline]
pub(super) fn put_bytes(bytes: &[u8], into: &mut Vec<u8>) {
    put(bytes.len() as u64, into);
    into.extend_from_slice(bytes);
}

/// Appends a text that may be missing: 0, or its length and one, and its bytes.
pub(super) fn put_optional(text: Option<&str>, into: &mut Vec<u8>) {
    put(text.map_or(0, |text| text.len() as u64 + 1), into);
    into.extend_from_slice(text.unwrap_or_default().as_bytes());
}

/// Reads what the functions above wrote.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    #[inline]
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.number()?).ok()
    }

    pub(super) fn time(&mut self) -> Option<Time> {
        Some(Time::from_micros(self.number()?.wrapping_sub(1)))
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.small::<usize>()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        core::str::from_utf8(self.bytes()?).ok()
    }

    /// A text that may be missing; the outer `None` if it cannot be read.
    pub(super) fn optional(&mut self) -> Option<Option<&'a str>> {
        let Some(length) = self.small::<usize>()?.checked_sub(1) else { return Some(None) };
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Some(core::str::from_utf8(bytes).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use dunlin_proto::Time;

    use super::{Reader, put, put_time};

    #[test]
    fn numbers_and_times_come_back() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put(value, &mut bytes);
            assert_eq!(Reader(&bytes).number(), Some(value));
            assert_eq!(Reader(&bytes[..bytes.len() - 1]).number(), None, "{value} cut");
        }
        for time in [Time::MAX, Time::ZERO, Time::from_secs(1_700_000_000)] {
            let mut bytes = Vec::new();
            put_time(time, &mut bytes);
            assert_eq!(Reader(&bytes).time(), Some(time));
        }
        assert_eq!(Reader(&[0xFF; 10]).number(), None, "beyond 64 bits");
    }
}

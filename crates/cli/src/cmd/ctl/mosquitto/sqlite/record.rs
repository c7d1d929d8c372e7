//! A row of SQLite: the types of its columns, then their values.

/// A value of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a [u8]),
    Blob(&'a [u8]),
}

impl Value<'_> {
    /// 0 for what is no number.
    pub(super) const fn integer(self) -> i64 {
        match self {
            Self::Integer(number) => number,
            _ => 0,
        }
    }

    /// A column declared as `STRING` turns text that looks like a number into one.
    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Integer(number) => Some(number.to_string()),
            Self::Real(number) => Some(format!("{number:?}")),
            Self::Text(bytes) | Self::Blob(bytes) => String::from_utf8(bytes.to_vec()).ok(),
        }
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Text(bytes) | Self::Blob(bytes) => bytes.to_vec(),
            other => other.text().unwrap_or_default().into_bytes(),
        }
    }
}

/// A number of up to nine bytes, and what follows it.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().enumerate().take(9) {
        if index == 8 {
            value = value << 8 | u64::from(*byte);
        } else {
            value = value << 7 | u64::from(byte & 0x7F);
        }
        if index == 8 || *byte < 0x80 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

/// All columns that the row has; those that were added to the table later may be missing.
pub(super) fn record(bytes: &[u8]) -> Option<Vec<Value<'_>>> {
    let (length, after) = varint(bytes)?;
    let length = usize::try_from(length).ok()?;
    let mut types = bytes.get(bytes.len() - after.len()..length)?;
    let mut body = bytes.get(length..)?;
    let mut values = Vec::new();
    while !types.is_empty() {
        let (kind, rest) = varint(types)?;
        types = rest;
        let size = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            _ => (kind - 12) / 2,
        };
        let (bytes, rest) = body.split_at_checked(usize::try_from(size).ok()?)?;
        body = rest;
        values.push(match kind {
            0 => Value::Null,
            7 => Value::Real(f64::from_be_bytes(*bytes.first_chunk()?)),
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            1..=6 => Value::Integer(signed(bytes)),
            _ if kind % 2 == 0 => Value::Blob(bytes),
            _ => Value::Text(bytes),
        });
    }
    Some(values)
}

/// Up to eight bytes, the highest first and with the sign.
fn signed(bytes: &[u8]) -> i64 {
    let start = if bytes.first().is_some_and(|first| first & 0x80 != 0) { -1 } else { 0 };
    bytes.iter().fold(start, |value, byte| value << 8 | i64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length_are_read() {
        for (bytes, value) in [
            (&[0x7F][..], 0x7F),
            (&[0x81, 0x00], 0x80),
            (&[0xFF; 9], u64::MAX),
            (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x05], 5),
        ] {
            assert_eq!(varint(bytes), Some((value, &[][..])));
            assert_eq!(varint(&bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(signed(&[0xFF, 0xFE]), -2);
        assert_eq!(signed(&[0x01, 0x00, 0x00]), 65_536);
    }

    #[test]
    fn rows_have_values_of_all_types() {
        let row = [
            9, 0, 1, 7, 8, 9, 16, 17, 2, 0xFE, 0x3F, 0xF8, 0, 0, 0, 0, 0, 0, 1, 2, b'h', b'i', 1, 0,
        ];
        assert_eq!(
            record(&row).unwrap(),
            [
                Value::Null,
                Value::Integer(-2),
                Value::Real(1.5),
                Value::Integer(0),
                Value::Integer(1),
                Value::Blob(&[1, 2]),
                Value::Text(b"hi"),
                Value::Integer(256),
            ]
        );
        assert_eq!(record(&row[..row.len() - 1]), None);
        assert_eq!(Value::Real(1.5).text().unwrap(), "1.5");
        assert_eq!(Value::Real(2.0).text().unwrap(), "2.0");
    }
}

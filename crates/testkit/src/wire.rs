//! The field types of the wire, written without checks and read strictly.

/// Appends fields to a packet body.
#[derive(Debug, Clone, Default)]
pub struct Bytes(Vec<u8>);

impl Bytes {
    /// An empty body.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// One byte.
    #[must_use]
    pub fn u8(self, value: u8) -> Self {
        self.raw(&[value])
    }

    /// A two byte integer.
    #[must_use]
    pub fn u16(self, value: u16) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// A four byte integer.
    #[must_use]
    pub fn u32(self, value: u32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// A variable byte integer in its shortest form.
    #[must_use]
    pub fn variable(mut self, mut value: u32) -> Self {
        loop {
            let low = (value % 128) as u8;
            value /= 128;
            if value == 0 {
                self.0.push(low);
                return self;
            }
            self.0.push(low | 0x80);
        }
    }

    /// A string, or what claims to be one.
    #[must_use]
    pub fn text(self, value: &str) -> Self {
        self.binary(value.as_bytes())
    }

    /// Binary data behind its two length bytes.
    ///
    /// # Panics
    /// When the value is longer than the length bytes can say.
    #[must_use]
    pub fn binary(self, value: &[u8]) -> Self {
        let length = u16::try_from(value.len()).expect("a test wrote a field over 65535 bytes");
        self.u16(length).raw(value)
    }

    /// Bytes as they are.
    #[must_use]
    pub fn raw(mut self, value: &[u8]) -> Self {
        self.0.extend_from_slice(value);
        self
    }

    /// The bytes so far.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }

    /// The bytes so far as the body of a packet with this first byte.
    #[must_use]
    pub fn frame(self, first: u8) -> Vec<u8> {
        frame(first, &self.0)
    }
}

/// A packet from its first byte and everything after the remaining length.
///
/// # Panics
/// When the body is longer than any packet can be.
#[must_use]
pub fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a test wrote a body over 4 GiB");
    Bytes::new().u8(first).variable(length).raw(body).into_vec()
}

/// Why received bytes are not a packet; the message is for whoever reads the failed test.
pub(crate) type Malformed = String;

/// Takes fields off the front of a packet body.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let Some((head, tail)) = self.0.split_at_checked(count) else {
            return Err(format!("{count} bytes wanted where {} are left", self.0.len()));
        };
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(crate) fn variable(&mut self) -> Result<u32, Malformed> {
        let mut value = 0;
        for position in 0..4 {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f) << (7 * position);
            if byte & 0x80 == 0 {
                if byte == 0 && position > 0 {
                    return Err("variable byte integer longer than needed".into());
                }
                return Ok(value);
            }
        }
        Err("variable byte integer over four bytes".into())
    }

    pub(crate) fn binary(&mut self) -> Result<Vec<u8>, Malformed> {
        let length = self.u16()?;
        Ok(self.take(length.into())?.to_vec())
    }

    pub(crate) fn text(&mut self) -> Result<String, Malformed> {
        let text = String::from_utf8(self.binary()?).map_err(|error| error.to_string())?;
        if text.contains('\0') {
            return Err("string with U+0000".into());
        }
        Ok(text)
    }
}

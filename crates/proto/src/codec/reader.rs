//! Takes fields off the front of a packet's body.

use crate::property::Properties;
use crate::qos::PacketId;
use crate::text;
use crate::version::Version;
use crate::violation::{PropertyContext, Violation};

/// What is left of a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub(crate) fn begins_with(&self, byte: u8) -> bool {
        self.0.first() == Some(&byte)
    }

    #[inline]
    pub(crate) const fn u8(&mut self) -> Result<u8, Violation> {
        let Some((&byte, rest)) = self.0.split_first() else {
            return Err(Violation::Truncated);
        };
        self.0 = rest;
        Ok(byte)
    }

    #[inline]
    pub(crate) const fn u16(&mut self) -> Result<u16, Violation> {
        let Some((bytes, rest)) = self.0.split_first_chunk() else {
            return Err(Violation::Truncated);
        };
        self.0 = rest;
        Ok(u16::from_be_bytes(*bytes))
    }

    #[inline]
    pub(crate) const fn u32(&mut self) -> Result<u32, Violation> {
        let Some((bytes, rest)) = self.0.split_first_chunk() else {
            return Err(Violation::Truncated);
        };
        self.0 = rest;
        Ok(u32::from_be_bytes(*bytes))
    }

    /// A variable byte integer in its shortest form.
    #[inline]
    pub(crate) fn integer(&mut self) -> Result<u32, Violation> {
        match self.u8()? {
            byte if byte < 0x80 => Ok(u32::from(byte)),
            byte => self.long_integer(byte),
        }
    }

    fn long_integer(&mut self, first: u8) -> Result<u32, Violation> {
        let mut value = u32::from(first & 0x7F);
        for shift in [7, 14, 21] {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                // [MQTT-1.5.5-1]
                return if byte == 0 { Err(Violation::IntegerMalformed) } else { Ok(value) };
            }
        }
        Err(Violation::IntegerMalformed)
    }

    #[inline]
    pub(crate) fn packet_id(&mut self) -> Result<PacketId, Violation> {
        // [MQTT-2.2.1-3]
        PacketId::new(self.u16()?).ok_or(Violation::PacketIdZero)
    }

    /// So many bytes.
    #[inline]
    pub(crate) const fn take(&mut self, len: usize) -> Result<&'a [u8], Violation> {
        let Some((bytes, rest)) = self.0.split_at_checked(len) else {
            return Err(Violation::Truncated);
        };
        self.0 = rest;
        Ok(bytes)
    }

    /// Binary data with its two bytes of length.
    #[inline]
    pub(crate) fn binary(&mut self) -> Result<&'a [u8], Violation> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// A UTF-8 encoded string.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'a str, Violation> {
        text::parse(self.binary()?)
    }

    /// A property block with its length; before 5.0 there is none.
    #[inline]
    pub(crate) fn properties(
        &mut self,
        context: PropertyContext,
        version: Version,
    ) -> Result<Properties<'a>, Violation> {
        if !version.is_v5() {
            return Ok(Properties::EMPTY);
        }
        match self.integer()? {
            0 => Ok(Properties::EMPTY),
            len => Properties::parse(self.take(len as usize)?, context),
        }
    }

    /// Everything that is left.
    #[inline]
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Makes sure that nothing is left.
    #[inline]
    pub(crate) const fn finish(self) -> Result<(), Violation> {
        if self.0.is_empty() { Ok(()) } else { Err(Violation::TrailingBytes) }
    }
}

//! Who published a retained message, in its record.

use super::wire::{Reader, put, put_bytes, put_optional};

/// Who published a message, as records hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publisher<'a> {
    /// The client identifier.
    pub client_id: &'a str,
    /// The user name it was let in with.
    pub username: Option<&'a str>,
    /// The listener it came in by.
    pub listener: u16,
}

impl<'a> Publisher<'a> {
    /// At least the bytes it takes in a record.
    pub(super) const fn size(&self) -> usize {
        let username = match self.username {
            Some(username) => username.len(),
            None => 0,
        };
        self.client_id.len() + username + 32
    }

    pub(super) fn write(&self, body: &mut Vec<u8>) {
        put_bytes(self.client_id.as_bytes(), body);
        put_optional(self.username, body);
        put(self.listener.into(), body);
    }

    pub(super) fn read(r: &mut Reader<'a>) -> Option<Self> {
        Some(Self { client_id: r.text()?, username: r.optional()?, listener: r.small()? })
    }
}

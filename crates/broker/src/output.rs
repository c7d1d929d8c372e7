//! What is still to be written to one connection.

use core::mem;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use crate::message::Message;

/// Bytes waiting to be written to a connection, in order.
///
/// Small frames are appended to one buffer; a large payload stays in the message that all its
/// receivers share, and only its place in the stream is noted. An idle connection holds neither.
#[derive(Default)]
pub struct Output {
    bytes: Vec<u8>,
    /// How much of `bytes` is written already.
    written: usize,
    shared: Option<Box<Shared>>,
    closing: bool,
    /// Nothing may be written yet.
    corked: bool,
    pub(crate) dirty: bool,
}

#[derive(Default)]
struct Shared {
    /// Where in `bytes` each payload belongs, in order.
    payloads: VecDeque<(usize, Arc<Message>)>,
    /// How much of the first payload is written already.
    written: usize,
    pending: usize,
}

impl Output {
    /// Nothing is left to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending() == 0
    }

    /// Number of bytes left to write.
    #[inline]
    #[must_use]
    pub fn pending(&self) -> usize {
        let shared = self.shared.as_ref().map_or(0, |shared| shared.pending);
        self.bytes.len() - self.written + shared
    }

    /// The connection is to be closed once everything is written.
    #[must_use]
    pub const fn closing(&self) -> bool {
        self.closing
    }

    /// Fills `into` with what to write next and returns how many slices it filled: none while it is corked.
    pub fn slices<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        self.slices_within(usize::MAX, into)
    }

    /// The same, with at most `room` bytes in them.
    pub fn slices_within<'a>(&'a self, mut room: usize, into: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        if self.corked {
            return filled;
        }
        let mut from = self.written;
        // A shared payload needs up to two slices.
        let most = into.len() / 2;
        if let Some(shared) = &self.shared {
            let mut skip = shared.written;
            for (place, message) in shared.payloads.iter().take(most) {
                add(self.bytes.get(from..*place), into, &mut filled, &mut room);
                add(message.payload().get(skip..), into, &mut filled, &mut room);
                from = *place;
                skip = 0;
            }
            if shared.payloads.len() > most {
                return filled;
            }
        }
        add(self.bytes.get(from..), into, &mut filled, &mut room);
        filled
    }

    /// Notes that the first `count` pending bytes are written.
    pub fn advance(&mut self, mut count: usize) {
        while let Some(shared) = &mut self.shared {
            let Some((place, message)) = shared.payloads.front() else { break };
            let plain = count.min(place - self.written);
            self.written += plain;
            count -= plain;
            if self.written < *place {
                return;
            }
            let payload = count.min(message.payload().len() - shared.written);
            shared.written += payload;
            shared.pending -= payload;
            count -= payload;
            if shared.written < message.payload().len() {
                return;
            }
            shared.written = 0;
            shared.payloads.pop_front();
            if shared.payloads.is_empty() {
                self.shared = None;
            }
        }
        self.written += count;
        debug_assert!(self.written <= self.bytes.len(), "no more is written than was pending");
    }

    /// Keeps everything back, until it is uncorked.
    pub(crate) const fn cork(&mut self) {
        self.corked = true;
    }

    pub(crate) const fn uncork(&mut self) {
        self.corked = false;
    }

    /// Whether what is pending may not be written yet.
    #[must_use]
    pub const fn is_corked(&self) -> bool {
        self.corked
    }

    /// Where small frames are appended.
    #[inline]
    pub(crate) const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Appends the payload of `message` by reference.
    pub(crate) fn share(&mut self, message: Arc<Message>) {
        let place = self.bytes.len();
        let shared = self.shared.get_or_insert_default();
        shared.pending += message.payload().len();
        shared.payloads.push_back((place, message));
    }

    /// Nothing more is to be sent after what is pending.
    pub(crate) const fn close(&mut self) {
        self.closing = true;
    }

    /// Takes the buffer away if it holds nothing, so that an idle connection keeps no memory.
    pub(crate) fn reclaim(&mut self) -> Option<Vec<u8>> {
        if !self.is_empty() || self.bytes.capacity() == 0 {
            return None;
        }
        self.written = 0;
        let mut buffer = mem::take(&mut self.bytes);
        buffer.clear();
        Some(buffer)
    }

    /// Gives an empty output a buffer that was reclaimed elsewhere.
    pub(crate) fn lend(&mut self, buffer: Vec<u8>) {
        if self.bytes.capacity() == 0 {
            self.bytes = buffer;
        }
    }

    /// Whether a buffer is held at all.
    #[inline]
    pub(crate) const fn has_buffer(&self) -> bool {
        self.bytes.capacity() > 0
    }

    /// Moves what is pending to the front, when the written part has become the larger one: a
    /// reader that is always behind must not make the buffer grow for ever.
    pub(crate) fn compact(&mut self) {
        if self.written < 65_536 || self.written < self.bytes.len() / 2 {
            return;
        }
        let written = mem::take(&mut self.written);
        self.bytes.drain(..written);
        for (place, _) in self.shared.iter_mut().flat_map(|shared| &mut shared.payloads) {
            *place -= written;
        }
    }
}

/// Adds a slice, if there is anything in it, as far as there is room for it.
fn add<'a>(
    bytes: Option<&'a [u8]>,
    into: &mut [IoSlice<'a>],
    filled: &mut usize,
    room: &mut usize,
) {
    let bytes = bytes.and_then(|bytes| bytes.get(..bytes.len().min(*room)));
    if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty())
        && let Some(slice) = into.get_mut(*filled)
    {
        *slice = IoSlice::new(bytes);
        *filled += 1;
        *room -= bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::Output;
    use crate::message::Message;

    fn drain(output: &mut Output, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while !output.is_empty() {
            let mut slices = [IoSlice::new(&[]); 4];
            let filled = output.slices(&mut slices);
            let mut part: Vec<u8> =
                slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
            part.truncate(step);
            assert!(!part.is_empty(), "something pending is offered");
            all.extend_from_slice(&part);
            let written = part.len();
            output.advance(written);
            output.compact();
        }
        all
    }

    #[test]
    fn shared_payloads_keep_their_place_whatever_is_written_at_once() {
        for step in [1, 2, 3, 7, 100] {
            let mut output = Output::default();
            output.buffer().extend_from_slice(b"head");
            output.share(Message::for_test("t", b"PAYLOAD"));
            output.share(Message::for_test("t", b"SECOND"));
            output.buffer().extend_from_slice(b"tail");
            output.share(Message::for_test("t", b"LAST"));
            assert_eq!(output.pending(), 4 + 7 + 6 + 4 + 4);
            assert_eq!(drain(&mut output, step), b"headPAYLOADSECONDtailLAST");
            assert!(output.reclaim().is_some());
        }
    }

    #[test]
    fn a_reader_always_behind_does_not_make_the_buffer_grow() {
        let mut output = Output::default();
        for _ in 0..10_000 {
            output.buffer().extend_from_slice(&[0; 1000]);
            if output.pending() > 100_000 {
                output.advance(1000);
                output.compact();
            }
        }
        assert!(output.buffer().capacity() < 1_000_000);
    }
}

//! Memory that is used again: messages that were delivered carry the next ones, and output buffers go
//! from connection to connection.
//!
//! A QoS 1 message lives for a round trip. With a window of many of them the system's allocator takes
//! its slow path for every one; taking the box of the oldest that is done with costs a few instructions.

use std::sync::Arc;

use crate::message::Message;

/// Messages kept. 1024: the windows of a few busy clients.
const KEPT: usize = 1024;
/// Largest payload, and largest topic with properties, in bytes, that is put into a kept message or kept
/// itself: what a short message may waste of a longer one's memory while it waits in a queue.
const LARGEST: usize = 256;

/// Messages without receivers.
#[derive(Default)]
pub(crate) struct Pool(Vec<Arc<Message>>);

impl Pool {
    /// A message with this content.
    #[inline]
    pub(crate) fn make(&mut self, payload: &[u8], head: Message) -> Arc<Message> {
        // What is retained stays, so it gets no more memory than it needs.
        if payload.len() <= LARGEST
            && !head.retain
            && let Some(mut message) = self.0.pop()
            && let Some(kept) = Arc::get_mut(&mut message)
        {
            let mut buffer = core::mem::take(&mut kept.payload);
            buffer.clear();
            buffer.extend_from_slice(payload);
            *kept = Message { payload: buffer, ..head };
            return message;
        }
        Arc::new(Message { payload: payload.to_vec(), ..head })
    }

    /// Takes back a message that somebody is done with, if nobody else has it.
    #[inline]
    pub(crate) fn recycle(&mut self, mut message: Arc<Message>) {
        if self.0.len() < KEPT
            && Arc::get_mut(&mut message).is_some_and(|message| {
                let others = message.bytes() - message.payload.len();
                message.payload.capacity() <= LARGEST && others <= LARGEST
            })
        {
            self.0.push(message);
        }
    }
}

/// Bytes of buffers kept. 8 MiB: what a fan-out to thousands of connections fills in a turn.
const SPARE_BYTES: usize = 8 << 20;
/// A buffer that grew beyond this is not kept: it was for one large packet.
const SPARE_LARGEST: usize = 256 << 10;
/// First size of a buffer, so that it need not grow packet by packet.
const SPARE_SMALLEST: usize = 512;

/// Output buffers that hold nothing: a connection has one only while it has something to say.
#[derive(Default)]
pub(crate) struct Spare {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl Spare {
    /// An empty buffer.
    #[inline]
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let Some(buffer) = self.buffers.pop() else { return Vec::with_capacity(SPARE_SMALLEST) };
        self.bytes -= buffer.capacity();
        buffer
    }

    /// Takes an empty buffer back, if it is worth keeping.
    pub(crate) fn keep(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() <= SPARE_LARGEST && self.bytes + buffer.capacity() <= SPARE_BYTES {
            self.bytes += buffer.capacity();
            self.buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Pool;
    use crate::message::Message;

    #[test]
    fn large_messages_are_not_kept() {
        let mut pool = Pool::default();
        pool.recycle(Message::for_test("t", &[0; 300]));
        pool.recycle(Message::for_test(&"t".repeat(300), b""));
        assert!(pool.0.is_empty());
    }

    #[test]
    fn a_message_is_used_again_only_when_nobody_has_it() {
        let mut pool = Pool::default();
        let message = Message::for_test("t", b"first");
        let shared = Arc::clone(&message);
        pool.recycle(message);
        let fresh = pool.make(b"second", Message::head_for_test("u"));
        assert_eq!(shared.payload(), b"first");
        pool.recycle(shared);
        let reused = pool.make(b"third", Message::head_for_test("v"));
        assert_eq!((fresh.payload(), reused.payload()), (&b"second"[..], &b"third"[..]));
        assert_eq!((&*fresh.topic, &*reused.topic), ("u", "v"));
    }
}

//! The texts of all runs, back to back in one buffer.
//!
//! Millions of short texts would each pay an allocator's header and rounding, and a pointer twice as
//! wide as needed. Dead text is reclaimed by copying the live ones to a new buffer, a few at every
//! change, so that no single change pays for all.

/// Where a text is. The empty text is `Text::default()` and is nowhere.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Text {
    /// Which buffer (highest bit), and the start in units of [`UNIT`] bytes.
    at: u32,
    len: u16,
}

#[derive(Debug, Default)]
pub(super) struct Texts {
    /// New texts go to `buffers[current]`; the other one is empty unless texts are being moved.
    buffers: [Vec<u8>; 2],
    current: usize,
    /// Bytes of the current buffer that no text uses any longer.
    dead: usize,
    moving: bool,
}

impl Texts {
    #[inline]
    pub(super) fn get(&self, text: Text) -> &[u8] {
        let start = (text.at & !OTHER) as usize * UNIT;
        let buffer = &self.buffers[usize::from(text.at & OTHER != 0)];
        &buffer[start..start + usize::from(text.len)]
    }

    pub(super) fn add(&mut self, bytes: &[u8]) -> Text {
        if bytes.is_empty() {
            return Text::default();
        }
        let buffer = &mut self.buffers[self.current];
        let at = buffer.len() / UNIT;
        grow(buffer, rounded(bytes.len()));
        buffer.extend_from_slice(bytes);
        buffer.resize((at * UNIT) + rounded(bytes.len()), 0);
        let at = u32::try_from(at).ok().filter(|at| *at < OTHER);
        Text {
            at: at.expect("filters together are shorter than 8 GiB") | self.mark(),
            len: u16::try_from(bytes.len()).expect("a filter has at most 65535 bytes"),
        }
    }

    /// Gives up a text.
    pub(super) fn remove(&mut self, text: Text) {
        if text.at & OTHER == self.mark() {
            self.dead += rounded(usize::from(text.len));
        }
    }

    /// Whether the texts are to be moved: the caller starts to hand every one to [`Self::moved`].
    pub(super) fn start_moving(&mut self) -> bool {
        let size = self.buffers[self.current].len();
        if self.moving || self.dead < SLACK || self.dead * 2 < size {
            return false;
        }
        self.moving = true;
        self.current = 1 - self.current;
        self.dead = 0;
        true
    }

    /// Whether moving has started and not ended.
    pub(super) const fn is_moving(&self) -> bool {
        self.moving
    }

    /// Where the text is from now on.
    pub(super) fn moved(&mut self, text: Text) -> Text {
        if text.len == 0 || text.at & OTHER == self.mark() {
            return text;
        }
        let old = core::mem::take(&mut self.buffers[1 - self.current]);
        let start = (text.at & !OTHER) as usize * UNIT;
        let text = self.add(&old[start..start + usize::from(text.len)]);
        self.buffers[1 - self.current] = old;
        text
    }

    /// Every text has been moved.
    pub(super) fn end_moving(&mut self) {
        self.buffers[1 - self.current] = Vec::new();
        self.moving = false;
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.buffers.iter().map(Vec::capacity).sum()
    }

    const fn mark(&self) -> u32 {
        if self.current == 0 { 0 } else { OTHER }
    }
}

/// Makes room for `more`, an eighth at a time: doubling would leave up to half of it unused.
pub(super) fn grow<T>(vector: &mut Vec<T>, more: usize) {
    if vector.capacity() - vector.len() < more {
        vector.reserve_exact((vector.len() / 8).max(more).max(8));
    }
}

const fn rounded(len: usize) -> usize {
    len.next_multiple_of(UNIT)
}

/// Texts begin at multiples of this many bytes, which lets 31 bits reach 8 GiB.
const UNIT: usize = 4;
const OTHER: u32 = 1 << 31;
/// Dead bytes that are not worth moving anything for.
const SLACK: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_survive_moving_and_dead_ones_give_their_room_back() {
        let mut texts = Texts::default();
        let spell = |n: usize| format!("{n}").repeat(n % 7);
        let mut kept: Vec<_> = (0..20_000).map(|n| (n, texts.add(spell(n).as_bytes()))).collect();
        for (_, text) in kept.extract_if(.., |(n, _)| *n % 10 != 0) {
            texts.remove(text);
        }
        let before = texts.memory_bytes();
        assert!(texts.start_moving());
        for (n, text) in &mut kept {
            *text = texts.moved(*text);
            assert_eq!(texts.get(*text), spell(*n).as_bytes());
        }
        texts.end_moving();
        assert!(!texts.start_moving());
        assert!(texts.memory_bytes() * 5 < before);
        for (n, text) in kept {
            assert_eq!(texts.get(text), spell(n).as_bytes());
        }
    }
}

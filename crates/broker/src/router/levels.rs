//! A topic cut into levels, with what finding filters needs of each.

use super::hashing::Hashing;

/// The levels of one topic; the memory is kept for the next.
#[derive(Debug, Default, Clone)]
pub(super) struct Levels {
    levels: Vec<Level>,
    dollar: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    start: u32,
    end: u32,
    /// Of the level's text.
    pub(super) hash: u64,
    /// Of the text at this position: [`Hashing::share`].
    pub(super) share: u64,
    /// The shares of this and all earlier levels.
    pub(super) sum: u64,
}

impl Levels {
    pub(super) fn split(&mut self, topic: &[u8], hashing: &Hashing) {
        self.dollar = topic.first() == Some(&b'$');
        self.levels.clear();
        let (mut start, mut sum) = (0, 0u64);
        for (text, position) in topic.split(|byte| *byte == b'/').zip(0..) {
            let end = start + text.len() as u32;
            let hash = hashing.bytes(text);
            let share = hashing.share(hash, position);
            sum = sum.wrapping_add(share);
            self.levels.push(Level { start, end, hash, share, sum });
            start = end + 1;
        }
    }

    #[inline]
    pub(super) fn all(&self) -> &[Level] {
        &self.levels
    }

    #[inline]
    pub(super) const fn count(&self) -> u32 {
        self.levels.len() as u32
    }

    /// Whether the topic begins with `$`, which no wildcard at the root matches [MQTT-4.7.2-1].
    #[inline]
    pub(super) const fn is_dollar(&self) -> bool {
        self.dollar
    }

    /// The levels `from..to` of the topic that was split, of which there is at least one.
    #[inline]
    pub(super) fn text<'a>(&self, topic: &'a [u8], from: u32, to: u32) -> &'a [u8] {
        let start = self.levels[from as usize].start as usize;
        let end = self.levels[to as usize - 1].end as usize;
        &topic[start..end]
    }
}

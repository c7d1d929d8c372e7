//! Which message is in which slot, sixteen identifiers at a time.
//!
//! Identifiers are given in long runs, so of sixteen neighbours mostly all are wanted: they share one look
//! into the table, which is where a large index waits for memory. One alone takes 80 bytes and 8 in the
//! table.

use core::cell::Cell;

use hashbrown::HashTable;

use super::chunks::Chunks;

/// Identifiers of a page.
const IDS: u64 = 16;

/// Slots by message identifier.
#[derive(Default)]
pub(super) struct Pages {
    pages: Chunks<Page>,
    /// Pages that are not used.
    free: Vec<u32>,
    table: HashTable<Known>,
    /// The page that was looked at last.
    last: Cell<u32>,
    len: usize,
}

/// An entry of the table. It has half of the hash, so that the table can grow without a look at the pages.
struct Known {
    hash: u32,
    page: u32,
}

struct Page {
    /// What its identifiers have in common.
    key: u64,
    used: u32,
    /// One more than the slot; 0 for none.
    slots: [u32; IDS as usize],
}

impl Pages {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn find(&self, id: u64) -> Option<u32> {
        let page = self.page(id / IDS)?;
        self.pages[page as usize].slots[(id % IDS) as usize].checked_sub(1)
    }

    /// `id` is not known yet.
    #[inline]
    pub(super) fn insert(&mut self, id: u64, slot: u32) {
        let key = id / IDS;
        let page = match self.page(key) {
            Some(page) => page,
            None => self.add(key),
        };
        let page = &mut self.pages[page as usize];
        page.slots[(id % IDS) as usize] = slot + 1;
        page.used += 1;
        self.len += 1;
    }

    pub(super) fn remove(&mut self, id: u64) {
        let Some(number) = self.page(id / IDS) else { return };
        let page = &mut self.pages[number as usize];
        if core::mem::take(&mut page.slots[(id % IDS) as usize]) == 0 {
            return;
        }
        self.len -= 1;
        page.used -= 1;
        if page.used == 0 {
            let hash = hash(page.key);
            if let Ok(found) = self.table.find_entry(spread(hash), |known| known.page == number) {
                found.remove();
            }
            self.free.push(number);
        }
    }

    #[inline]
    fn page(&self, key: u64) -> Option<u32> {
        let last = self.last.get();
        if self.pages.get(last as usize).is_some_and(|page| page.key == key && page.used > 0) {
            return Some(last);
        }
        let hash = hash(key);
        let same = |known: &Known| known.hash == hash && self.pages[known.page as usize].key == key;
        let page = self.table.find(spread(hash), same)?.page;
        self.last.set(page);
        Some(page)
    }

    fn add(&mut self, key: u64) -> u32 {
        let new = Page { key, used: 0, slots: [0; IDS as usize] };
        let page = match self.free.pop() {
            Some(page) => {
                self.pages[page as usize] = new;
                page
            }
            None => {
                self.pages.push(new);
                self.pages.len() as u32 - 1
            }
        };
        let hash = hash(key);
        let known = Known { hash, page };
        self.table.insert_unique(spread(hash), known, |known| spread(known.hash));
        self.last.set(page);
        page
    }
}

/// Keys are ours and come in steps of any size; one multiplication spreads them.
#[inline]
const fn hash(key: u64) -> u32 {
    (key.wrapping_mul(SPREAD) >> 32) as u32
}

/// The table wants chance in the lowest and in the highest bits.
#[inline]
const fn spread(hash: u32) -> u64 {
    let spread = (hash as u64).wrapping_mul(SPREAD);
    spread ^ (spread >> 32)
}

/// The golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use super::Pages;

    #[test]
    fn what_was_put_in_is_found_until_it_is_taken_out() {
        let mut pages = Pages::default();
        let ids = (0..1000u64).map(|n| n * n * 7 + n % 3);
        for (id, slot) in ids.clone().zip(0..) {
            assert_eq!(pages.find(id), None);
            pages.insert(id, slot);
        }
        for (id, slot) in ids.clone().zip(0u32..) {
            assert_eq!(pages.find(id), Some(slot));
            if slot % 2 == 0 {
                pages.remove(id);
                pages.remove(id);
            }
        }
        for (id, slot) in ids.zip(0..) {
            assert_eq!(pages.find(id), (slot % 2 == 1).then_some(slot));
            pages.remove(id);
        }
        assert_eq!((pages.len(), pages.table.len()), (0, 0));
        assert_eq!(pages.free.len(), pages.pages.len(), "all of the memory can be used again");
    }
}

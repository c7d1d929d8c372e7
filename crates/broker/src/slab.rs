//! A table of values by slot, in which a reused slot is never mistaken for its earlier tenant.

/// Stands for "no slot" where an `Option<u32>` would cost twice the space.
pub(crate) const NONE: u32 = u32::MAX;

/// Values by slot. Every tenant of a slot has its own generation.
pub(crate) struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
}

struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    /// Number of tenants.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Takes the lowest-cost free slot and returns it with the generation of the new tenant.
    pub(crate) fn insert(&mut self, value: T) -> (u32, u32) {
        if let Some(slot) = self.free.pop()
            && let Some(entry) = self.entries.get_mut(slot as usize)
        {
            entry.value = Some(value);
            return (slot, entry.generation);
        }
        let slot = u32::try_from(self.entries.len()).expect("descriptors run out before slots");
        self.entries.push(Entry { generation: 0, value: Some(value) });
        (slot, 0)
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<T> {
        let entry = self.entries.get_mut(slot as usize)?;
        let value = entry.value.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(slot);
        Some(value)
    }

    /// The tenant of `slot`, whichever it is.
    #[inline]
    pub(crate) fn at(&self, slot: u32) -> Option<&T> {
        self.entries.get(slot as usize)?.value.as_ref()
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.entries.get_mut(slot as usize)?.value.as_mut()
    }

    /// The tenant of `slot`, if it is the one of this generation.
    #[inline]
    pub(crate) fn get(&self, slot: u32, generation: u32) -> Option<&T> {
        let entry = self.entries.get(slot as usize)?;
        if entry.generation == generation { entry.value.as_ref() } else { None }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32, generation: u32) -> Option<&mut T> {
        let entry = self.entries.get_mut(slot as usize)?;
        if entry.generation == generation { entry.value.as_mut() } else { None }
    }

    /// The generation that the present (or next) tenant of `slot` has.
    pub(crate) fn generation(&self, slot: u32) -> u32 {
        self.entries.get(slot as usize).map_or(0, |entry| entry.generation)
    }

    /// All tenants in the order of their slots.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (u32, &T)> {
        self.entries
            .iter()
            .zip(0u32..)
            .filter_map(|(entry, slot)| entry.value.as_ref().map(|value| (slot, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::Slab;

    #[test]
    fn a_reused_slot_is_not_its_earlier_tenant() {
        let mut slab = Slab::new();
        let (slot, first) = slab.insert("first");
        assert_eq!(slab.remove(slot), Some("first"));
        let (again, second) = slab.insert("second");
        assert_eq!(again, slot);
        assert_eq!(slab.get(slot, first), None);
        assert_eq!(slab.get(slot, second), Some(&"second"));
        assert_eq!(slab.len(), 1);
    }
}

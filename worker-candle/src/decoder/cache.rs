//! Keys and values of all slots, each slot's apart from the others'.

use std::collections::TryReserveError;

use impetus_runtime::engine::SlotId;

use crate::engine::SlotCache;

/// The KV cache. A token's keys of all heads lie together, and so do its values.
pub(crate) struct KvCache {
    slots: Vec<Slot>,
    /// Elements of a token's keys.
    row: usize,
    /// Tokens that a slot gets room for when it is first used.
    context_tokens: usize,
}

#[derive(Clone)]
struct Slot {
    /// Tokens that the slot holds; planes may have more, which are about to be overwritten.
    length: usize,
    planes: Vec<Planes>,
}

/// One layer of one slot.
#[derive(Clone, Default)]
pub(crate) struct Planes {
    pub(crate) keys: Vec<f32>,
    pub(crate) values: Vec<f32>,
}

impl KvCache {
    /// A cache of empty slots; `row` is the number of elements of a token's keys in a layer.
    ///
    /// A slot that is used gets address space for all its `context_tokens` at once; memory follows as tokens are
    /// written. Planes that grew step by step would leave their former places behind, up to as much again.
    pub(crate) fn new(n_slots: usize, n_layers: usize, row: usize, context_tokens: usize) -> Self {
        let slot = Slot { length: 0, planes: vec![Planes::default(); n_layers] };
        Self { slots: vec![slot; n_slots], row, context_tokens }
    }

    /// A cache for whole texts, which nothing is appended to later: all layers write to one place, one after the
    /// other.
    pub(crate) fn passing(n_slots: usize, row: usize) -> Self {
        Self::new(n_slots, 1, row, 0)
    }

    /// Makes room for `tokens` tokens, so that writing them cannot fail.
    pub(crate) fn reserve(&mut self, slot: SlotId, tokens: usize) -> Result<(), TryReserveError> {
        let elements = tokens.max(self.context_tokens) * self.row;
        for planes in &mut self.slots[slot.0 as usize].planes {
            for plane in [&mut planes.keys, &mut planes.values] {
                plane.try_reserve_exact(elements.saturating_sub(plane.len()))?;
            }
        }
        Ok(())
    }

    /// One layer of a slot, cut to `position` tokens, for more to be appended.
    pub(crate) fn at(&mut self, slot: SlotId, layer: usize, position: usize) -> &mut Planes {
        let planes = &mut self.slots[slot.0 as usize].planes;
        let layer = layer % planes.len();
        let planes = &mut planes[layer];
        planes.keys.truncate(position * self.row);
        planes.values.truncate(position * self.row);
        planes
    }

    /// One layer of a slot, to be read.
    pub(crate) fn planes(&self, slot: SlotId, layer: usize) -> &Planes {
        let planes = &self.slots[slot.0 as usize].planes;
        &planes[layer % planes.len()]
    }
}

impl SlotCache for KvCache {
    type Error = RestoreError;

    fn length(&self, slot: SlotId) -> usize {
        self.slots[slot.0 as usize].length
    }

    fn commit(&mut self, slot: SlotId, length: usize) {
        self.slots[slot.0 as usize].length = length;
    }

    fn truncate(&mut self, slot: SlotId, length: usize) {
        let slot = &mut self.slots[slot.0 as usize];
        slot.length = slot.length.min(length);
    }

    fn copy(&mut self, from: SlotId, to: SlotId, length: usize) -> Result<(), RestoreError> {
        if from == to {
            self.truncate(to, length);
            return Ok(());
        }
        self.truncate(to, 0);
        let length = length.min(self.length(from));
        self.reserve(to, length)?;
        let elements = length * self.row;
        let [from, to] = [from.0 as usize, to.0 as usize];
        let Ok([from, to]) = self.slots.get_disjoint_mut([from, to]) else { return Ok(()) };
        for (from, to) in from.planes.iter().zip(&mut to.planes) {
            to.keys.clear();
            to.keys.extend_from_slice(&from.keys[..elements]);
            to.values.clear();
            to.values.extend_from_slice(&from.values[..elements]);
        }
        to.length = length;
        Ok(())
    }

    fn bytes(&self, slot: SlotId) -> u64 {
        let elements = 2 * self.slots[slot.0 as usize].planes.len() * self.length(slot) * self.row;
        (elements * size_of::<f32>()) as u64
    }

    fn save(&self, slot: SlotId, state: &mut Vec<u8>) -> Result<(), RestoreError> {
        let elements = self.length(slot) * self.row;
        state.reserve(self.bytes(slot) as usize);
        for planes in &self.slots[slot.0 as usize].planes {
            for plane in [&planes.keys, &planes.values] {
                for element in &plane[..elements] {
                    state.extend_from_slice(&element.to_le_bytes());
                }
            }
        }
        Ok(())
    }

    fn load(&mut self, slot: SlotId, state: &[u8], length: usize) -> Result<(), RestoreError> {
        self.truncate(slot, 0);
        let elements = length * self.row;
        let (state, rest) = state.as_chunks::<{ size_of::<f32>() }>();
        let planes = 2 * self.slots[slot.0 as usize].planes.len();
        if !rest.is_empty() || elements.checked_mul(planes) != Some(state.len()) {
            return Err(RestoreError::Size);
        }
        self.reserve(slot, length)?;
        let saved = &mut self.slots[slot.0 as usize];
        let planes = saved.planes.iter_mut().flat_map(|planes| [&mut planes.keys, &mut planes.values]);
        for (idx, plane) in planes.enumerate() {
            plane.clear();
            let elements = &state[idx * elements..(idx + 1) * elements];
            plane.extend(elements.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        }
        saved.length = length;
        Ok(())
    }
}

/// Why a slot does not get what it should hold.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    /// The state is not one of so many tokens in this cache.
    #[error("the state has another size than its tokens have here")]
    Size,
    /// There is no memory for it.
    #[error(transparent)]
    Memory(#[from] TryReserveError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(cache: &mut KvCache, slot: SlotId, position: usize, tokens: &[f32]) {
        cache.reserve(slot, position + tokens.len()).unwrap();
        for &token in tokens {
            for layer in 0..2 {
                let at = position + (token as usize % 10);
                let planes = cache.at(slot, layer, at);
                planes.keys.push(token);
                planes.values.push(-token);
            }
        }
        cache.commit(slot, position + tokens.len());
    }

    #[test]
    fn slots_hold_what_they_were_told() {
        let (one, two) = (SlotId(0), SlotId(1));
        let mut cache = KvCache::new(2, 2, 1, 4);
        write(&mut cache, one, 0, &[10.0, 11.0, 12.0]);
        write(&mut cache, two, 0, &[20.0]);
        cache.copy(one, two, 2).unwrap();
        assert_eq!((cache.length(one), cache.length(two)), (3, 2));
        assert_eq!(cache.planes(two, 1).keys, [10.0, 11.0]);
        assert_eq!(cache.planes(two, 1).values, [-10.0, -11.0]);

        cache.truncate(one, 1);
        cache.truncate(one, 5);
        assert_eq!(cache.length(one), 1);
        write(&mut cache, one, 1, &[30.0]);
        assert_eq!(cache.planes(one, 0).keys, [10.0, 30.0]);
        cache.copy(one, one, 9).unwrap();
        cache.copy(one, two, 9).unwrap();
        assert_eq!(cache.length(two), 2, "no more than there is");
    }

    #[test]
    fn a_slot_never_moves_once_it_is_used() {
        let one = SlotId(0);
        let mut cache = KvCache::new(2, 2, 1, 100);
        let places = |cache: &KvCache| [0, 1].map(|layer| cache.planes(one, layer).keys.as_ptr());
        write(&mut cache, one, 0, &[10.0]);
        let before = places(&cache);
        for position in 1..100 {
            write(&mut cache, one, position, &[10.0]);
        }
        assert_eq!((places(&cache), cache.length(one)), (before, 100));
        assert_eq!(cache.planes(SlotId(1), 0).keys.capacity(), 0, "an unused one has nothing");
    }
}

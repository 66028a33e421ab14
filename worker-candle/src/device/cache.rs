//! Keys and values of all slots on a device: for each layer of a slot two tensors, `[heads, room, size]`.

use candle_core::{DType, Device, Error, Result, Tensor};
use impetus_runtime::engine::SlotId;

use crate::engine::SlotCache;

/// Tokens that a slot gets room for at first; later it doubles, up to the context.
const FIRST_ROOM: usize = 256;

/// The KV cache.
pub(crate) struct DeviceCache {
    slots: Vec<Slot>,
    device: Device,
    heads: usize,
    size: usize,
    context_tokens: usize,
}

#[derive(Clone)]
struct Slot {
    /// Tokens that the slot holds; tensors may have more, which are about to be overwritten.
    length: usize,
    layers: Vec<Option<[Tensor; 2]>>,
}

impl DeviceCache {
    /// A cache of empty slots for `n_layers` layers with so many `heads` of the given `size`.
    pub(crate) fn new(
        (n_slots, context_tokens): (usize, usize),
        n_layers: usize,
        (heads, size): (usize, usize),
        device: Device,
    ) -> Self {
        let slot = Slot { length: 0, layers: vec![None; n_layers] };
        Self { slots: vec![slot; n_slots], device, heads, size, context_tokens }
    }

    /// Writes keys and values `[heads, tokens, size]` of one layer at `position`, and gives all up to there.
    pub(super) fn append(
        &mut self,
        (slot, layer): (SlotId, usize),
        position: usize,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let length = position + keys.dim(1)?;
        let room = length.max(FIRST_ROOM).next_power_of_two().min(self.context_tokens.max(length));
        let shape = (self.heads, room, self.size);
        let place = &mut self.slots[slot.0 as usize].layers[layer];
        // What is held stays until all of its successor is there: memory may be short.
        let held = match place.clone() {
            Some(held) if held[0].dim(1)? >= length => held,
            held => {
                let empty = || Tensor::zeros(shape, DType::F32, &self.device);
                let grown = [empty()?, empty()?];
                for (old, new) in held.iter().flatten().zip(&grown) {
                    if position > 0 {
                        new.slice_set(&old.narrow(1, 0, position)?.contiguous()?, 1, 0)?;
                    }
                }
                grown
            }
        };
        held[0].slice_set(keys, 1, position)?;
        held[1].slice_set(values, 1, position)?;
        let all = (held[0].narrow(1, 0, length)?, held[1].narrow(1, 0, length)?);
        *place = Some(held);
        Ok(all)
    }
}

impl SlotCache for DeviceCache {
    type Error = Error;

    fn length(&self, slot: SlotId) -> usize {
        self.slots[slot.0 as usize].length
    }

    fn commit(&mut self, slot: SlotId, length: usize) {
        self.slots[slot.0 as usize].length = length;
    }

    /// Of an empty slot nothing is kept on the device.
    fn truncate(&mut self, slot: SlotId, length: usize) {
        let slot = &mut self.slots[slot.0 as usize];
        slot.length = slot.length.min(length);
        if slot.length == 0 {
            slot.layers.fill(None);
        }
    }

    fn copy(&mut self, from: SlotId, to: SlotId, length: usize) -> Result<()> {
        if from == to {
            self.truncate(to, length);
            return Ok(());
        }
        self.truncate(to, 0);
        let length = length.min(self.length(from));
        if length == 0 {
            return Ok(());
        }
        for layer in 0..self.slots[from.0 as usize].layers.len() {
            let Some([keys, values]) = self.slots[from.0 as usize].layers[layer].clone() else { continue };
            let first = |tensor: &Tensor| tensor.narrow(1, 0, length)?.contiguous();
            let (keys, values) = (first(&keys)?, first(&values)?);
            self.append((to, layer), 0, &keys, &values)?;
        }
        self.commit(to, length);
        Ok(())
    }

    fn bytes(&self, slot: SlotId) -> u64 {
        let per_token = 2 * self.slots[slot.0 as usize].layers.len() * self.heads * self.size;
        (per_token * self.length(slot) * size_of::<f32>()) as u64
    }

    /// In the order that the processor's cache has.
    fn save(&self, slot: SlotId, state: &mut Vec<u8>) -> Result<()> {
        state.reserve(self.bytes(slot) as usize);
        for tensor in self.slots[slot.0 as usize].layers.iter().flatten().flatten() {
            let tokens = tensor.narrow(1, 0, self.length(slot))?.transpose(0, 1)?.flatten_all()?;
            for element in tokens.to_vec1::<f32>()? {
                state.extend_from_slice(&element.to_le_bytes());
            }
        }
        Ok(())
    }

    fn load(&mut self, slot: SlotId, state: &[u8], length: usize) -> Result<()> {
        self.truncate(slot, 0);
        let n_layers = self.slots[slot.0 as usize].layers.len();
        let per_plane = length * self.heads * self.size;
        let expected = per_plane.checked_mul(2 * n_layers * size_of::<f32>());
        if length == 0 || length > self.context_tokens || expected != Some(state.len()) {
            return Err(Error::msg("the state has another size than its tokens have here"));
        }
        let (elements, _) = state.as_chunks::<{ size_of::<f32>() }>();
        let shape = (length, self.heads, self.size);
        for (layer, planes) in elements.chunks_exact(2 * per_plane).enumerate() {
            let plane = |plane: &[[u8; 4]]| {
                let values = plane.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
                Tensor::from_vec(values, shape, &self.device)?.transpose(0, 1)?.contiguous()
            };
            let (keys, values) = (plane(&planes[..per_plane])?, plane(&planes[per_plane..])?);
            self.append((slot, layer), 0, &keys, &values)?;
        }
        self.commit(slot, length);
        Ok(())
    }
}

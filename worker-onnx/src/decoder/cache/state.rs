//! What a slot holds, as bytes that a later process can go on from: for each tensor the elements of the slot's tokens,
//! `[heads, tokens, size]`, little-endian.

use half::{bf16, f16};
use impetus_runtime::engine::SlotId;
use ort::{
    memory::Allocator,
    value::{DynTensor, DynValue, PrimitiveTensorElementType, TensorElementType},
};

use super::{Cache, Group, Row, TensorShape};

/// Why a slot cannot be saved or restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// The state is not one of so many tokens in this cache.
    #[error("the state has another size than its tokens have here")]
    Size,
    /// The library does not give or take a tensor.
    #[error(transparent)]
    Library(#[from] ort::Error),
}

impl TensorShape {
    /// Bytes of `tokens` tokens.
    fn bytes(&self, tokens: usize) -> usize {
        let element = match self.element {
            TensorElementType::Float16 | TensorElementType::Bfloat16 => 2,
            _ => 4,
        };
        self.heads * tokens * self.size * element
    }
}

impl Cache {
    /// Bytes that [`save`](Self::save) appends.
    pub(crate) fn bytes(&self, slot: SlotId) -> u64 {
        let tokens = self.length(slot);
        self.shapes.iter().map(|shape| shape.bytes(tokens) as u64).sum()
    }

    /// Appends what the slot holds.
    pub(crate) fn save(&self, slot: SlotId, state: &mut Vec<u8>) -> Result<(), StateError> {
        let alone = self.lay(&[Row { slot, tokens: self.length(slot) }], &[slot])?;
        state.reserve(self.bytes(slot) as usize);
        for (tensor, shape) in alone.tensors.iter().zip(&self.shapes) {
            match shape.element {
                TensorElementType::Float16 => put(tensor, f16::to_le_bytes, state)?,
                TensorElementType::Bfloat16 => put(tensor, bf16::to_le_bytes, state)?,
                _ => put(tensor, f32::to_le_bytes, state)?,
            }
        }
        Ok(())
    }

    /// Makes the slot hold the `tokens` tokens that were saved as `state`. On an error it holds nothing.
    pub(crate) fn load(&mut self, slot: SlotId, state: &[u8], tokens: usize) -> Result<(), StateError> {
        self.clear(slot);
        let expected: usize = self.shapes.iter().map(|shape| shape.bytes(tokens)).sum();
        if tokens == 0 || state.len() != expected {
            return Err(StateError::Size);
        }
        let mut rest = state;
        let mut tensors = Vec::with_capacity(self.shapes.len());
        for shape in &self.shapes {
            let (bytes, later) = rest.split_at(shape.bytes(tokens));
            rest = later;
            let to = [1, shape.heads, tokens, shape.size];
            tensors.push(match shape.element {
                TensorElementType::Float16 => take(bytes, f16::from_le_bytes, shape.element, to)?,
                TensorElementType::Bfloat16 => take(bytes, bf16::from_le_bytes, shape.element, to)?,
                _ => take(bytes, f32::from_le_bytes, shape.element, to)?,
            });
        }
        self.keep(Group { rows: vec![Some(Row { slot, tokens })], columns: tokens, tensors });
        Ok(())
    }
}

fn put<T: PrimitiveTensorElementType + Copy, const N: usize>(
    tensor: &DynValue,
    bytes: fn(T) -> [u8; N],
    state: &mut Vec<u8>,
) -> Result<(), StateError> {
    let (_, elements) = tensor.try_extract_tensor::<T>()?;
    for &element in elements {
        state.extend_from_slice(&bytes(element));
    }
    Ok(())
}

fn take<T: PrimitiveTensorElementType + Copy, const N: usize>(
    bytes: &[u8],
    element: fn([u8; N]) -> T,
    kind: TensorElementType,
    shape: [usize; 4],
) -> Result<DynValue, StateError> {
    let mut tensor = DynTensor::new(&Allocator::default(), kind, shape)?;
    let (_, elements) = tensor.try_extract_tensor_mut::<T>()?;
    for (to, &from) in elements.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *to = element(from);
    }
    Ok(tensor.into_dyn())
}

//! Products in F32 over plain slices, for the processor. Few rows and many rows have a kernel each. With few, a
//! row's result depends on that row alone; with many, on nothing beside the rows of the same call. The number of
//! threads changes no result.

mod block;
#[allow(clippy::inline_always)] // a body takes its caller's instruction set only where it is inlined
mod dispatch;
#[allow(clippy::inline_always)]
mod element;
mod narrow;
mod wide;

pub(crate) use block::{Strided, products};
pub(crate) use dispatch::mix;
pub(crate) use element::{gelu_erf, gelu_tanh, silu, soften};
pub(crate) use narrow::multiply_narrow;
pub(crate) use wide::{Matrix, multiply_into, multiply_wide};

use half::{bf16, f16, slice::HalfFloatSliceExt};
use rayon::prelude::*;

/// Multiplications under which a product is not worth a second thread.
pub(crate) const PARALLEL_MULTIPLICATIONS: usize = 1 << 17;

/// Elements that a thread converts at a time.
const ELEMENTS_PER_TASK: usize = 1 << 16;

/// The rows of a weight matrix, as the file has them.
#[derive(Clone, Copy)]
pub(crate) enum WeightRows<'a> {
    F32(&'a [f32]),
    F16(&'a [f16]),
    Bf16(&'a [bf16]),
}

impl<'a> WeightRows<'a> {
    /// Elements `start..end` in F32; `scratch` is used where they have to be converted, which is exact.
    pub(crate) fn widened<'b>(self, start: usize, end: usize, scratch: &'b mut Vec<f32>) -> &'b [f32]
    where
        'a: 'b,
    {
        if let Self::F32(values) = self {
            return &values[start..end];
        }
        scratch.resize(end - start, 0.0);
        self.widen(start, scratch);
        scratch
    }

    /// The same by all threads, for many elements.
    fn widened_by_all<'b>(self, start: usize, end: usize, scratch: &'b mut Vec<f32>) -> &'b [f32]
    where
        'a: 'b,
    {
        if let Self::F32(values) = self {
            return &values[start..end];
        }
        scratch.resize(end - start, 0.0);
        let pieces = scratch.par_chunks_mut(ELEMENTS_PER_TASK).enumerate();
        pieces.for_each(|(idx, piece)| self.widen(start + idx * ELEMENTS_PER_TASK, piece));
        scratch
    }

    /// Fills `target` with the elements from `start` on.
    fn widen(self, start: usize, target: &mut [f32]) {
        let end = start + target.len();
        match self {
            Self::F32(values) => target.copy_from_slice(&values[start..end]),
            Self::F16(values) => values[start..end].convert_to_f32_slice(target),
            Self::Bf16(values) => dispatch::widen(&values[start..end], target),
        }
    }
}

#[cfg(test)]
mod tests;

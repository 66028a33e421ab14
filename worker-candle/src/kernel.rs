//! Products in F32 over plain slices, for the processor. A row's result depends on that row alone; the number of
//! threads changes no result.

mod block;
#[allow(clippy::inline_always)] // a body takes its caller's instruction set only where it is inlined
mod dispatch;
#[allow(clippy::inline_always)]
mod element;
mod matrix;
mod packed;
mod product;
mod tile;

pub(crate) use block::{Strided, products};
pub(crate) use dispatch::mix;
pub(crate) use element::{gelu_erf, gelu_tanh, silu, soften};
pub(crate) use matrix::{Matrix, multiply_into};
pub(crate) use packed::Packed;
pub(crate) use product::multiply;

use half::{bf16, f16, slice::HalfFloatSliceExt};

/// Multiplications under which a product is not worth a second thread.
pub(crate) const PARALLEL_MULTIPLICATIONS: usize = 1 << 17;

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

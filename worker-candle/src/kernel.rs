//! Products in F32 over plain slices, for the processor. Few rows and many rows have a kernel each. With few, a
//! row's result depends on that row alone; with many, on nothing beside the rows of the same call. The number of
//! threads changes no result.

#[allow(clippy::inline_always)] // a body takes its caller's instruction set only where it is inlined
mod dispatch;
#[allow(clippy::inline_always)]
mod element;
mod narrow;
mod wide;

pub(crate) use dispatch::{dots, mix, score};
pub(crate) use element::{gelu_erf, gelu_tanh, silu, soften};
pub(crate) use narrow::multiply_narrow;
pub(crate) use wide::{Matrix, multiply_into, multiply_wide};

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
        match self {
            Self::F32(values) => &values[start..end],
            Self::F16(values) => {
                scratch.resize(end - start, 0.0);
                values[start..end].convert_to_f32_slice(scratch);
                scratch
            }
            Self::Bf16(values) => {
                scratch.resize(end - start, 0.0);
                dispatch::widen(&values[start..end], scratch);
                scratch
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! Products with few rows, as decoding has them: each weight is read once, and memory is what limits.

use rayon::prelude::*;

use super::{PARALLEL_MULTIPLICATIONS, Strided, WeightRows, products};

/// Weight rows that a thread takes at a time.
const ROWS_PER_TASK: usize = 32;
/// Weight rows that are converted to F32 at a time, so that they stay in the cache until they are used.
const ROWS_AT_ONCE: usize = 8;

/// `inputs` (rows of `depth`) times the transposed weight (rows of `depth`), into `outputs` (rows as wide as the
/// weight has rows).
pub(crate) fn multiply_narrow(weight: WeightRows, depth: usize, inputs: &[f32], outputs: &mut [f32]) {
    let n_inputs = inputs.len() / depth;
    if n_inputs == 0 {
        return;
    }
    let width = outputs.len() / n_inputs;
    if n_inputs == 1 {
        by_weight_rows(weight, depth, inputs, outputs);
        return;
    }
    // The products of one weight row lie together while they are computed.
    let mut transposed = vec![0.0; outputs.len()];
    by_weight_rows(weight, depth, inputs, &mut transposed);
    for (input, output) in outputs.chunks_exact_mut(width).enumerate() {
        for (value, column) in output.iter_mut().zip(transposed.chunks_exact(n_inputs)) {
            *value = column[input];
        }
    }
}

/// Weight row by weight row: the products of all inputs with it.
fn by_weight_rows(weight: WeightRows, depth: usize, inputs: &[f32], outputs: &mut [f32]) {
    let n_inputs = inputs.len() / depth;
    let task = |scratch: &mut Vec<f32>, (first, outputs): (usize, &mut [f32])| {
        for (idx, outputs) in outputs.chunks_mut(ROWS_AT_ONCE * n_inputs).enumerate() {
            let start = (first * ROWS_PER_TASK + idx * ROWS_AT_ONCE) * depth;
            let end = start + outputs.len() / n_inputs * depth;
            products(Strided::dense(weight.widened(start, end, scratch), depth), inputs, outputs);
        }
    };
    let multiplications = outputs.len() * depth;
    let tasks = ROWS_PER_TASK * n_inputs;
    if multiplications < PARALLEL_MULTIPLICATIONS {
        let mut scratch = Vec::new();
        outputs.chunks_mut(tasks).enumerate().for_each(|part| task(&mut scratch, part));
    } else {
        outputs.par_chunks_mut(tasks).enumerate().for_each_init(Vec::new, task);
    }
}

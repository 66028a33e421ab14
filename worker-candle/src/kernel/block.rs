//! Dot products of several rows with several inputs, so that what is read is used more than once. The order in which
//! a product's terms are added depends on nothing but its length.

use super::dispatch::dot;

/// Rows of numbers, `depth` long and `stride` apart; there may be fewer than `stride` behind the last.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) depth: usize,
    pub(crate) stride: usize,
}

/// The dot products of rows with each of `inputs`, which lie one behind the other, as many of the rows as `outputs`
/// has room for. Those of one row lie together.
pub(crate) fn products(rows: Strided, inputs: &[f32], outputs: &mut [f32]) {
    let n_inputs = inputs.len() / rows.depth;
    if n_inputs == 0 || outputs.is_empty() {
        return;
    }
    let n_rows = outputs.len() / n_inputs;
    assert!((n_rows - 1) * rows.stride + rows.depth <= rows.values.len(), "the rows lie in their slice");
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has what the function was compiled for.
        return unsafe { avx::products(rows, inputs, outputs) };
    }
    for (idx, outputs) in outputs.chunks_exact_mut(n_inputs).enumerate() {
        for (input, output) in inputs.chunks_exact(rows.depth).zip(outputs) {
            *output = dot::<{ cfg!(target_arch = "aarch64") }>(rows.row(idx), input);
        }
    }
}

impl<'a> Strided<'a> {
    /// Rows that lie one behind the other.
    pub(crate) fn dense(values: &'a [f32], depth: usize) -> Self {
        Self { values, depth, stride: depth }
    }

    fn row(&self, idx: usize) -> &'a [f32] {
        &self.values[idx * self.stride..][..self.depth]
    }
}

#[cfg(target_arch = "x86_64")]
mod avx {
    use std::arch::x86_64::{__m256, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps, _mm256_storeu_ps};

    use super::{super::dispatch::LANES, Strided};

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn products(rows: Strided, inputs: &[f32], outputs: &mut [f32]) {
        let n_inputs = inputs.len() / rows.depth;
        // Some eight sums at a time keep the processor's adders busy, and fit its registers.
        let per_block = if n_inputs == 1 { 8 } else { 2 };
        for (idx, outputs) in outputs.chunks_mut(per_block * n_inputs).enumerate() {
            let below = Strided { values: &rows.values[idx * per_block * rows.stride..], ..rows };
            match outputs.len() / n_inputs {
                8 => of_rows::<8>(below, inputs, outputs),
                2 => of_rows::<2>(below, inputs, outputs),
                _ => {
                    for (idx, outputs) in outputs.chunks_exact_mut(n_inputs).enumerate() {
                        of_rows::<1>(Strided::dense(below.row(idx), rows.depth), inputs, outputs);
                    }
                }
            }
        }
    }

    /// The products of the first `ROWS` rows with all inputs.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn of_rows<const ROWS: usize>(rows: Strided, inputs: &[f32], outputs: &mut [f32]) {
        let n_inputs = inputs.len() / rows.depth;
        let mut first = 0;
        while first < n_inputs {
            let (inputs, outputs) = (&inputs[first * rows.depth..], &mut outputs[first..]);
            first += match n_inputs - first {
                1 => block::<ROWS, 1>(rows, inputs, outputs, n_inputs),
                2 => block::<ROWS, 2>(rows, inputs, outputs, n_inputs),
                3 | 5 | 6 => block::<ROWS, 3>(rows, inputs, outputs, n_inputs),
                _ => block::<ROWS, 4>(rows, inputs, outputs, n_inputs),
            };
        }
    }

    /// The products of the first `ROWS` rows with the first `COLUMNS` inputs, whose number it returns. Those of a row
    /// begin `stride` behind those of the former.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn block<const ROWS: usize, const COLUMNS: usize>(
        rows: Strided,
        inputs: &[f32],
        outputs: &mut [f32],
        stride: usize,
    ) -> usize {
        let depth = rows.depth;
        let rows: [&[f32]; ROWS] = std::array::from_fn(|row| rows.row(row));
        let inputs: [&[f32]; COLUMNS] = std::array::from_fn(|column| &inputs[column * depth..][..depth]);
        let whole = depth - depth % LANES;
        let mut sums = [[_mm256_setzero_ps(); COLUMNS]; ROWS];
        for at in (0..whole).step_by(LANES) {
            // SAFETY: all rows and inputs are `depth` long, and a register of elements from `at` on ends before that.
            let load = |row: &[f32]| unsafe { _mm256_loadu_ps(row.as_ptr().add(at)) };
            let inputs: [__m256; COLUMNS] = inputs.map(load);
            for (row, sums) in rows.iter().zip(&mut sums) {
                let row = load(row);
                for (sum, input) in sums.iter_mut().zip(inputs) {
                    *sum = _mm256_fmadd_ps(row, input, *sum);
                }
            }
        }
        for (idx, (row, sums)) in rows.iter().zip(&sums).enumerate() {
            for (column, (input, sum)) in inputs.iter().zip(sums).enumerate() {
                let rest = row[whole..].iter().zip(&input[whole..]);
                outputs[idx * stride + column] = rest.fold(total(*sum), |sum, (&a, &b)| a.mul_add(b, sum));
            }
        }
        COLUMNS
    }

    /// The sum of a register's elements, in halves.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn total(sum: __m256) -> f32 {
        let mut lanes = [0.0; LANES];
        // SAFETY: the array has room for a register.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), sum) };
        let [first, second] = [&lanes[..4], &lanes[4..]];
        let halved: [f32; 4] = std::array::from_fn(|lane| first[lane] + second[lane]);
        (halved[0] + halved[2]) + (halved[1] + halved[3])
    }
}

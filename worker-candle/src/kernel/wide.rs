//! Products with many rows, as prefill has them: blocked, and arithmetic is what limits.

use std::cell::RefCell;

use super::{PARALLEL_MULTIPLICATIONS, WeightRows};

/// Elements of a weight that are converted to F32 at a time.
const BAND_ELEMENTS: usize = 1 << 20;

/// A matrix in a slice: element (row, column) lies at `row * row_stride + column * column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl Matrix<'_> {
    fn reaches(&self, rows: usize, columns: usize) -> usize {
        (rows - 1) * self.row_stride + (columns - 1) * self.column_stride
    }
}

/// `inputs` (rows of `depth`) times the transposed weight (rows of `depth`), into `outputs` (rows as wide as the
/// weight has rows).
pub(crate) fn multiply_wide(weight: WeightRows, depth: usize, inputs: &[f32], outputs: &mut [f32]) {
    thread_local! {
        static BAND: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    let n_inputs = inputs.len() / depth;
    if n_inputs == 0 {
        return;
    }
    let width = outputs.len() / n_inputs;
    let band = match weight {
        WeightRows::F32(_) => width,
        WeightRows::F16(_) | WeightRows::Bf16(_) => (BAND_ELEMENTS / depth).clamp(1, width),
    };
    let left = Matrix { values: inputs, row_stride: depth, column_stride: 1 };
    BAND.with_borrow_mut(|scratch| {
        for first in (0..width).step_by(band) {
            let rows = band.min(width - first);
            let values = weight.widened_by_all(first * depth, (first + rows) * depth, scratch);
            let right = Matrix { values, row_stride: 1, column_stride: depth };
            let shape = [n_inputs, rows, depth];
            multiply_into(left, right, shape, &mut outputs[first..], width, threads(shape));
        }
    });
}

/// Threads that a product is worth.
fn threads([rows, columns, depth]: [usize; 3]) -> gemm::Parallelism {
    if rows * columns * depth < PARALLEL_MULTIPLICATIONS {
        gemm::Parallelism::None
    } else {
        gemm::Parallelism::Rayon(rayon::current_num_threads())
    }
}

/// The product of two matrices of the shape rows × depth and depth × columns, into rows that lie `stride` apart.
pub(crate) fn multiply_into(
    left: Matrix,
    right: Matrix,
    [rows, columns, depth]: [usize; 3],
    outputs: &mut [f32],
    stride: usize,
    parallelism: gemm::Parallelism,
) {
    if rows == 0 || columns == 0 || depth == 0 {
        return;
    }
    assert!(left.reaches(rows, depth) < left.values.len(), "the left matrix lies in its slice");
    assert!(right.reaches(depth, columns) < right.values.len(), "the right matrix lies in its slice");
    assert!((rows - 1) * stride + columns <= outputs.len(), "the product fits its slice");
    assert!(stride >= columns, "the product's rows do not overlap");
    // SAFETY: the three assertions above hold every element that is read or written in its slice, and the slice
    // that is written is borrowed for this call alone.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            depth,
            outputs.as_mut_ptr(),
            1,
            stride as isize,
            false,
            left.values.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.values.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

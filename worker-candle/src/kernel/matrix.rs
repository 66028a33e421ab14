//! Products of two matrices that lie in any order, on the calling thread: what attention needs.

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

/// The product of two matrices of the shape rows × depth and depth × columns, into rows that lie `stride` apart.
pub(crate) fn multiply_into(
    left: Matrix,
    right: Matrix,
    [rows, columns, depth]: [usize; 3],
    outputs: &mut [f32],
    stride: usize,
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
            gemm::Parallelism::None,
        );
    }
}

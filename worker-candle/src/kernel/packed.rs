//! A weight matrix as products read it: in panels of sixteen rows, a panel's elements column by column, so that one
//! element of an input meets sixteen rows at once. Elements stay in the file's type.

use half::{bf16, f16};

use super::WeightRows;

/// Rows of a panel.
pub(crate) const PANEL_ROWS: usize = 16;

/// Columns that are packed at a time, for the processor's cache.
const COLUMNS_AT_ONCE: usize = 64;

/// A matrix of `rows` × `depth` in panels; rows that the last one lacks are zeros.
pub(crate) struct Packed {
    pub(super) elements: Elements,
    rows: usize,
    depth: usize,
}

/// Elements in one of the types that files have.
pub(super) enum Elements {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
}

impl Packed {
    /// The rows of a matrix, one behind the other and `depth` long.
    pub(crate) fn of(rows: WeightRows, depth: usize) -> Self {
        let depth = depth.max(1);
        let (elements, count) = match rows {
            WeightRows::F32(values) => (Elements::F32(packed(values, depth)), values.len()),
            WeightRows::F16(values) => (Elements::F16(packed(values, depth)), values.len()),
            WeightRows::Bf16(values) => (Elements::Bf16(packed(values, depth)), values.len()),
        };
        Self { elements, rows: count / depth, depth }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Bytes of the rows, as the file has them.
    pub(crate) fn bytes(&self) -> u64 {
        let size = match self.elements {
            Elements::F32(_) => size_of::<f32>(),
            Elements::F16(_) | Elements::Bf16(_) => size_of::<f16>(),
        };
        (self.rows * self.depth * size) as u64
    }

    /// Appends row `idx` in F32.
    pub(crate) fn append_row(&self, idx: usize, target: &mut Vec<f32>) {
        let start = idx / PANEL_ROWS * PANEL_ROWS * self.depth + idx % PANEL_ROWS;
        let end = start + (self.depth - 1) * PANEL_ROWS + 1;
        match &self.elements {
            Elements::F32(values) => target.extend(values[start..end].iter().step_by(PANEL_ROWS)),
            Elements::F16(values) => {
                target.extend(values[start..end].iter().step_by(PANEL_ROWS).map(|value| value.to_f32()));
            }
            Elements::Bf16(values) => {
                target.extend(values[start..end].iter().step_by(PANEL_ROWS).map(|value| value.to_f32()));
            }
        }
    }
}

fn packed<T: Copy + Default>(values: &[T], depth: usize) -> Vec<T> {
    let rows = values.len() / depth;
    let mut packed = vec![T::default(); rows.next_multiple_of(PANEL_ROWS) * depth];
    let panels = values.chunks(PANEL_ROWS * depth).zip(packed.chunks_exact_mut(PANEL_ROWS * depth));
    for (rows, panel) in panels {
        for first in (0..depth).step_by(COLUMNS_AT_ONCE) {
            let columns = first..depth.min(first + COLUMNS_AT_ONCE);
            for (lane, row) in rows.chunks_exact(depth).enumerate() {
                let places = panel[first * PANEL_ROWS..].iter_mut().skip(lane).step_by(PANEL_ROWS);
                places.zip(&row[columns.clone()]).for_each(|(place, &value)| *place = value);
            }
        }
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_out_as_they_went_in() {
        let check = |rows: usize, depth: usize| {
            let values: Vec<f32> = (0..rows * depth).map(|n| n as f32 / 8.0).collect();
            let halves: Vec<f16> = values.iter().map(|&x| f16::from_f32(x)).collect();
            let brains: Vec<bf16> = values.iter().map(|&x| bf16::from_f32(x)).collect();
            for source in [WeightRows::F32(&values), WeightRows::F16(&halves), WeightRows::Bf16(&brains)] {
                let packed = Packed::of(source, depth);
                assert_eq!((packed.rows(), packed.depth()), (rows, depth));
                let mut found = Vec::new();
                (0..rows).for_each(|idx| packed.append_row(idx, &mut found));
                let mut scratch = Vec::new();
                assert_eq!(found, source.widened(0, rows * depth, &mut scratch), "{rows} x {depth}");
            }
        };
        for rows in [1, 15, 16, 17, 40] {
            for depth in [1, 7, 65, 200] {
                check(rows, depth);
            }
        }
    }
}

//! Products of inputs with a packed weight, of one row or of many.
//!
//! An output is the sum of its blocks of the depth, in order, and a block's sum is one chain: what comes out for a
//! row depends on the row and the weight alone, to the last bit, however many rows come along and whichever thread
//! computes it.

use super::{
    PARALLEL_MULTIPLICATIONS,
    packed::{Elements, PANEL_ROWS, Packed},
    tile::{Element, Sums, TILE_ROWS, Tile, panels_of, sums},
};
use crate::team;

/// Elements of the depth that are multiplied at a time: a block of a panel and those of the inputs stay in the first
/// cache.
const BLOCK: usize = 256;
/// Rows of inputs whose blocks stay in the second cache while panels pass.
const ROWS_AT_ONCE: usize = 192;
/// Tasks for each thread, so that they end together though one of them is slower.
const TASKS_PER_THREAD: usize = 4;

/// Where the outputs of a product go; each task has panels of its own.
#[derive(Clone, Copy)]
struct Outputs {
    values: *mut f32,
    n_rows: usize,
    width: usize,
}

// SAFETY: threads write to panels of their own alone.
unsafe impl Send for Outputs {}
// SAFETY: as above.
unsafe impl Sync for Outputs {}

/// The inputs of a product: as they are, or cut into blocks of the depth where there are many rows.
#[derive(Clone, Copy)]
struct Inputs<'a> {
    values: &'a [f32],
    n_rows: usize,
    depth: usize,
    is_blocked: bool,
}

impl<'a> Inputs<'a> {
    /// A row's block that begins at `first`, what follows it, and how far the next row's is.
    fn block(&self, row: usize, first: usize, depth: usize) -> (&'a [f32], usize) {
        if self.is_blocked {
            (&self.values[first * self.n_rows + row * depth..], depth)
        } else {
            (&self.values[row * self.depth + first..], self.depth)
        }
    }
}

impl Outputs {
    /// The outputs of a row that the panel gives.
    ///
    /// # Safety
    /// Nobody else may use those of the same panel meanwhile.
    unsafe fn of<'a>(self, row: usize, panel: usize) -> &'a mut [f32] {
        let first = panel * PANEL_ROWS;
        assert!(row < self.n_rows && first < self.width, "the output has such a place");
        let length = PANEL_ROWS.min(self.width - first);
        // SAFETY: the place and the length are within the slice that this was made of, which is borrowed for the
        // call that made it; that nobody else uses it is the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.values.add(row * self.width + first), length) }
    }
}

/// `inputs` (rows as long as the weight is deep) times the transposed weight, into `outputs` (rows as wide as the
/// weight has rows).
pub(crate) fn multiply(weight: &Packed, inputs: &[f32], outputs: &mut [f32]) {
    let (depth, width) = (weight.depth(), weight.rows());
    let n_rows = inputs.len() / depth;
    assert_eq!(outputs.len(), n_rows * width, "there is room for the outputs");
    if outputs.is_empty() {
        return;
    }
    let is_parallel = outputs.len() * depth >= PARALLEL_MULTIPLICATIONS;
    let blocked = (n_rows > TILE_ROWS && depth > BLOCK).then(|| blocked(inputs, depth));
    let inputs =
        Inputs { values: blocked.as_deref().unwrap_or(inputs), n_rows, depth, is_blocked: blocked.is_some() };
    let outputs = Outputs { values: outputs.as_mut_ptr(), n_rows, width };
    match &weight.elements {
        Elements::F32(elements) => by_panels(elements, inputs, outputs, is_parallel),
        Elements::F16(elements) => by_panels(elements, inputs, outputs, is_parallel),
        Elements::Bf16(elements) => by_panels(elements, inputs, outputs, is_parallel),
    }
}

/// The rows' first blocks one behind the other, then their second ones and so on: long rows often lie apart by a
/// power of two, and would drive each other out of the caches.
fn blocked(inputs: &[f32], depth: usize) -> Vec<f32> {
    let n_rows = inputs.len() / depth;
    let mut blocked = Vec::with_capacity(inputs.len());
    for first in (0..depth).step_by(BLOCK) {
        let end = depth.min(first + BLOCK);
        for row in 0..n_rows {
            blocked.extend_from_slice(&inputs[row * depth + first..row * depth + end]);
        }
    }
    blocked
}

fn by_panels<T: Element>(weight: &[T], inputs: Inputs, outputs: Outputs, is_parallel: bool) {
    let n_panels = outputs.width.div_ceil(PANEL_ROWS);
    let at_once = panels_of(inputs.n_rows);
    let n_tasks = if is_parallel { team::threads() * TASKS_PER_THREAD } else { 1 };
    let per_task = n_panels.div_ceil(n_tasks).next_multiple_of(at_once);
    team::run(n_panels.div_ceil(per_task), |idx| {
        let panels = idx * per_task..n_panels.min((idx + 1) * per_task);
        for first_row in (0..inputs.n_rows).step_by(ROWS_AT_ONCE) {
            let rows = first_row..inputs.n_rows.min(first_row + ROWS_AT_ONCE);
            for first in (0..inputs.depth).step_by(BLOCK) {
                for panel in panels.clone().step_by(at_once) {
                    let panels = panel..panels.end.min(panel + at_once);
                    one_block(weight, inputs, outputs, (rows.clone(), panels, first));
                }
            }
        }
    });
}

/// Adds the block of the depth that begins at `first` to the outputs of some rows and panels; the first one is put
/// there.
fn one_block<T: Element>(
    weight: &[T],
    inputs: Inputs,
    outputs: Outputs,
    (rows, panels, first): (std::ops::Range<usize>, std::ops::Range<usize>, usize),
) {
    let depth = BLOCK.min(inputs.depth - first);
    let panel_stride = inputs.depth * PANEL_ROWS;
    let mut tile_sums = Sums::default();
    // Tiles of about as many rows each: a rest of one would take as long as four.
    let at_once = rows.len().div_ceil(rows.len().div_ceil(TILE_ROWS));
    for row in rows.clone().step_by(at_once) {
        let n_rows = at_once.min(rows.end - row);
        let (values, input_stride) = inputs.block(row, first, depth);
        let tile = Tile {
            weight: &weight[panels.start * panel_stride + first * PANEL_ROWS..],
            panel_stride,
            inputs: values,
            input_stride,
            depth,
        };
        sums(tile, n_rows, panels.len(), &mut tile_sums);
        for (idx, sums) in tile_sums.iter().enumerate().take(n_rows * panels.len()) {
            let (row, panel) = (row + idx / panels.len(), panels.start + idx % panels.len());
            // SAFETY: this task alone writes to its panels, and holds no other borrow of them.
            let output = unsafe { outputs.of(row, panel) };
            // A whole panel has a length that the compiler knows.
            match <&mut [f32; PANEL_ROWS]>::try_from(&mut *output) {
                Ok(output) if first == 0 => *output = *sums,
                Ok(output) => add(output, sums),
                Err(_) if first == 0 => output.copy_from_slice(&sums[..output.len()]),
                Err(_) => add(output, sums),
            }
        }
    }
}

#[inline]
fn add(outputs: &mut [f32], sums: &[f32; PANEL_ROWS]) {
    outputs.iter_mut().zip(sums).for_each(|(output, sum)| *output += sum);
}

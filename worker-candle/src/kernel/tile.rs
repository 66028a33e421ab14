//! The innermost product: some rows of inputs with some panels of a weight. Each sum is one chain of fused
//! multiplications and additions along the depth, in the same order whatever tile it is computed in.

use half::{bf16, f16};

use super::{dispatch::multiply_add, packed::PANEL_ROWS};

/// Rows of inputs that a tile has at most.
pub(super) const TILE_ROWS: usize = 6;
/// Sums of a tile at most, in panels.
const TILE_SUMS: usize = 6;

/// The sums of a tile: for each row those of its panels.
pub(super) type Sums = [[f32; PANEL_ROWS]; TILE_SUMS];

/// Some of the depth of a tile.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a, T> {
    /// Of the first panel, from the first element on; other panels are `panel_stride` further.
    pub(super) weight: &'a [T],
    pub(super) panel_stride: usize,
    /// Rows, `input_stride` apart.
    pub(super) inputs: &'a [f32],
    pub(super) input_stride: usize,
    /// Elements of a row that are multiplied.
    pub(super) depth: usize,
}

/// A type of weights that can be loaded as F32.
pub(super) trait Element: Copy + Send + Sync {
    fn to_f32(self) -> f32;

    /// Eight elements from `place` on.
    ///
    /// # Safety
    /// They must lie in one allocation, and the processor must have AVX2, FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    unsafe fn load(place: *const Self) -> std::arch::x86_64::__m256;
}

impl Element for f32 {
    fn to_f32(self) -> f32 {
        self
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(place: *const Self) -> std::arch::x86_64::__m256 {
        // SAFETY: the caller's promise.
        unsafe { std::arch::x86_64::_mm256_loadu_ps(place) }
    }
}

impl Element for f16 {
    fn to_f32(self) -> f32 {
        Self::to_f32(self)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(place: *const Self) -> std::arch::x86_64::__m256 {
        use std::arch::x86_64::{_mm_loadu_si128, _mm256_cvtph_ps};
        // SAFETY: the caller's promise; the type is sixteen bits.
        _mm256_cvtph_ps(unsafe { _mm_loadu_si128(place.cast()) })
    }
}

impl Element for bf16 {
    fn to_f32(self) -> f32 {
        Self::to_f32(self)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(place: *const Self) -> std::arch::x86_64::__m256 {
        use std::arch::x86_64::{
            _mm_loadu_si128, _mm256_castsi256_ps, _mm256_cvtepu16_epi32, _mm256_slli_epi32,
        };
        // SAFETY: the caller's promise; the type is sixteen bits, the upper half of an F32.
        let halves = _mm256_cvtepu16_epi32(unsafe { _mm_loadu_si128(place.cast()) });
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(halves))
    }
}

/// Panels that are computed together with `rows` rows, so that there are enough sums to keep the processor busy.
pub(super) const fn panels_of(rows: usize) -> usize {
    match rows {
        1 => 4,
        2 => 3,
        3 => 2,
        _ => 1,
    }
}

/// The sums of `rows` rows with `panels` panels, those of one row behind each other.
pub(super) fn sums<T: Element>(tile: Tile<T>, rows: usize, panels: usize, sums: &mut Sums) {
    assert!(rows * panels <= TILE_SUMS && tile.depth > 0, "a tile has room for its sums");
    let (last_row, last_panel) = ((rows - 1) * tile.input_stride, (panels - 1) * tile.panel_stride);
    assert!(last_row + tile.depth <= tile.inputs.len(), "the inputs lie in their slice");
    assert!(last_panel + tile.depth * PANEL_ROWS <= tile.weight.len(), "the panels lie in their slice");
    #[cfg(target_arch = "x86_64")]
    if avx::is_there() {
        // SAFETY: the processor has what the functions were compiled for, and the assertions above hold every
        // element that is read in its slice.
        unsafe {
            match (rows, panels) {
                (1, 1) => avx::sums::<T, 1, 1>(tile, sums),
                (1, 2) => avx::sums::<T, 1, 2>(tile, sums),
                (1, 3) => avx::sums::<T, 1, 3>(tile, sums),
                (1, 4) => avx::sums::<T, 1, 4>(tile, sums),
                (2, 1) => avx::sums::<T, 2, 1>(tile, sums),
                (2, 2) => avx::sums::<T, 2, 2>(tile, sums),
                (2, 3) => avx::sums::<T, 2, 3>(tile, sums),
                (3, 1) => avx::sums::<T, 3, 1>(tile, sums),
                (3, 2) => avx::sums::<T, 3, 2>(tile, sums),
                (4, 1) => avx::sums::<T, 4, 1>(tile, sums),
                (5, 1) => avx::sums::<T, 5, 1>(tile, sums),
                (6, 1) => avx::sums::<T, 6, 1>(tile, sums),
                _ => unreachable!("no tile has {rows} rows and {panels} panels"),
            }
        }
        return;
    }
    for (idx, sum) in sums.iter_mut().enumerate().take(rows * panels) {
        let inputs = &tile.inputs[idx / panels * tile.input_stride..][..tile.depth];
        let (weights, _) = tile.weight[idx % panels * tile.panel_stride..].as_chunks::<PANEL_ROWS>();
        *sum = [0.0; PANEL_ROWS];
        for (&input, weights) in inputs.iter().zip(weights) {
            for (sum, &weight) in sum.iter_mut().zip(weights) {
                *sum = multiply_add::<{ cfg!(target_arch = "aarch64") }>(input, weight.to_f32(), *sum);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(clippy::needless_range_loop)] // iterators over arrays of registers are unrolled too late to stay in these
mod avx {
    use std::arch::x86_64::{_mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_setzero_ps, _mm256_storeu_ps};

    use super::{Element, PANEL_ROWS, Tile};

    /// Elements of a register.
    const LANES: usize = 8;

    pub(super) fn is_there() -> bool {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
    }

    /// The sums of `ROWS` rows with `PANELS` panels.
    ///
    /// # Safety
    /// The tile's slices must hold so many rows and panels of its depth.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) unsafe fn sums<T: Element, const ROWS: usize, const PANELS: usize>(
        tile: Tile<T>,
        sums: &mut [[f32; PANEL_ROWS]],
    ) {
        // Arithmetic that may overflow stays out of the loop: its checks would have all sums in memory.
        // SAFETY: the tile holds so many rows and panels.
        let inputs: [_; ROWS] =
            std::array::from_fn(|row| unsafe { tile.inputs.as_ptr().add(row * tile.input_stride) });
        // SAFETY: as above.
        let mut weights: [_; PANELS] =
            std::array::from_fn(|panel| unsafe { tile.weight.as_ptr().add(panel * tile.panel_stride) });
        let mut registers = [[[_mm256_setzero_ps(); 2]; PANELS]; ROWS];
        for at in 0..tile.depth {
            // SAFETY: a panel has sixteen elements for each of the depth; behind the last of them it ends.
            let halves = weights.map(|weight| unsafe { [T::load(weight), T::load(weight.add(LANES))] });
            // SAFETY: as above.
            weights = weights.map(|weight| unsafe { weight.add(PANEL_ROWS) });
            for row in 0..ROWS {
                // SAFETY: the row is as long as the depth.
                let input = unsafe { _mm256_broadcast_ss(&*inputs[row].add(at)) };
                for panel in 0..PANELS {
                    let [low, high] = registers[row][panel];
                    registers[row][panel] = [
                        _mm256_fmadd_ps(input, halves[panel][0], low),
                        _mm256_fmadd_ps(input, halves[panel][1], high),
                    ];
                }
            }
        }
        assert!(ROWS * PANELS <= sums.len(), "there is room for the sums");
        // Indices that the compiler knows, for the same reason.
        for row in 0..ROWS {
            for panel in 0..PANELS {
                let sum = sums[row * PANELS + panel].as_mut_ptr();
                let [low, high] = registers[row][panel];
                // SAFETY: a panel's sums are two registers.
                unsafe {
                    _mm256_storeu_ps(sum, low);
                    _mm256_storeu_ps(sum.add(LANES), high);
                }
            }
        }
    }
}

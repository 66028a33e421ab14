//! The innermost loops, compiled once for any processor and once for those with AVX2 and FMA, chosen when they run.

use half::bf16;

/// Independent sums of a dot product: enough to hide the latency of a fused multiplication and addition.
const SUMS: usize = 4;
/// Elements of a vector register.
pub(super) const LANES: usize = 8;

/// Defines `$name`, which calls `$body` compiled for what the processor can do.
macro_rules! dispatched {
    ($(#[$doc:meta])* $name:ident, $body:ident, ($($arg:ident: $type:ty),*) $(-> $result:ty)?) => {
        $(#[$doc])*
        #[inline]
        pub(crate) fn $name($($arg: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn vectorised($($arg: $type),*) $(-> $result)? {
                    $body::<true>($($arg),*)
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has what the function was compiled for.
                    return unsafe { vectorised($($arg),*) };
                }
            }
            $body::<{ cfg!(target_arch = "aarch64") }>($($arg),*)
        }
    };
}

pub(super) use dispatched;

dispatched!(
    /// The sum of the vectors in the rows of `values`, which lie `stride` apart, each times its share.
    mix, mix_body, (shares: &[f32], values: &[f32], stride: usize, sum: &mut [f32])
);
dispatched!(
    /// Converts to F32, exactly.
    widen, widen_body, (source: &[bf16], target: &mut [f32])
);

/// A fused multiplication and addition where the processor has one; elsewhere it would be a slow call.
#[inline(always)]
pub(super) fn multiply_add<const FUSED: bool>(a: f32, b: f32, sum: f32) -> f32 {
    if FUSED { a.mul_add(b, sum) } else { a * b + sum }
}

/// The dot product of two vectors of the same length.
#[inline(always)]
pub(super) fn dot<const FUSED: bool>(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [[0.0_f32; LANES]; SUMS];
    let (a_blocks, b_blocks) = (a.chunks_exact(SUMS * LANES), b.chunks_exact(SUMS * LANES));
    let (a_rest, b_rest) = (a_blocks.remainder(), b_blocks.remainder());
    for (a, b) in a_blocks.zip(b_blocks) {
        for (idx, sum) in sums.iter_mut().enumerate() {
            for (lane, sum) in sum.iter_mut().enumerate() {
                let at = idx * LANES + lane;
                *sum = multiply_add::<FUSED>(a[at], b[at], *sum);
            }
        }
    }
    let mut total = [0.0_f32; LANES];
    for sum in &sums {
        for lane in 0..LANES {
            total[lane] += sum[lane];
        }
    }
    let rest = a_rest.iter().zip(b_rest).fold(0.0, |sum, (&a, &b)| multiply_add::<FUSED>(a, b, sum));
    total.iter().sum::<f32>() + rest
}

#[inline(always)]
fn mix_body<const FUSED: bool>(shares: &[f32], values: &[f32], stride: usize, sum: &mut [f32]) {
    sum.fill(0.0);
    for (&share, value) in shares.iter().zip(values.chunks(stride)) {
        for (sum, &value) in sum.iter_mut().zip(value) {
            *sum = multiply_add::<FUSED>(share, value, *sum);
        }
    }
}

#[inline(always)]
fn widen_body<const FUSED: bool>(source: &[bf16], target: &mut [f32]) {
    for (target, source) in target.iter_mut().zip(source) {
        *target = f32::from_bits(u32::from(source.to_bits()) << 16);
    }
}

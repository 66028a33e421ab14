//! Functions of single numbers over whole slices, written so that the compiler makes vector instructions of them.

use super::dispatch::{LANES, dispatched, multiply_add};

dispatched!(
    /// Turns scores into shares that add up to one.
    soften, soften_body, (scores: &mut [f32])
);
dispatched!(
    /// x · logistic(x), of each number.
    silu, silu_body, (values: &mut [f32])
);
dispatched!(
    /// The approximation of GELU by a hyperbolic tangent (arXiv:1606.08415), of each number.
    gelu_tanh, gelu_tanh_body, (values: &mut [f32])
);
dispatched!(
    /// GELU by the error function (arXiv:1606.08415), of each number.
    gelu_erf, gelu_erf_body, (values: &mut [f32])
);

#[inline(always)]
fn soften_body<const FUSED: bool>(scores: &mut [f32]) {
    let mut largest = [f32::NEG_INFINITY; LANES];
    for block in scores.chunks(LANES) {
        for (largest, &score) in largest.iter_mut().zip(block) {
            *largest = if score > *largest { score } else { *largest };
        }
    }
    let largest = largest.iter().fold(f32::NEG_INFINITY, |largest, &score| largest.max(score));
    let mut sums = [0.0_f32; LANES];
    for block in scores.chunks_mut(LANES) {
        for (sum, score) in sums.iter_mut().zip(block) {
            *score = exp::<FUSED>(*score - largest);
            *sum += *score;
        }
    }
    let share = 1.0 / sums.iter().sum::<f32>();
    for score in scores {
        *score *= share;
    }
}

#[inline(always)]
fn silu_body<const FUSED: bool>(values: &mut [f32]) {
    for x in values {
        *x /= 1.0 + exp::<FUSED>(-*x);
    }
}

/// (1 + tanh y) / 2 is 1 / (1 + exp(-2y)).
#[inline(always)]
fn gelu_tanh_body<const FUSED: bool>(values: &mut [f32]) {
    const SLOPE: f32 = 2.0 * 0.797_884_6; // 2 · sqrt(2 / π)
    for x in values {
        let inner = SLOPE * (*x + 0.044_715 * *x * *x * *x);
        *x /= 1.0 + exp::<FUSED>(-inner);
    }
}

/// The error function by formula 7.1.26 of Abramowitz and Stegun, which is off by at most 1.5e-7.
#[inline(always)]
fn gelu_erf_body<const FUSED: bool>(values: &mut [f32]) {
    const TERMS: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
    for x in values {
        let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
        let t = 1.0 / multiply_add::<FUSED>(0.327_591_1, z, 1.0);
        let series = TERMS.iter().fold(0.0, |sum, &term| multiply_add::<FUSED>(sum, t, term)) * t;
        let rest = series * exp::<FUSED>(-z * z);
        *x *= 0.5 * if *x < 0.0 { rest } else { 2.0 - rest };
    }
}

/// The exponential function, to within two units of the last place. Beyond what F32 can hold it stays at about the
/// smallest and the largest number; NaN stays NaN.
#[inline(always)]
fn exp<const FUSED: bool>(x: f32) -> f32 {
    const LOWEST: f32 = -87.0;
    const HIGHEST: f32 = 88.0;
    // Adding it leaves a whole number in the lowest bits.
    const ROUNDING: f32 = 12_582_912.0;
    // ln 2 in two parts, of which the first has few bits, so that its multiples are exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // Of the power series; on half of ln 2 the eighth term is below the last place.
    const TERMS: [f32; 8] = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let x = if x < LOWEST { LOWEST } else { x };
    let x = if x > HIGHEST { HIGHEST } else { x };
    let shifted = multiply_add::<FUSED>(x, std::f32::consts::LOG2_E, ROUNDING);
    let power = shifted - ROUNDING;
    let rest = multiply_add::<FUSED>(power, -LN_2[0], x);
    let rest = multiply_add::<FUSED>(power, -LN_2[1], rest);
    let series = TERMS.iter().fold(0.0, |sum, &term| multiply_add::<FUSED>(sum, rest, term));
    // The whole number goes to the exponent's bits.
    f32::from_bits(series.to_bits().wrapping_add(shifted.to_bits() << 23))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_functions_have_their_known_values() {
        // Computed with Python's math module.
        let check = |function: fn(&mut [f32]), x: f32, expected: f32| {
            let mut values = [x];
            function(&mut values);
            assert!((values[0] - expected).abs() < 1e-6, "f({x}) = {}, not {expected}", values[0]);
        };
        check(silu, 1.0, 0.731_058_6);
        check(silu, -2.0, -0.238_405_84);
        check(silu, -100.0, 0.0);
        check(silu, 100.0, 100.0);
        check(gelu_tanh, 1.0, 0.841_192);
        check(gelu_tanh, -30.0, 0.0);
        check(gelu_erf, 1.0, 0.841_344_7);
        check(gelu_erf, -0.5, -0.154_268_77);
        check(gelu_erf, 12.0, 12.0);
        check(gelu_erf, -12.0, 0.0);
    }

    #[test]
    fn damaged_numbers_stay_visible() {
        for function in [soften, silu, gelu_tanh, gelu_erf] {
            let mut values = [1.0, f32::NAN, 2.0];
            function(&mut values);
            assert!(values[1].is_nan());
        }
    }

    proptest! {
        #[test]
        fn exponentials_are_exact_to_the_last_places(x in -87.0_f32..88.0) {
            let exact = f64::from(x).exp();
            for found in [super::exp::<true>(x), super::exp::<false>(x)] {
                prop_assert!((f64::from(found) / exact - 1.0).abs() < 2.5e-7, "exp({x}) = {found}, not {exact}");
            }
        }

        #[test]
        fn shares_add_up_to_one_and_keep_the_order(scores in prop::collection::vec(-200.0_f32..200.0, 1..40)) {
            let mut shares = scores.clone();
            soften(&mut shares);
            prop_assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            for (pair, share) in scores.iter().zip(scores.iter().skip(1)).zip(shares.iter().zip(shares.iter().skip(1))) {
                prop_assert!(pair.0 > pair.1 || share.0 <= share.1);
            }
        }
    }
}

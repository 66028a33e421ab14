//! Sums over a whole row of logits, in lanes that compilers make vectors of: rows are long, and scores are worked out
//! on the engine's thread.

/// Numbers taken at once.
const LANES: usize = 16;

/// Logits whose exponentials are added up in single precision, each lane sixteen of them.
pub(super) const PART: usize = 256;

/// The largest of `logits`; minus infinity where none is a number.
pub(crate) fn largest(logits: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = logits.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &logit) in lanes.iter_mut().zip(chunk) {
            // False for NaN.
            if logit > *lane {
                *lane = logit;
            }
        }
    }
    lanes.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, f32::max)
}

/// The sum of the exponentials of all `logits` less `highest`, none of which is above it. What is no number, or minus
/// infinity, adds next to nothing.
pub(crate) fn total(logits: &[f32], highest: f32) -> f64 {
    logits.chunks(PART).map(|part| mass(part, |logit| logit - highest)).sum()
}

/// The same sum at a `temperature` above zero, each [`PART`] of the logits by itself.
pub(super) fn parts(logits: &[f32], highest: f32, temperature: f32, parts: &mut Vec<f64>) {
    parts.clear();
    let of_part = |part: &[f32]| mass(part, |logit| (logit - highest) / temperature);
    parts.extend(logits.chunks(PART).map(of_part));
}

/// What one logit adds to that.
pub(super) fn term(logit: f32, highest: f32, temperature: f32) -> f64 {
    f64::from(exponential((logit - highest) / temperature))
}

/// The sum of the exponentials of what `scaled` makes of each logit, at most zero.
#[inline]
fn mass(part: &[f32], scaled: impl Fn(f32) -> f32) -> f64 {
    let mut lanes = [0.0_f32; LANES];
    let (chunks, rest) = part.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &logit) in lanes.iter_mut().zip(chunk) {
            *lane += exponential(scaled(logit));
        }
    }
    let rest = rest.iter().map(|&logit| exponential(scaled(logit)));
    lanes.into_iter().chain(rest).map(f64::from).sum()
}

/// e to the power of `x`, at most zero, to within 3e-7 of itself; 2e-38 for all below -87 and for NaN.
///
/// e^x = 2^n e^f with |f| <= ln(2) / 2, and e^f by its series; without a branch or a call (Cody and Waite 1980,
/// chapter 6).
fn exponential(x: f32) -> f32 {
    /// Adding it leaves a whole number in the lowest bits.
    const SHIFT: f32 = 12_582_912.0;
    /// The first bits of ln(2), which times n are exact, and what they lack.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.max(-87.0);
    let shifted = x * std::f32::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let f = x - n * LN_2_HIGH - n * LN_2_LOW;
    let series = [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let power = series.into_iter().fold(1.0 / 720.0, |sum, factor| sum * f + factor);
    // n is added to the exponent.
    f32::from_bits((shifted.to_bits() << 23).wrapping_add(power.to_bits()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn exponentials_are_exact_enough(x in -86.9_f32..=0.0) {
            let exact = f64::from(x).exp();
            prop_assert!((f64::from(exponential(x)) / exact - 1.0).abs() < 3e-7);
        }

        #[test]
        fn sums_are_those_of_single_terms(logits in prop::collection::vec(-60.0_f32..30.0, 1..3000)) {
            let highest = largest(&logits);
            prop_assert_eq!(highest.to_bits(), logits.iter().copied().fold(f32::NEG_INFINITY, f32::max).to_bits());
            let exact: f64 = logits.iter().map(|&logit| f64::from(logit - highest).exp()).sum();
            prop_assert!((total(&logits, highest) / exact - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn what_is_no_number_adds_nothing() {
        let logits = [f32::NAN, 2.0, f32::NEG_INFINITY, 2.0, f32::NAN];
        assert_eq!(largest(&logits).to_bits(), 2.0_f32.to_bits());
        assert!((total(&logits, 2.0) - 2.0).abs() < 1e-9);
        assert!((total(&[-1e30, 0.0], 0.0) - 1.0).abs() < 1e-9);
        assert_eq!(largest(&[f32::NAN; 20]).to_bits(), f32::NEG_INFINITY.to_bits());
    }
}

//! Random numbers that are a function of what they are for, so that a successor of a worker that died draws what
//! its predecessor would have drawn.

/// A number in [0, 1) with 53 random bits for one position of one choice of a request.
///
/// The seed, then choice and position, pass through the finalizer of SplitMix64 (Steele, Lea and Flood 2014), a
/// bijection in which every input bit changes every output bit with a probability close to one half. The mapping is
/// part of what a replayed stream relies on: it never changes.
pub(super) fn uniform(seed: u64, choice: u32, position: u32) -> f64 {
    /// The golden ratio in 64 bits: keeps the all-zero input from being a fixed point.
    const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
    let place = u64::from(choice) << 32 | u64::from(position);
    let bits = finalize(finalize(seed.wrapping_add(GAMMA)).wrapping_add(place).wrapping_add(GAMMA));
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// Another such number for the same place, of a seed that is as far from `seed` as any.
pub(super) fn other_uniform(seed: u64, choice: u32, position: u32) -> f64 {
    /// The first binary digits of the fraction of pi.
    const APART: u64 = 0x243F_6A88_85A3_08D3;
    uniform(finalize(seed ^ APART), choice, position)
}

fn finalize(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

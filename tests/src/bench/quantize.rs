//! ggml's blocks of quantised weights: 32 elements with one scale
//! (<https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h>, `block_q4_0` and `block_q8_0`).

use super::weights::{half, single};

/// Elements of a block.
pub(super) const BLOCK: usize = 32;

/// Bytes of a block of four bits an element, and of eight: the scale, then the elements.
pub(super) const Q4_0_BYTES: usize = 2 + BLOCK / 2;
pub(super) const Q8_0_BYTES: usize = 2 + BLOCK;

/// Appends a block of [`Q4_0_BYTES`]: the element farthest from zero becomes -8, and element `i` shares a byte with
/// element `i + 16`, below it.
pub(super) fn q4_0(values: &[f32; BLOCK], out: &mut Vec<u8>) {
    let farthest = values.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or_default();
    let scale = half(farthest / -8.0);
    out.extend(scale.to_le_bytes());
    let inverse = inverse(single(scale));
    // Rounded to the nearest, ties up; the farthest one on the positive side has no place and is cut.
    let level = |value: f32| (value * inverse + 8.5).clamp(0.0, 15.0) as u8;
    let (low, high) = values.split_at(BLOCK / 2);
    out.extend(low.iter().zip(high).map(|(&low, &high)| level(low) | level(high) << 4));
}

/// Appends a block of [`Q8_0_BYTES`]: the element farthest from zero becomes 127 or -127.
pub(super) fn q8_0(values: &[f32; BLOCK], out: &mut Vec<u8>) {
    let farthest = values.iter().fold(0.0_f32, |farthest, value| farthest.max(value.abs()));
    let scale = half(farthest / 127.0);
    out.extend(scale.to_le_bytes());
    let inverse = inverse(single(scale));
    out.extend(
        values.iter().map(|value| ((value * inverse).round().clamp(-127.0, 127.0) as i8).cast_unsigned()),
    );
}

fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    fn scale(block: &[u8]) -> f32 {
        single(u16::from_le_bytes([block[0], block[1]]))
    }

    fn read_q4_0(block: &[u8]) -> Vec<f32> {
        let level = |nibble: u8| (f32::from(nibble) - 8.0) * scale(block);
        let low = block[2..].iter().map(|byte| level(byte & 15));
        low.chain(block[2..].iter().map(|byte| level(byte >> 4))).collect()
    }

    fn read_q8_0(block: &[u8]) -> Vec<f32> {
        block[2..].iter().map(|byte| f32::from(byte.cast_signed()) * scale(block)).collect()
    }

    #[test]
    fn what_is_read_back_is_near_what_was_written() {
        let mut random = StdRng::seed_from_u64(1);
        for _ in 0..1000 {
            let values: [f32; BLOCK] = std::array::from_fn(|_| random.random_range(-2.0..2.0));
            let most = values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            let mut block = Vec::new();
            q8_0(&values, &mut block);
            assert_eq!(block.len(), Q8_0_BYTES);
            for (value, got) in values.iter().zip(read_q8_0(&block)) {
                // Half a level, and what the scale loses as a half.
                assert!((value - got).abs() <= most * (0.51 / 127.0 + 0.001), "{value} {got}");
            }
            block.clear();
            q4_0(&values, &mut block);
            assert_eq!(block.len(), Q4_0_BYTES);
            for (value, got) in values.iter().zip(read_q4_0(&block)) {
                // A level, since the one farthest to the other side may be cut.
                assert!((value - got).abs() <= most * (1.01 / 8.0), "{value} {got}");
            }
        }
    }

    #[test]
    fn blocks_are_laid_out_as_ggml_reads_them() {
        let mut values = [0.0; BLOCK];
        (values[0], values[1], values[16]) = (-8.0, 3.0, 7.0);
        let mut block = Vec::new();
        q4_0(&values, &mut block);
        // The scale 1 as a half; then -8 below 7, 3 below 0, and zeroes.
        assert_eq!(block[..4], [0x00, 0x3c, 0xf0, 0x8b]);
        assert!(block[4..].iter().all(|&byte| byte == 0x88), "{block:?}");
        (values[0], values[31]) = (-127.0, 64.0);
        block.clear();
        q8_0(&values, &mut block);
        assert_eq!((&block[..4], block[33]), ([0x00, 0x3c, 0x81, 0x03].as_slice(), 64));
        block.clear();
        q4_0(&[0.0; BLOCK], &mut block);
        q8_0(&[0.0; BLOCK], &mut block);
        assert!(
            read_q4_0(&block[..Q4_0_BYTES])
                .iter()
                .chain(&read_q8_0(&block[Q4_0_BYTES..]))
                .all(|&value| value == 0.0)
        );
    }
}

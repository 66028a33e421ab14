//! Biases of attention by how far apart two tokens are, as T5 has them (arXiv:1910.10683): near distances have one
//! each, far ones share.

use std::sync::Arc;

use crate::{config::EncoderConfig, error::ModelError, weights::Weights};

/// Distances from which on all share one bias.
const FARTHEST: f32 = 128.0;

/// For each head, the bias of each distance.
#[derive(Clone)]
pub(super) struct Distances {
    biases: Arc<Vec<Vec<f32>>>,
    /// Of the distance zero.
    middle: usize,
}

impl Distances {
    /// The model's biases, where it has them.
    pub(super) fn load(
        config: &EncoderConfig,
        weights: &Weights,
        prefix: &str,
    ) -> Result<Option<Self>, ModelError> {
        let (Some(name), Some(buckets)) = (config.names.distances, config.distance_buckets) else {
            return Ok(None);
        };
        let name = format!("{prefix}{name}.weight");
        let table = weights.matrix(&name, buckets, config.heads)?;
        let middle = config.context - 1;
        let of_head = |head: usize| {
            let bias = |idx: usize| table[bucket(middle, idx, buckets) * config.heads + head];
            (0..=2 * middle).map(bias).collect()
        };
        Ok(Some(Self { biases: Arc::new((0..config.heads).map(of_head).collect()), middle }))
    }

    /// The biases of a head's `query` for the keys from `first` on.
    pub(super) fn of(&self, head: usize, query: usize, first: usize) -> &[f32] {
        &self.biases[head][self.middle + first - query..]
    }
}

/// The bucket of a key at place `key` for a query at place `query`.
fn bucket(query: usize, key: usize, buckets: usize) -> usize {
    let half = buckets / 2;
    let side = if key > query { half } else { 0 };
    let distance = key.abs_diff(query);
    let exact = half / 2;
    if distance < exact {
        return side + distance;
    }
    let exact_f = exact as f32;
    let share = (distance as f32 / exact_f).ln() / (FARTHEST / exact_f).ln();
    side + (exact + (share * (half - exact) as f32) as usize).min(half - 1)
}

#[cfg(test)]
mod tests {
    use super::bucket;

    #[test]
    fn near_distances_have_a_bucket_each_and_far_ones_share() {
        // From the `transformers` package's function for 32 buckets.
        let check = |distance: isize, expected: usize| {
            let found = bucket(1000, 1000_usize.checked_add_signed(distance).unwrap(), 32);
            assert_eq!(found, expected, "{distance}");
        };
        check(0, 0);
        check(-1, 1);
        check(-7, 7);
        check(-8, 8);
        check(-11, 8);
        check(-12, 9);
        check(-16, 10);
        check(-64, 14);
        check(-127, 15);
        check(-900, 15);
        check(1, 17);
        check(8, 24);
        check(900, 31);
    }
}

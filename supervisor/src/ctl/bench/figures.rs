//! Arithmetic over what was measured.

use serde::Serialize;

/// The values below which half, 95 and 99 of a hundred lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) p50: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
}

impl Spread {
    /// Of the values, of which there must be one.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let at = |share| percentile(&values, share);
        Some(Self { p50: at(0.5)?, p95: at(0.95)?, p99: at(0.99)? })
    }
}

/// The least of the `sorted` values that is not below the share `share` of them: the nearest rank.
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// The middle value, or the mean of the two in the middle; none of nothing.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

/// The median of the ratios of pairs of which both sides have a value other than zero.
pub(super) fn median_ratio(pairs: impl IntoIterator<Item = (Option<f64>, Option<f64>)>) -> Option<f64> {
    let ratios = pairs.into_iter().filter_map(|(ours, theirs)| {
        let (ours, theirs) = (ours?, theirs?);
        (ours > 0.0 && theirs > 0.0).then(|| ours / theirs)
    });
    median(ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let check = |values: &[f64], expected: Option<[f64; 3]>| {
            let spread = Spread::of(values.iter().copied());
            assert_eq!(spread.map(|spread| [spread.p50, spread.p95, spread.p99]), expected, "{values:?}");
        };
        check(&[], None);
        check(&[7.0], Some([7.0; 3]));
        check(&[4.0, 1.0, 3.0, 2.0], Some([2.0, 4.0, 4.0]));
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        check(&hundred, Some([50.0, 95.0, 99.0]));
        let two_hundred: Vec<f64> = (1..=200).map(f64::from).collect();
        check(&two_hundred, Some([100.0, 190.0, 198.0]));
    }

    #[test]
    fn the_median_is_in_the_middle() {
        let check =
            |values: &[f64], expected| assert_eq!(median(values.iter().copied()), expected, "{values:?}");
        check(&[], None);
        check(&[3.0], Some(3.0));
        check(&[9.0, 1.0, 2.0], Some(2.0));
        check(&[4.0, 1.0, 2.0, 9.0], Some(3.0));
    }

    #[test]
    fn a_ratio_is_of_a_pair() {
        let check = |pairs: &[(Option<f64>, Option<f64>)], expected| {
            assert_eq!(median_ratio(pairs.iter().copied()), expected, "{pairs:?}");
        };
        check(&[], None);
        check(&[(Some(3.0), Some(2.0))], Some(1.5));
        // Not the ratio of the medians, which is 1.
        check(&[(Some(1.0), Some(2.0)), (Some(2.0), Some(8.0)), (Some(8.0), Some(1.0))], Some(0.5));
        check(&[(Some(3.0), None), (None, Some(1.0)), (Some(1.0), Some(0.0))], None);
    }
}

//! Which files go so that another one can grow: pure arithmetic.

use std::time::SystemTime;

/// Less is of no use: the file's own tables and one short conversation take more.
const LEAST_BYTES: u64 = 1 << 20;

/// A file besides the one that is to have room.
#[derive(Debug, Clone)]
pub(super) struct Other {
    /// What it takes of the disk; of one in use, what it may come to take.
    pub(super) bytes: u64,
    pub(super) used: SystemTime,
    /// A worker has it, so it stays.
    pub(super) in_use: bool,
}

/// How room is made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The places in the list of those that go.
    pub(super) going: Vec<usize>,
    /// What the file may take; 0: there is no room for any.
    pub(super) granted: u64,
}

/// Room for a file of `wanted` bytes, so that all together take no more than `limit`. Those that were used longest ago
/// go first, and no more than have to.
pub(super) fn plan(others: &[Other], wanted: u64, limit: u64) -> Plan {
    let taken = |of: &dyn Fn(&&Other) -> bool| {
        others.iter().filter(of).map(|other| other.bytes).fold(0, u64::saturating_add)
    };
    let granted = wanted.min(limit.saturating_sub(taken(&|other| other.in_use)));
    if granted < LEAST_BYTES.min(wanted) || granted == 0 {
        return Plan { going: Vec::new(), granted: 0 };
    }
    let mut candidates: Vec<usize> = (0..others.len()).filter(|idx| !others[*idx].in_use).collect();
    candidates.sort_by_key(|idx| others[*idx].used);
    let mut all = taken(&|_| true).saturating_add(granted);
    let mut going = Vec::new();
    for idx in candidates {
        if all <= limit {
            break;
        }
        all = all.saturating_sub(others[idx].bytes);
        going.push(idx);
    }
    Plan { going, granted }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn other(mib: u64, used_s: u64, in_use: bool) -> Other {
        Other { bytes: mib * MIB, used: UNIX_EPOCH + Duration::from_secs(used_s), in_use }
    }

    #[test]
    fn the_longest_unused_go_and_who_is_in_use_stays() {
        let check = |others: &[Other], wanted: u64, limit: u64, going: &[usize], granted: u64| {
            let expected = Plan { going: going.to_vec(), granted: granted * MIB };
            assert_eq!(plan(others, wanted * MIB, limit * MIB), expected, "{others:?}");
        };
        check(&[], 5, 10, &[], 5);
        check(&[], 50, 10, &[], 10);
        let three = [other(4, 9, false), other(4, 1, false), other(4, 5, false)];
        check(&three, 5, 100, &[], 5);
        check(&three, 5, 16, &[1], 5);
        check(&three, 5, 10, &[1, 2], 5);
        check(&[other(4, 1, true), other(4, 2, false)], 5, 9, &[1], 5);
        check(&[other(4, 1, true), other(4, 2, false)], 5, 6, &[1], 2);
        check(&[other(10, 1, true)], 5, 10, &[], 0);
        check(&three, 0, 100, &[], 0);
    }

    proptest! {
        #[test]
        fn all_together_keep_to_the_limit_where_those_in_use_do(
            sizes in prop::collection::vec((0u64..40, 0u64..9, any::<bool>()), 0..8),
            wanted in 0u64..50,
            limit in 0u64..100,
        ) {
            let others: Vec<Other> = sizes.iter().map(|(mib, used, in_use)| other(*mib, *used, *in_use)).collect();
            let Plan { going, granted } = plan(&others, wanted * MIB, limit * MIB);
            prop_assert!(going.iter().all(|idx| !others[*idx].in_use));
            let kept = (0..others.len()).filter(|idx| !going.contains(idx)).map(|idx| others[idx].bytes);
            let all = kept.sum::<u64>() + granted;
            prop_assert!(granted <= wanted * MIB);
            prop_assert!(granted == 0 || all <= limit * MIB);
        }
    }
}

//! Which files go so that another one can grow: pure arithmetic.

use std::time::SystemTime;

/// Less is of no use: the file's own tables and one short conversation take more.
const LEAST_BYTES: u64 = 1 << 20;

/// What others need not give way for: a file of so small a part of what it may have at most still serves.
const ENOUGH_SHARE: u64 = 4;

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

/// Room for a file of `wanted` bytes that has `own` already, so that all together take no more than `limit`. Others go,
/// those first that were used longest ago, only where what they leave is less than the file has, or than a fair part of
/// what is wanted: models that are served in turn keep their files.
pub(super) fn plan(own: u64, others: &[Other], wanted: u64, limit: u64) -> Plan {
    let taken = |of: &dyn Fn(&&Other) -> bool| {
        others.iter().filter(of).map(|other| other.bytes).fold(0, u64::saturating_add)
    };
    let most = wanted.min(limit.saturating_sub(taken(&|other| other.in_use)));
    let least = LEAST_BYTES.min(wanted);
    if most < least || most == 0 {
        return Plan { going: Vec::new(), granted: 0 };
    }
    let enough = own.max(wanted.min(limit) / ENOUGH_SHARE).max(least).min(most);
    let mut candidates: Vec<usize> = (0..others.len()).filter(|idx| !others[*idx].in_use).collect();
    candidates.sort_by_key(|idx| others[*idx].used);
    let mut rest = taken(&|_| true);
    let mut going = Vec::new();
    for idx in candidates {
        if limit.saturating_sub(rest) >= enough {
            break;
        }
        rest = rest.saturating_sub(others[idx].bytes);
        going.push(idx);
    }
    Plan { going, granted: wanted.min(limit.saturating_sub(rest)) }
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
            assert_eq!(plan(0, others, wanted * MIB, limit * MIB), expected, "{others:?}");
        };
        check(&[], 5, 10, &[], 5);
        check(&[], 50, 10, &[], 10);
        let three = [other(4, 9, false), other(4, 1, false), other(4, 5, false)];
        check(&three, 5, 100, &[], 5);
        check(&three, 5, 16, &[], 4);
        check(&three, 5, 13, &[1], 5);
        check(&three, 5, 6, &[1, 2], 2);
        check(&three, 16, 13, &[1], 5);
        check(&[other(4, 1, true), other(4, 2, false)], 5, 9, &[1], 5);
        check(&[other(4, 1, true), other(4, 2, false)], 5, 6, &[1], 2);
        check(&[other(10, 1, true)], 5, 10, &[], 0);
        check(&three, 0, 100, &[], 0);
    }

    #[test]
    fn models_in_turn_keep_their_files_while_all_fit() {
        let check = |own: u64, other_mib: u64, going: &[usize], granted: u64| {
            let expected = Plan { going: going.to_vec(), granted: granted * MIB };
            let other = other(other_mib, 1, false);
            assert_eq!(plan(own * MIB, &[other], 16 * MIB, 16 * MIB), expected, "{own} {other_mib}");
        };
        check(0, 12, &[], 4);
        check(0, 13, &[0], 16);
        check(10, 6, &[], 10);
        check(10, 7, &[0], 16);
        check(20, 1, &[0], 16);
    }

    proptest! {
        #[test]
        fn all_together_keep_to_the_limit_where_those_in_use_do(
            sizes in prop::collection::vec((0u64..40, 0u64..9, any::<bool>()), 0..8),
            wanted in 0u64..50,
            limit in 0u64..100,
            own in 0u64..50,
        ) {
            let others: Vec<Other> = sizes.iter().map(|(mib, used, in_use)| other(*mib, *used, *in_use)).collect();
            let Plan { going, granted } = plan(own * MIB, &others, wanted * MIB, limit * MIB);
            prop_assert!(going.iter().all(|idx| !others[*idx].in_use));
            let kept = (0..others.len()).filter(|idx| !going.contains(idx)).map(|idx| others[idx].bytes);
            let all = kept.sum::<u64>() + granted;
            prop_assert!(granted <= wanted * MIB);
            prop_assert!(granted == 0 || all <= limit * MIB);
            // None goes where all have room as they are.
            let is_room = own.max(wanted.min(limit) / 4 + 1) + sizes.iter().map(|(mib, ..)| mib).sum::<u64>() <= limit;
            prop_assert!(!is_room || going.is_empty());
        }
    }
}

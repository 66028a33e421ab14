//! Which workers make room for another one: the cheapest to bring back for each byte, and no more than it takes.

use std::time::Duration;

use crate::budget::Memory;

/// A worker that may go.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate<K> {
    /// Which one.
    pub worker: K,
    /// What is free without it.
    pub memory: Memory,
    /// How long it takes to bring it back.
    pub reload: Duration,
    /// Leases on it; those that nobody uses go first.
    pub leases: usize,
}

/// The workers that have to go so that `missing` becomes free, or `None` if even all together are not enough.
pub fn plan<K: Clone + Ord>(missing: &Memory, mut candidates: Vec<Candidate<K>>) -> Option<Vec<K>> {
    candidates.sort_by(|a, b| {
        (a.leases, cost(a))
            .partial_cmp(&(b.leases, cost(b)))
            .unwrap_or(std::cmp::Ordering::Equal)
            .then_with(|| a.worker.cmp(&b.worker))
    });
    let mut freed = Memory::default();
    let mut chosen: Vec<Candidate<K>> = Vec::new();
    for candidate in candidates {
        if missing.fits(&freed) {
            break;
        }
        let helps =
            missing.minus(&freed).pools().any(|(pool, bytes)| bytes > 0 && candidate.memory.of(pool) > 0);
        if helps {
            freed = freed.plus(&candidate.memory);
            chosen.push(candidate);
        }
    }
    if !missing.fits(&freed) {
        return None;
    }
    // A large one that came last may have made smaller ones before it superfluous.
    let mut idx = 0;
    while idx < chosen.len() {
        let without = freed.minus(&chosen[idx].memory);
        if missing.fits(&without) {
            freed = without;
            chosen.remove(idx);
        } else {
            idx += 1;
        }
    }
    Some(chosen.into_iter().map(|candidate| candidate.worker).collect())
}

/// Seconds of loading for each byte.
fn cost<K>(candidate: &Candidate<K>) -> f64 {
    candidate.reload.as_secs_f64() / (candidate.memory.total().max(1)) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(worker: u32, bytes: u64, reload_s: u64, leases: usize) -> Candidate<u32> {
        Candidate { worker, memory: Memory::ram(bytes), reload: Duration::from_secs(reload_s), leases }
    }

    #[test]
    fn the_cheapest_for_each_byte_go_first_and_only_as_many_as_it_takes() {
        let check = |missing: u64, candidates: &[Candidate<u32>], expected: Option<&[u32]>| {
            assert_eq!(plan(&Memory::ram(missing), candidates.to_vec()).as_deref(), expected, "{missing}");
        };
        let three = [candidate(1, 10, 10, 0), candidate(2, 10, 1, 0), candidate(3, 30, 1, 0)];
        check(0, &three, Some(&[]));
        check(10, &three, Some(&[3]));
        check(35, &three, Some(&[3, 2]));
        check(50, &three, Some(&[3, 2, 1]));
        check(51, &three, None);
        // What nobody uses goes before what is cheap; a large last one replaces small ones.
        check(10, &[candidate(1, 10, 100, 0), candidate(2, 10, 1, 3)], Some(&[1]));
        check(20, &[candidate(1, 5, 0, 0), candidate(2, 20, 9, 0)], Some(&[2]));
        check(1, &[], None);
    }

    #[test]
    fn other_pools_do_not_help() {
        let gpu = Candidate { memory: Memory::default().with("cuda0", 100), ..candidate(1, 0, 1, 0) };
        assert_eq!(plan(&Memory::ram(10), vec![gpu.clone()]), None);
        assert_eq!(
            plan(&Memory::default().with("cuda0", 10), vec![gpu, candidate(2, 90, 0, 0)]),
            Some(vec![1])
        );
    }

    proptest! {
        #[test]
        fn what_goes_is_enough_and_nothing_of_it_is_too_much(
            missing in 0u64..200,
            sizes in prop::collection::vec((1u64..60, 0u64..20, 0usize..3), 0..8),
        ) {
            let candidates: Vec<_> = sizes.iter().zip(0..).map(|((bytes, reload, leases), n)| candidate(n, *bytes, *reload, *leases)).collect();
            let sum: u64 = sizes.iter().map(|(bytes, ..)| bytes).sum();
            let Some(chosen) = plan(&Memory::ram(missing), candidates) else {
                prop_assert!(sum < missing);
                return Ok(());
            };
            let freed: u64 = chosen.iter().map(|n| sizes[*n as usize].0).sum();
            prop_assert!(freed >= missing);
            for n in &chosen {
                prop_assert!(freed - sizes[*n as usize].0 < missing);
            }
        }
    }
}

//! How many slots a model's worker is given, where that is up to the memory that there is.

use crate::budget::Memory;

/// The numbers that there can be, the most first. They are few: what was measured of a worker, and the file of its
/// prefixes, are of use to workers with as many slots alone.
pub const NUMBERS: [u32; 4] = [8, 4, 2, 1];

/// So many are given wherever there is room for them.
pub const USUAL: u32 = 4;

/// Keys and values of more than the usual slots take at most one part in so many of what workers may hold of a pool.
const SHARE: u64 = 8;

/// One of the numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The slots.
    pub slots: u32,
    /// What a worker with so many needs.
    pub need: Memory,
    /// What of that their keys and values are.
    pub kv: Memory,
}

/// Why there are no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// No more fit into what is free.
    Room,
    /// More would take too large a share of what workers may hold.
    Share,
    /// The last worker had no more, and its prefixes are of use to as many alone.
    Former,
    /// One with more has died for lack of memory.
    Death,
    /// No more fit into what the settings give the model.
    Setting,
}

impl Bound {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Share => "share",
            Self::Former => "former worker",
            Self::Death => "death for lack of memory",
            Self::Setting => "memory setting",
        }
    }
}

/// The place of the first of `choices`, the most slots first, that is within all `caps` and fits into what is `free`; of
/// the last one where none does. With what it is that allows no more, if anything does. Workers together may hold
/// `limit`. `None` where there is nothing to choose from.
pub fn choose(
    choices: &[Choice],
    caps: &[(u32, Bound)],
    free: &Memory,
    limit: &Memory,
) -> Option<(usize, Option<Bound>)> {
    let mut bound = None;
    for (idx, choice) in choices.iter().enumerate() {
        let over = caps.iter().find(|(cap, _)| choice.slots > *cap).map(|(_, bound)| *bound);
        let refusal = over.or_else(|| {
            let is_too_wide = choice.slots > USUAL && !choice.kv.fits(&share_of(limit));
            is_too_wide.then_some(Bound::Share).or_else(|| (!choice.need.fits(free)).then_some(Bound::Room))
        });
        if refusal.is_none() || idx + 1 == choices.len() {
            return Some((idx, bound));
        }
        bound = refusal;
    }
    None
}

fn share_of(limit: &Memory) -> Memory {
    limit.pools().fold(Memory::default(), |share, (pool, bytes)| share.with(pool, bytes / SHARE))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A model of `weights` whose slots take `kv` each.
    fn choices(weights: u64, kv: u64) -> Vec<Choice> {
        let choice = |slots: u32| {
            let kv = u64::from(slots) * kv;
            Choice { slots, need: Memory::ram(weights + kv), kv: Memory::ram(kv) }
        };
        NUMBERS.map(choice).to_vec()
    }

    #[test]
    fn as_many_as_fit_and_never_none() {
        let check = |free: u64, caps: &[(u32, Bound)], slots: u32, bound: Option<Bound>| {
            let choices = choices(100, 10);
            let (idx, got) = choose(&choices, caps, &Memory::ram(free), &Memory::ram(1000)).unwrap();
            assert_eq!((choices[idx].slots, got), (slots, bound), "{free} {caps:?}");
        };
        check(1000, &[], 8, None);
        check(180, &[], 8, None);
        check(179, &[], 4, Some(Bound::Room));
        check(139, &[], 2, Some(Bound::Room));
        check(119, &[], 1, Some(Bound::Room));
        check(0, &[], 1, Some(Bound::Room));
        check(1000, &[(4, Bound::Former)], 4, Some(Bound::Former));
        check(1000, &[(4, Bound::Former), (3, Bound::Death)], 2, Some(Bound::Death));
        check(120, &[(4, Bound::Former)], 2, Some(Bound::Room));
        check(1000, &[(0, Bound::Setting)], 1, Some(Bound::Setting));
    }

    #[test]
    fn more_than_the_usual_take_a_small_share_of_each_pool() {
        let check = |kv: Memory, limit: Memory, slots: u32, bound: Option<Bound>| {
            let choice =
                |slots: u32| Choice { slots, need: Memory::default(), kv: kv.times(f64::from(slots)) };
            let (idx, got) = choose(&NUMBERS.map(choice), &[], &limit, &limit).unwrap();
            assert_eq!((NUMBERS[idx], got), (slots, bound), "{kv} {limit}");
        };
        check(Memory::ram(10), Memory::ram(640), 8, None);
        check(Memory::ram(10), Memory::ram(639), 4, Some(Bound::Share));
        check(Memory::ram(300), Memory::ram(640), 4, Some(Bound::Share));
        check(Memory::ram(1).with("cuda0", 10), Memory::ram(640).with("cuda0", 640), 8, None);
        check(Memory::ram(1).with("cuda0", 10), Memory::ram(640).with("cuda0", 639), 4, Some(Bound::Share));
    }

    #[test]
    fn of_nothing_nothing_is_chosen() {
        assert_eq!(choose(&[], &[], &Memory::default(), &Memory::default()), None);
    }

    proptest! {
        #[test]
        fn what_is_chosen_fits_or_is_the_least_and_more_would_not_do(
            weights in 0u64..200, kv in 0u64..50, free in 0u64..600, cap in 1u32..10,
        ) {
            let (choices, free) = (choices(weights, kv), Memory::ram(free));
            let (idx, bound) = choose(&choices, &[(cap, Bound::Former)], &free, &Memory::ram(600)).unwrap();
            let does = |choice: &Choice| choice.slots <= cap && choice.need.fits(&free);
            prop_assert!(does(&choices[idx]) || choices[idx].slots == 1);
            prop_assert!(choices[..idx].iter().all(|choice| !does(choice) || choice.slots > USUAL));
            prop_assert_eq!(bound.is_none(), idx == 0);
        }
    }
}

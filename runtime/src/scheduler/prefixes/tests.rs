//! Prefixes in RAM, and in a file that processes hand on.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const ANY: Gain = Gain { elsewhere: 0, whole: false };

fn tokens(first: u32, n: usize) -> Vec<TokenId> {
    (first..).take(n).map(TokenId).collect()
}

fn spec(ram_bytes: u64, file_bytes: u64) -> PrefixSpec {
    PrefixSpec { ram_bytes, file_bytes, fingerprint: b"f".to_vec() }
}

fn in_ram(ram_bytes: u64) -> (Arc<Prefixes>, Arc<Counters>) {
    let counters = Arc::new(Counters::default());
    (Prefixes::new(&spec(ram_bytes, 0), None, &counters), counters)
}

/// A worker's prefixes over a file at a path that others have open as well.
fn in_file(path: &std::path::Path) -> Arc<Prefixes> {
    let file = File::options().read(true).write(true).open(path).unwrap();
    Prefixes::new(&spec(1 << 20, 1 << 20), Some(file), &Arc::default())
}

/// Keeps tokens, with a state of `state_bytes`.
fn keep(prefixes: &Prefixes, owner: &str, tokens: &[TokenId], state_bytes: usize) -> bool {
    let Some(share) = prefixes.reserve(owner, tokens, state_bytes as u64) else { return false };
    prefixes.put(&owner.into(), tokens, vec![tokens.len() as u8; state_bytes], share);
    true
}

fn found(prefixes: &Prefixes, owner: &str, tokens: &[TokenId]) -> Option<(usize, usize)> {
    prefixes.find(owner, tokens, ANY).map(|found| (found.prefix.tokens.len(), found.length))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

/// Looks until what another thread does has come about.
fn await_that(mut holds: impl FnMut() -> bool) {
    let deadline = soon();
    while !holds() {
        assert!(Instant::now() < deadline, "it does not come about");
        std::thread::yield_now();
    }
}

#[test]
fn what_serves_best_is_found_and_only_by_its_owner() {
    let (prefixes, _) = in_ram(1 << 20);
    assert!(keep(&prefixes, "a", &tokens(0, 100), 500));
    assert!(keep(&prefixes, "a", &[tokens(0, 80), tokens(500, 120)].concat(), 500));
    let check = |owner: &str, wanted: &[TokenId], gain: Gain, expected: Option<(usize, usize)>| {
        let found = prefixes.find(owner, wanted, gain);
        assert_eq!(found.map(|found| (found.prefix.tokens.len(), found.length)), expected);
    };
    check("a", &tokens(0, 300), ANY, Some((100, 100)));
    check("b", &tokens(0, 300), ANY, None);
    check("", &tokens(0, 300), ANY, None);
    // The shorter one of two that serve alike is loaded sooner.
    check("a", &tokens(0, 70), ANY, Some((100, 70)));
    check("a", &tokens(0, 70), Gain { whole: true, ..ANY }, None);
    check("a", &tokens(0, 300), Gain { whole: true, ..ANY }, Some((100, 100)));
    check("a", &[tokens(0, 80), tokens(500, 120)].concat(), ANY, Some((200, 200)));
    // What is there without it, and what is too little.
    check("a", &tokens(0, 300), Gain { elsewhere: 36, whole: false }, Some((100, 100)));
    check("a", &tokens(0, 300), Gain { elsewhere: 37, whole: false }, None);
    check("a", &tokens(0, 63), ANY, None);
}

#[test]
fn little_of_much_is_not_worth_loading() {
    let (prefixes, _) = in_ram(1 << 20);
    assert!(keep(&prefixes, "", &tokens(0, 10_000), 500));
    assert_eq!(found(&prefixes, "", &tokens(0, 1249)), None);
    assert_eq!(found(&prefixes, "", &tokens(0, 1250)), Some((10_000, 1250)));
}

#[test]
fn the_longer_replaces_the_shorter() {
    let (prefixes, counters) = in_ram(1 << 20);
    assert!(keep(&prefixes, "", &tokens(0, 100), 1000));
    assert!(keep(&prefixes, "", &tokens(0, 200), 2000));
    assert_eq!(counters.stats("").prefix_ram_bytes, 2800);
    assert!(keep(&prefixes, "", &tokens(0, 150), 1500), "there is room for it");
    assert_eq!(counters.stats("").prefix_ram_bytes, 2800, "but it is there already");
    assert!(prefixes.has("", &tokens(0, 206)), "nearly all of it");
    assert!(!prefixes.has("", &tokens(0, 230)));
    assert!(!prefixes.has("a", &tokens(0, 100)));
}

#[test]
fn the_least_recently_used_goes_and_what_is_too_large_is_not_kept() {
    let (prefixes, counters) = in_ram(3000);
    for first in [0, 1000] {
        assert!(keep(&prefixes, "", &tokens(first, 100), 1000));
    }
    assert!(found(&prefixes, "", &tokens(0, 100)).is_some());
    assert!(keep(&prefixes, "", &tokens(2000, 100), 1000));
    assert_eq!(found(&prefixes, "", &tokens(1000, 100)), None);
    assert!(found(&prefixes, "", &tokens(0, 100)).is_some());
    assert!(!keep(&prefixes, "", &tokens(3000, 100), 2601));
    assert!(found(&prefixes, "", &tokens(0, 100)).is_some(), "nothing goes for what does not fit");
    assert!(!keep(&prefixes, "", &tokens(3000, 100), usize::MAX >> 1));
    let stats = counters.stats("");
    assert_eq!(
        (stats.prefix_ram_bytes, stats.prefix_ram_peak_bytes, stats.prefix_room_bytes),
        (2800, 2800, 3000)
    );
}

#[test]
fn what_is_in_use_is_not_given_up_for_another() {
    let (prefixes, counters) = in_ram(2000);
    assert!(keep(&prefixes, "", &tokens(0, 100), 1000));
    let in_use = prefixes.find("", &tokens(0, 100), ANY).unwrap();
    assert!(!keep(&prefixes, "", &tokens(1000, 100), 1000));
    prefixes.set_room(0);
    assert_eq!(counters.stats("").prefix_ram_bytes, 1400, "until it is used");
    assert_eq!(found(&prefixes, "", &tokens(0, 100)), None);
    drop(in_use);
    let stats = counters.stats("");
    assert_eq!((stats.prefix_ram_bytes, stats.prefix_room_bytes), (0, 0));
}

#[test]
fn room_that_shrinks_is_given_back_at_once() {
    let (prefixes, counters) = in_ram(1 << 20);
    for first in 0..10 {
        assert!(keep(&prefixes, "", &tokens(first * 1000, 100), 600));
    }
    assert_eq!(counters.stats("").prefix_ram_bytes, 10_000);
    prefixes.set_room(2500);
    assert_eq!(counters.stats("").prefix_ram_bytes, 2000);
    assert!(found(&prefixes, "", &tokens(9000, 100)).is_some());
    assert!(found(&prefixes, "", &tokens(7000, 100)).is_none());
}

#[test]
fn what_a_process_kept_is_there_for_the_next_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let first = in_file(file.path());
    assert!(first.is_unfiled("a", &tokens(0, 100)));
    assert!(keep(&first, "a", &tokens(0, 100), 700));
    first.flush(soon());
    assert_eq!(first.filing(), Filing::Done);
    assert!(!first.is_unfiled("a", &tokens(0, 100)));
    // Another one beside it goes without, until it is gone.
    let second = in_file(file.path());
    await_that(|| second.filing() == Filing::Locked);
    assert!(!second.fetch_of(&"a".into(), &tokens(0, 150)));
    assert!(keep(&second, "b", &tokens(0, 100), 700), "it keeps in RAM");
    drop(first);
    await_that(|| second.fetch_of(&"a".into(), &tokens(0, 150)));
    assert_eq!(found(&second, "a", &tokens(0, 150)), Some((100, 100)));
    assert_eq!(second.find("a", &tokens(0, 150), ANY).unwrap().prefix.state, vec![100; 700]);
    assert_eq!(found(&second, "b", &tokens(0, 150)), Some((100, 100)));
    second.flush(soon());
    assert!(!second.is_unfiled("b", &tokens(0, 100)), "what it kept meanwhile is due still");
}

#[test]
fn nothing_is_fetched_that_is_there_or_does_not_fit() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let first = in_file(file.path());
    assert!(keep(&first, "a", &tokens(0, 100), 700));
    first.flush(soon());
    assert!(!first.fetch_of(&"a".into(), &tokens(0, 150)), "RAM has it");
    drop(first);
    await_that(|| file.reopen().unwrap().try_lock().is_ok());
    let second = in_file(file.path());
    let fetches = |prefixes: &Prefixes, owner: &str| prefixes.fetch_of(&owner.into(), &tokens(0, 150));
    await_that(|| second.filing() == Filing::Done);
    second.board().show(crate::engine::SlotId(0), &"a".into(), &tokens(0, 90));
    assert!(!fetches(&second, "a"), "a slot has it");
    second.board().show(crate::engine::SlotId(0), &"b".into(), &tokens(0, 90));
    assert!(!fetches(&second, "b"), "it is another's");
    second.set_room(1099);
    assert!(!fetches(&second, "a"), "there is no room");
    second.set_room(1100);
    assert!(fetches(&second, "a"));
    assert_eq!(found(&second, "a", &tokens(0, 150)), Some((100, 100)));
}

#[test]
fn one_fetches_for_all_who_want_the_same() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let first = in_file(file.path());
    assert!(keep(&first, "a", &tokens(0, 100), 700));
    first.flush(soon());
    drop(first);
    await_that(|| file.reopen().unwrap().try_lock().is_ok());
    let second = in_file(file.path());
    let n_fetches = std::thread::scope(|scope| {
        let fetch = || second.fetch_of(&"a".into(), &tokens(0, 150));
        let all: Vec<_> = (0..8).map(|_| scope.spawn(fetch)).collect();
        all.into_iter().map(|one| one.join().unwrap()).filter(|has_fetched| *has_fetched).count()
    });
    assert_eq!(n_fetches, 1);
    assert_eq!(found(&second, "a", &tokens(0, 150)), Some((100, 100)));
}

#[test]
fn what_an_engine_refused_is_found_no_more() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let prefixes = in_file(file.path());
    assert!(keep(&prefixes, "", &tokens(0, 100), 700));
    prefixes.flush(soon());
    let refuse = |for_good: bool| {
        prefixes.refused(&prefixes.find("", &tokens(0, 100), ANY).unwrap(), for_good);
    };
    refuse(false);
    assert_eq!(found(&prefixes, "", &tokens(0, 100)), Some((100, 100)), "it may have lacked room");
    refuse(false);
    assert_eq!(found(&prefixes, "", &tokens(0, 100)), None);
    assert!(!prefixes.fetch_of(&"".into(), &tokens(0, 100)));
}

#[test]
fn an_engine_that_refuses_to_cut_is_asked_three_times() {
    let (prefixes, _) = in_ram(1 << 20);
    for first in [0, 1000, 2000, 3000, 4000, 5000] {
        assert!(keep(&prefixes, "", &tokens(first, 100), 700));
    }
    let find = |first: u32, n: usize| {
        let gain = Gain { elsewhere: 0, whole: prefixes.are_whole() };
        prefixes.find("", &tokens(first, n), gain)
    };
    let cut = |first: u32, is_cut: bool| prefixes.cut(&find(first, 70).unwrap(), is_cut);
    cut(0, false);
    assert!(find(0, 70).is_none(), "not the same one again");
    assert!(find(0, 100).is_some());
    cut(1000, false);
    cut(2000, true);
    cut(2000, false);
    cut(3000, false);
    assert!(find(5000, 70).is_some());
    cut(4000, false);
    assert!(find(5000, 70).is_none());
    assert!(find(5000, 100).is_some());
}

#[test]
fn a_file_that_cannot_be_written_costs_nothing_else() {
    // A file that is open for reading alone.
    let file = tempfile::NamedTempFile::new().unwrap();
    let read_only = File::open(file.path()).unwrap();
    let prefixes = Prefixes::new(&spec(1 << 20, 1 << 20), Some(read_only), &Arc::default());
    assert!(keep(&prefixes, "", &tokens(0, 100), 700));
    await_that(|| prefixes.filing() == Filing::Absent);
    prefixes.flush(soon());
    assert_eq!(found(&prefixes, "", &tokens(0, 100)), Some((100, 100)));
}

proptest! {
    /// Whatever is kept and asked for, the room is never exceeded and nothing is found that was not kept.
    #[test]
    fn the_room_is_never_exceeded(
        steps in prop::collection::vec((0..3u8, 0..4u32, 1..300usize, 0..3000usize), 1..60),
        room in 0..20_000u64,
    ) {
        let (prefixes, counters) = in_ram(room);
        for (kind, first, n, state_bytes) in steps {
            let wanted = tokens(first * 1000, n);
            match kind {
                0 => {
                    let is_kept = keep(&prefixes, "", &wanted, state_bytes);
                    prop_assert_eq!(is_kept, 4 * n as u64 + state_bytes as u64 <= room);
                    prop_assert!(!is_kept || prefixes.has("", &wanted));
                }
                1 => if let Some(found) = prefixes.find("", &wanted, ANY) {
                    prop_assert!(wanted.starts_with(&found.prefix.tokens[..found.length]));
                    prop_assert_eq!(found.prefix.state.first().copied().unwrap_or(found.prefix.tokens.len() as u8), found.prefix.tokens.len() as u8);
                },
                _ => prop_assert!(prefixes.find("b", &wanted, ANY).is_none()),
            }
            prop_assert!(counters.stats("").prefix_ram_peak_bytes <= room);
        }
        prefixes.set_room(0);
        prop_assert_eq!(counters.stats("").prefix_ram_bytes, 0);
    }
}

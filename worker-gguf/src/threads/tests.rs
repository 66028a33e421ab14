use std::sync::atomic::AtomicU64;

use super::*;

const MOST: usize = 16;

/// What a region of these tests sees.
#[derive(Default)]
struct Seen {
    /// Times that each index took part.
    took_part: [AtomicU32; MOST],
    size: AtomicU32,
    /// The sum of all indices, phase by phase, and whether a thread saw an incomplete one.
    phases: [AtomicU32; 32],
    torn: AtomicU32,
    singles: AtomicU32,
    nested: AtomicU32,
    /// Of a loop over 0..100 in steps of 3.
    sum: AtomicU64,
}

/// # Safety
///
/// `data` points to a [`Seen`].
unsafe extern "C" fn look(data: *mut c_void) {
    // SAFETY: the tests pass one that outlives the region.
    let seen = unsafe { &*data.cast::<Seen>() };
    let (idx, size) = (omp_get_thread_num() as usize, omp_get_num_threads() as u32);
    seen.took_part[idx].fetch_add(1, Ordering::SeqCst);
    seen.size.store(size, Ordering::SeqCst);
    for phase in &seen.phases {
        phase.fetch_add(1, Ordering::SeqCst);
        GOMP_barrier();
        if phase.load(Ordering::SeqCst) % size != 0 {
            seen.torn.fetch_add(1, Ordering::SeqCst);
        }
        if GOMP_single_start() {
            seen.singles.fetch_add(1, Ordering::SeqCst);
        }
        GOMP_barrier();
    }
    let nested = &raw const seen.nested;
    // SAFETY: as above.
    unsafe { GOMP_parallel(count_nested, nested.cast_mut().cast(), 4, 0) };
    let (mut start, mut end) = (0, 0);
    // SAFETY: both may be written to.
    if unsafe { GOMP_loop_nonmonotonic_dynamic_start(0, 100, 3, 1, &raw mut start, &raw mut end) } {
        while start < end {
            seen.sum.fetch_add(start as u64, Ordering::SeqCst);
            start += 3;
        }
        assert!(!GOMP_loop_nonmonotonic_dynamic_next(&raw mut start, &raw mut end));
    }
    GOMP_loop_end();
}

/// # Safety
///
/// `data` points to an [`AtomicU32`].
unsafe extern "C" fn count_nested(data: *mut c_void) {
    assert_eq!((omp_get_num_threads(), omp_get_thread_num()), (1, 0));
    GOMP_barrier();
    assert!(GOMP_single_start());
    // SAFETY: `look` passes one.
    unsafe { &*data.cast::<AtomicU32>() }.fetch_add(1, Ordering::SeqCst);
}

fn check(size: u32) {
    let seen = Seen::default();
    // SAFETY: it outlives the call, which returns when all threads are done.
    unsafe { GOMP_parallel(look, (&raw const seen).cast_mut().cast(), size, 0) };
    let took_part: Vec<u32> = seen.took_part.iter().map(|times| times.load(Ordering::SeqCst)).collect();
    let expected: Vec<u32> = (0..MOST as u32).map(|idx| u32::from(idx < size)).collect();
    assert_eq!(took_part, expected, "{size} threads");
    assert_eq!(seen.size.into_inner(), size);
    assert_eq!(seen.torn.into_inner(), 0, "somebody passed a barrier of {size} before all had come");
    let n_phases = seen.phases.len() as u32;
    // Alone, each thread enters each block.
    assert_eq!(seen.singles.into_inner(), n_phases);
    assert_eq!(seen.nested.into_inner(), size);
    assert_eq!(seen.sum.into_inner(), (0..100).step_by(3).sum::<u64>());
    assert_eq!((omp_get_num_threads(), omp_get_thread_num()), (1, 0), "after the region");
}

#[test]
fn every_thread_takes_part_once_whatever_the_team_was_before() {
    for size in [1, 2, 8, 3, 2, 16, 1, 5, 16] {
        check(size);
    }
}

#[test]
fn many_short_regions_lose_nobody() {
    for round in 0..2000 {
        check(1 + round % 5);
    }
}

#[test]
fn teams_of_several_threads_keep_apart_and_end_with_them() {
    let firsts: Vec<_> = (0..4)
        .map(|first| {
            thread::spawn(move || {
                for round in 0..100 {
                    check(2 + (first + round) % 3);
                }
                OWN.with_borrow(|own| Arc::downgrade(&own.as_ref().unwrap().team))
            })
        })
        .collect();
    for first in firsts {
        let team = first.join().unwrap();
        // Its other threads hold the team until they have ended, which they do by themselves.
        while team.strong_count() > 0 {
            thread::yield_now();
        }
    }
}

#[test]
fn threads_that_sleep_wake_up() {
    /// Counts threads; the first one comes to the barrier when all others sleep there.
    unsafe extern "C" fn uneven(data: *mut c_void) {
        if omp_get_thread_num() == 0 {
            let team = team().unwrap();
            while team.asleep.load(Ordering::SeqCst) < 2 {
                thread::yield_now();
            }
        }
        GOMP_barrier();
        // SAFETY: the test passes one that outlives the region.
        unsafe { &*data.cast::<AtomicU32>() }.fetch_add(1, Ordering::SeqCst);
    }
    let count = AtomicU32::new(0);
    for round in 1..=3 {
        // SAFETY: it outlives the call.
        unsafe { GOMP_parallel(uneven, (&raw const count).cast_mut().cast(), 3, 0) };
        assert_eq!(count.load(Ordering::SeqCst), 3 * round);
        // And those that sleep between regions.
        let idle = || OWN.with_borrow(|own| own.as_ref().unwrap().team.idle.load(Ordering::SeqCst));
        while idle() < 2 {
            thread::yield_now();
        }
    }
}

#[test]
fn a_left_out_thread_is_not_woken_at_barriers() {
    check(3);
    let team = OWN.with_borrow(|own| Arc::clone(&own.as_ref().unwrap().team));
    while team.idle.load(Ordering::SeqCst) < 2 {
        thread::yield_now();
    }
    check(2);
    assert_eq!(team.asleep.load(Ordering::SeqCst), 0);
}

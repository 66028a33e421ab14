use proptest::prelude::*;

use super::*;

const STEP: Duration = Duration::from_secs(10);
const FIRST: Duration = Duration::from_secs(40);
const WORD: Duration = Duration::from_secs(5);
const PATIENCE: Patience = Patience { step: STEP, first_step: FIRST, word: WORD };

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A worker whose steps have eight tokens and take no time worth speaking of.
fn tick(steps: u64, pending: u32) -> Tick {
    let largest_step_tokens = if steps > 0 { 8 } else { 0 };
    Tick { steps, pending, largest_step_tokens, ..Tick::default() }
}

fn verdict(ticks: impl IntoIterator<Item = (u64, Tick)>, at_s: u64) -> Verdict {
    let start = Instant::now();
    let mut progress = Progress::new(start, PATIENCE);
    for (at, tick) in ticks {
        progress.tick(start + seconds(at), &tick);
    }
    progress.judge(start + seconds(at_s))
}

/// Feeds `(at_s, steps, pending)` and judges at `at_s`.
fn check(ticks: &[(u64, u64, u32)], at_s: u64, expected: Verdict) {
    let got = verdict(ticks.iter().map(|(at, steps, pending)| (*at, tick(*steps, *pending))), at_s);
    assert_eq!(got, expected, "{ticks:?} at {at_s}");
}

/// `(at_s, steps, pending)` every 4 s, up to and with `until_s`.
fn standing(steps: u64, until_s: u64) -> Vec<(u64, u64, u32)> {
    (0..=until_s).step_by(4).map(|at| (at, steps, 1)).collect()
}

#[test]
fn verdicts() {
    check(&[], 4, Verdict::Well);
    check(&[], 5, Verdict::Silent(WORD));
    check(&[(4, 0, 0)], 8, Verdict::Well);
    check(&[(4, 0, 0)], 9, Verdict::Silent(WORD));
    // Work arrives late: the clock starts with it.
    let late = [(4, 3, 0), (8, 3, 1), (12, 3, 1), (16, 3, 1)];
    check(&late, 17, Verdict::Well);
    check(&late, 18, Verdict::Stuck(STEP));
    // Steps go on.
    check(&[(1, 1, 1), (5, 2, 1), (9, 3, 1)], 12, Verdict::Well);
    // The observer slept.
    check(&[(1, 1, 1)], 60, Verdict::Well);
    // The first step may take longer.
    check(&standing(0, 36), 39, Verdict::Well);
    check(&standing(0, 36), 40, Verdict::Stuck(FIRST));
    // Whoever waits for nobody is no worker that hangs.
    check(&[(4, 7, 0), (8, 7, 0), (12, 7, 0), (16, 7, 0)], 20, Verdict::Well);
}

#[test]
fn a_step_is_judged_by_its_like() {
    // Of a step of `tokens` after steps of at most `largest` that took `longest_ms` at most.
    let check = |tokens: u32, largest: u32, longest_ms: u64, expected_s: u64| {
        let tick = Tick {
            steps: 9,
            pending: 1,
            step_tokens: tokens,
            largest_step_tokens: largest,
            longest_step_us: longest_ms * 1000,
            ..Tick::default()
        };
        assert_eq!(PATIENCE.of_step(&tick), seconds(expected_s), "{tokens} {largest} {longest_ms}");
    };
    check(1, 1, 0, 10);
    check(1, 1, 500, 12);
    // A smaller one may take as long as the largest: it may be another kind of step.
    check(1, 512, 500, 12);
    check(512, 512, 500, 12);
    // A larger one in proportion.
    check(500, 1, 10, 10 + 4 * 5);
    check(100, 10, 500, 30);
    // Between steps.
    check(0, 512, 500, 12);
    // Nothing is known.
    check(512, 0, 0, 40);
    // Whatever a worker says, it is not waited for without end.
    check(u32::MAX, 1, u64::MAX / 1000, 10 + 3600);
}

proptest! {
    #[test]
    fn who_reports_steps_in_time_is_never_replaced(gaps in prop::collection::vec(1u64..5_000, 1..100)) {
        let mut now = Instant::now();
        let mut progress = Progress::new(now, PATIENCE);
        for (steps, gap) in (1u64..).zip(gaps) {
            now += Duration::from_millis(gap);
            prop_assert_eq!(progress.judge(now), Verdict::Well);
            progress.tick(now, &tick(steps, 1));
        }
    }

    #[test]
    fn who_stands_still_is_found_out_in_time_and_not_before(
        largest in 1u32..10_000,
        tokens in 0u32..100_000,
        longest_us in 0u64..1_000_000,
        gap_ms in 1u64..1_000,
    ) {
        let tick = Tick {
            steps: 1,
            pending: 1,
            step_tokens: tokens,
            largest_step_tokens: largest,
            longest_step_us: longest_us,
            ..Tick::default()
        };
        let start = Instant::now();
        let mut progress = Progress::new(start, PATIENCE);
        let mut now = start;
        progress.tick(now, &tick);
        // What a step of this size takes when it is no slower per token than the longest one was.
        let honest_us = longest_us * u64::from(tokens / largest).max(1);
        while progress.judge(now) == Verdict::Well {
            now = (now + Duration::from_millis(gap_ms)).min(progress.deadline());
            if progress.judge(now) == Verdict::Well {
                progress.tick(now, &tick);
            }
            prop_assert!(now - start <= STEP + FIRST + LONGEST_STEP);
        }
        prop_assert!(matches!(progress.judge(now), Verdict::Stuck(_)));
        prop_assert!(now - start >= STEP + Duration::from_micros(honest_us).min(LONGEST_STEP));
    }
}

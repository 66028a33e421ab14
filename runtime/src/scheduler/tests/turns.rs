//! Who is admitted first, and how much of a prompt goes beside those that decode.

use super::*;

/// The order in which what was asked is admitted to the only slot, by the owners' names.
fn order(asked: &[(&'static str, i32)]) -> Vec<&'static str> {
    let mut bench = Bench::new(limits(1, 64, 16), Faults::default());
    let mut readers: Vec<_> = asked
        .iter()
        .map(|&(owner, priority)| (owner, bench.submit(&Ask { owner, priority, ..ask(b"prompt", 3) })))
        .collect();
    let mut order = Vec::new();
    while bench.tick() != Turn::Idle {
        readers.retain_mut(|(owner, reader)| {
            let has_begun = !reader.is_empty();
            order.extend(has_begun.then_some(*owner));
            !has_begun
        });
    }
    order
}

#[test]
fn owners_take_turns_and_priority_goes_first() {
    let check = |asked: &[(&'static str, i32)], expected: &[&str]| assert_eq!(order(asked), expected);
    check(&[("a", 0), ("a", 0), ("a", 0), ("b", 0)], &["a", "b", "a", "a"]);
    check(&[("a", 0), ("b", 1), ("c", 2), ("b", 2)], &["c", "b", "b", "a"]);
}

#[test]
fn a_prompt_lengthens_steps_within_bounds() {
    let mut bench = Bench::new(limits(2, 512, 256), Faults::default());
    let _decoding = bench.submit(&ask(b"first", 100));
    bench.tick();
    bench.scheduler.stretch = Stretch::new(2.0);
    // 40 ms a step, 1 ms for each token of a prompt.
    bench.scheduler.stretch.learn(1, 0, Duration::from_millis(40));
    bench.scheduler.stretch.learn(0, 100, Duration::from_millis(100));
    let _prompt = bench.submit(&ask(&[b'p'; 200], 1));
    bench.scheduler.admit(&mut bench.engine, Instant::now());
    bench.scheduler.compose();
    assert_eq!(bench.scheduler.batch.n_tokens(), 1 + 40);
}

#[test]
fn prompts_that_come_at_once_begin_together() {
    let mut bench = Bench::new(limits(4, 512, 256), Faults::default());
    let _decoding = bench.submit(&ask(b"first", 100));
    bench.tick();
    bench.scheduler.stretch = Stretch::new(2.0);
    let mut composed = |letter: u8, expected: usize| {
        for _ in 0..40 {
            bench.scheduler.stretch.learn(1, 0, Duration::from_millis(40));
            bench.scheduler.stretch.learn(0, 100, Duration::from_millis(100));
        }
        let _prompts = [(); 2].map(|()| bench.submit(&ask(&[letter; 100], 1)));
        bench.scheduler.admit(&mut bench.engine, Instant::now());
        bench.scheduler.compose();
        assert_eq!(bench.scheduler.batch.n_tokens(), expected);
        while bench.scheduler.running.len() > 1 || bench.scheduler.n_waiting() > 0 {
            bench.tick();
        }
    };
    composed(b'p', 1 + 200);
    // Soon after that they may not.
    composed(b'q', 1 + 40);
}

#[test]
fn short_prompts_pass_a_long_one_which_comes_on() {
    let mut bench = Bench::new(limits(2, 512, 16), Faults::default());
    let long = bench.submit(&ask(&[b'l'; 400], 1));
    bench.tick();
    let mut n_passed = 0;
    while long.is_empty() {
        let short = bench.submit(&ask(&[b's'; 30], 1));
        while short.is_empty() && long.is_empty() {
            bench.tick();
        }
        n_passed += usize::from(!short.is_empty());
        while bench.scheduler.running.len() > 1 {
            bench.tick();
        }
    }
    // 25 steps of its own; each short prompt takes two.
    assert!((10..60).contains(&n_passed), "{n_passed} short prompts passed it");
}

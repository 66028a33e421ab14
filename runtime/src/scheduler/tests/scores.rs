//! Scores of prompts and completions, whatever happens to the steps that they come from.

use super::*;
use crate::{
    engine::Want,
    scheduler::composition::{KNOWN_ROWS_BYTES, Room},
};

fn prompt(bytes: &[u8]) -> Vec<TokenId> {
    bytes.iter().map(|&byte| TokenId(byte.into())).collect()
}

/// The scores of `tokens` from place `first` on, worked out without a scheduler.
fn scores(tokens: &[TokenId], first: usize, top: u32) -> Vec<Score> {
    let row = |place: usize| FakeEngine::row_after(&tokens[..place], VOCABULARY);
    (first..tokens.len()).map(|place| Score::of(&row(place), tokens[place], top)).collect()
}

/// Checks what a reader got of a request for `prompt` whose tokens all have two alternatives.
fn is_scored(got: &Got, bytes: &[u8]) {
    let mut tokens = prompt(bytes);
    let said = got.prompt.as_ref().expect("the prompt was said");
    assert_eq!(said.iter().map(|(token, _)| *token).collect::<Vec<_>>(), tokens);
    assert_eq!(said[0].1, Score::default());
    let of_prompt: Vec<_> = said[1..].iter().map(|(_, score)| score.clone()).collect();
    assert_eq!(of_prompt, scores(&tokens, 1, 2));
    tokens.extend(&got.tokens);
    assert_eq!(got.scores, scores(&tokens, bytes.len(), 2));
}

fn scored(bytes: &[u8], max_tokens: u32) -> Ask {
    Ask { logprobs: Some(2), prompt_scores: Some(2), ..ask(bytes, max_tokens) }
}

#[test]
fn scores_do_not_depend_on_how_a_prompt_is_cut() {
    let text = b"a prompt of some length";
    for tokens_per_step in [1, 3, 8, 22, 23, 64] {
        let mut bench = Bench::new(limits(1, 64, tokens_per_step), Faults::default());
        let mut reader = bench.submit(&scored(text, 5));
        bench.run();
        let got = drain(&mut reader);
        is_scored(&got, text);
        assert_eq!(got.tokens, oracle(text, 5));
    }
    let mut bench = Bench::new(limits(1, 64, 8), Faults::default());
    let mut reader = bench.submit(&scored(b"x", 3));
    bench.run();
    is_scored(&drain(&mut reader), b"x");
}

#[test]
fn what_a_slot_holds_has_no_scores_and_is_computed_again() {
    let text = b"the same text, asked for twice and more";
    let mut bench = Bench::new(limits(1, 64, 16), Faults::default());
    let mut cached = |ask: &Ask| {
        let mut reader = bench.submit(ask);
        bench.run();
        let got = drain(&mut reader);
        assert_eq!(got.prompt.is_some(), ask.prompt_scores.is_some());
        got.ending.unwrap().usage.cached_tokens
    };
    assert_eq!(cached(&ask(text, 2)), 0);
    assert_eq!(cached(&scored(text, 2)), 0);
    assert_eq!(cached(&ask(text, 2)), text.len() as u32 - 1);
    // Scores of the completion alone need no row of the prompt.
    assert_eq!(cached(&Ask { logprobs: Some(2), ..ask(text, 2) }), text.len() as u32 - 1);
}

#[test]
fn the_prompt_alone_ends_with_length() {
    let check = |ask: Ask, n_steps: u64| {
        let mut bench = Bench::new(limits(1, 64, 64), Faults::default());
        let mut reader = bench.submit(&Ask { no_completion: true, ..ask.clone() });
        bench.run();
        let got = drain(&mut reader);
        assert_eq!(got.prompt.is_some(), ask.prompt_scores.is_some());
        assert_eq!((got.tokens.len(), bench.engine.n_steps()), (0, n_steps));
        let ending = got.ending.unwrap();
        assert_eq!((ending.reason, ending.usage.completion_tokens), (FinishReason::Length, 0));
    };
    check(ask(b"nothing behind this", 0), 0);
    check(scored(b"nothing behind this", 0), 1);
    check(scored(b"1", 0), 1);
}

#[test]
fn a_preempted_prompt_is_said_once() {
    let faults = Faults { kv_tokens: Some(70), ..Faults::default() };
    let mut bench = Bench::new(limits(4, 128, 8), faults);
    let prompts =
        [&b"a long prompt that is preempted"[..], b"another long prompt", b"and a third one, longer"];
    let mut readers: Vec<_> = prompts.iter().map(|prompt| bench.submit(&scored(prompt, 12))).collect();
    bench.run();
    for (prompt, reader) in prompts.iter().zip(&mut readers) {
        let got = drain(reader);
        is_scored(&got, prompt);
        assert_eq!(got.tokens, oracle(prompt, 12));
    }
    assert!(bench.counters.stats("m").preemptions > 0);
}

#[test]
fn who_has_tokens_is_not_told_the_prompt_again() {
    let text = b"told before";
    let resume = oracle(text, 3);
    let mut bench = Bench::new(limits(1, 64, 64), Faults::default());
    let mut reader = bench.submit(&Ask { resume: resume.clone(), ..scored(text, 5) });
    bench.run();
    let got = drain(&mut reader);
    assert_eq!(got.prompt, None);
    let mut tokens = prompt(text);
    tokens.extend(resume.iter().chain(&got.tokens));
    assert_eq!(got.scores, scores(&tokens, text.len() + 3, 2));
}

#[test]
fn rows_of_known_tokens_are_bounded() {
    let check = |vocabulary: u32, step: (usize, usize, usize), expected: (usize, Want)| {
        let mut room = Room::of(Limits { vocabulary, ..limits(1, 4096, 512) });
        let (n_tokens, held, first_row) = step;
        assert_eq!(room.take(n_tokens, held, first_row), expected, "{vocabulary} {step:?}");
    };
    assert_eq!(KNOWN_ROWS_BYTES, 16 << 20);
    check(128 << 10, (2000, 0, 1999), (512, Want::Nothing));
    check(128 << 10, (2000, 1999, 1999), (1, Want::Last));
    check(128 << 10, (2000, 0, 0), (32, Want::All));
    check(128 << 10, (2000, 40, 100), (60, Want::Nothing));
    check(128 << 10, (2000, 1990, 1990), (10, Want::All));
    check(256, (2000, 0, 0), (512, Want::All));
    check(u32::MAX, (2000, 0, 0), (1, Want::All));
    // All sequences of a step share the bound.
    let mut room = Room::of(Limits { vocabulary: 128 << 10, ..limits(4, 4096, 512) });
    let taken = [20, 20, 20].map(|n_tokens| room.take(n_tokens, 0, 0).0);
    assert_eq!(taken, [20, 12, 0]);
}

#[test]
fn mirostat_goes_on_where_the_stream_broke_off() {
    let whole = Ask { temperature: 1.3, mirostat: true, ..ask(b"a bound that moves", 24) };
    for tokens_per_step in [4, 64] {
        let run = |ask: &Ask, faults: Faults| {
            let mut bench = Bench::new(limits(2, 64, tokens_per_step), faults);
            let mut reader = bench.submit(ask);
            bench.run();
            drain(&mut reader).tokens
        };
        let expected = run(&whole, Faults::default());
        assert_ne!(expected, run(&Ask { mirostat: false, ..whole.clone() }, Faults::default()));
        for cut in 0..=expected.len() {
            let resumed = Ask { resume: expected[..cut].to_vec(), ..whole.clone() };
            assert_eq!(run(&resumed, Faults::default()), expected[cut..], "cut at {cut}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Scores are those of the tokens alone: neighbours, chunks, preemption and engines without truncation add nothing.
    #[test]
    fn scores_are_a_function_of_the_tokens(
        slots in 1..4u32,
        tokens_per_step in 4..40u32,
        rigid_kv: bool,
        full_at in prop::option::of(150..400usize),
        asks in prop::collection::vec((1..60usize, 0..3u8, 0..12u32, any::<bool>(), 0..4usize), 1..10),
    ) {
        let faults = Faults { rigid_kv, kv_tokens: full_at, ..Faults::default() };
        let mut bench = Bench::new(limits(slots, 96, tokens_per_step.max(slots)), faults);
        let mut open = Vec::new();
        for (length, letter, max_tokens, is_scored, pause) in asks {
            let bytes: Vec<u8> = (0..length).map(|idx| b'a' + letter + (idx / 40) as u8).collect();
            let of = if is_scored { scored(&bytes, max_tokens) } else { ask(&bytes, max_tokens) };
            let reader = bench.submit(&Ask { no_completion: true, ..of });
            open.push((bytes, max_tokens, is_scored, reader));
            for _ in 0..pause {
                bench.tick();
            }
        }
        bench.run();
        for (bytes, max_tokens, is_scored, reader) in &mut open {
            let got = drain(reader);
            prop_assert_eq!(&got.tokens, &oracle(bytes, *max_tokens as usize));
            prop_assert!(got.ending.is_some());
            if *is_scored {
                super::scores::is_scored(&got, bytes);
            }
        }
    }
}

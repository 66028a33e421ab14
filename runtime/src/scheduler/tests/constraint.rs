use super::*;
use crate::sampling::grammar::{Constraint, check};

pub(super) fn constraint(lark: &str, ignore_end: bool) -> Constraint {
    check(lark, Arc::new(ByteVocabulary::default())).unwrap().begin(ignore_end)
}

/// A grammar with choices at every token and no end but its own.
const DATE: &str = "start: /[0-9]{4}-[0-9]{2}-[0-9]{2}/";

fn held(lark: &'static str) -> Ask {
    Ask { lark: Some(lark), ..ask(b"the day is ", 64) }
}

fn run(ask: &Ask) -> Got {
    let mut bench = Bench::new(limits(2, 256, 16), Faults::default());
    let mut reader = bench.submit(ask);
    bench.run();
    drain(&mut reader)
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.char_indices().all(|(at, char)| match at {
            4 | 7 => char == '-',
            _ => char.is_ascii_digit(),
        })
}

#[test]
fn outputs_keep_to_their_grammar_and_end_with_it() {
    for temperature in [0.0, 1.0, 2.0] {
        let got = run(&Ask { temperature, ..held(DATE) });
        assert!(is_date(&got.text), "{:?}", got.text);
        assert_eq!(got.ending.unwrap().reason, FinishReason::End);
    }
}

#[test]
fn an_output_that_is_cut_says_so() {
    let got = run(&Ask { max_tokens: 6, ..held(DATE) });
    assert_eq!((got.text.len(), got.ending.unwrap().reason), (6, FinishReason::Length));
}

#[test]
fn a_complete_grammar_ends_whatever_else_was_asked_for() {
    let check = |ask: &Ask, length: std::ops::RangeInclusive<usize>| {
        let got = run(ask);
        assert!(length.contains(&got.text.len()), "{ask:?}: {:?}", got.text);
        assert_eq!(got.ending.unwrap().reason, FinishReason::End, "{ask:?}");
    };
    check(&Ask { ignore_end: true, ..held(DATE) }, 10..=10);
    check(&Ask { min_tokens: 30, ..held(DATE) }, 10..=10);
    check(&Ask { ignore_end: true, ..held("start: /a{1,20}/") }, 20..=20);
    check(&Ask { min_tokens: 12, ..held("start: /a{1,20}/") }, 12..=20);
}

#[test]
fn stop_strings_cut_a_constrained_output_too() {
    let got = run(&Ask { stop: vec!["-".to_owned()], ..held(DATE) });
    assert_eq!((got.text.len(), got.ending.unwrap().reason), (4, FinishReason::StopString("-".to_owned())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// What a successor says after replaying tokens is what its predecessor would have said, with neighbours or
    /// without, with a sampler that remembers logits or without.
    #[test]
    fn replay_continues_a_constrained_output(cut in 0..10_usize, mirostat: bool, temperature in 0.5..2.0_f32) {
        let asked = Ask { temperature, mirostat, logprobs: Some(2), ..held(DATE) };
        let whole = run(&asked);
        let resumed = Ask { resume: whole.tokens[..cut].to_vec(), ..asked.clone() };
        let mut bench = Bench::new(limits(3, 256, 16), Faults::default());
        let mut neighbours = [bench.submit(&held("start: /[a-z]+/ \";\"")), bench.submit(&ask(b"free", 20))];
        let mut reader = bench.submit(&resumed);
        bench.run();
        prop_assert_eq!(&drain(&mut reader).tokens, &whole.tokens[cut..]);
        prop_assert!(drain(&mut neighbours[0]).text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b';'));
        prop_assert_eq!(drain(&mut neighbours[1]).tokens.len(), 20);
    }
}

#[test]
fn preempted_sequences_keep_their_place_in_the_grammar() {
    let asks: Vec<_> = (0..3).map(|n| Ask { prompt: vec![b'a' + n; 20], ..held(DATE) }).collect();
    let mut bench = Bench::new(limits(3, 64, 32), Faults { kv_tokens: Some(70), ..Faults::default() });
    let mut readers: Vec<_> = asks.iter().map(|ask| bench.submit(ask)).collect();
    bench.run();
    for (ask, reader) in asks.iter().zip(&mut readers) {
        let got = drain(reader);
        assert!(is_date(&got.text), "{ask:?}: {:?} {:?}", got.text, got.failed);
    }
}

#[test]
fn what_was_not_said_under_the_grammar_fails_the_sequence() {
    let got = run(&Ask { resume: vec![TokenId(b'x'.into())], ..held(DATE) });
    assert!(
        got.failed.is_some_and(|reason| reason.contains("grammar")),
        "a resumed token is outside the grammar"
    );
}

//! Whether an answer is the one that was due.

use super::answer::{Answer, Choice};

/// What log probabilities of one text may differ by.
const ROUNDING: f64 = 1e-3;

/// How an answer compares with the one without faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Same,
    /// Something is missing, or comes twice: the words say where.
    Gap(String),
    /// Something else.
    Differs(String),
}

/// Compares choice by choice; the first that is wrong decides.
pub(super) fn compare(expected: &Answer, got: &Answer) -> Verdict {
    if expected.choices.len() != got.choices.len() {
        let (due, came) = (expected.choices.len(), got.choices.len());
        return Verdict::Differs(format!("{came} choices instead of {due}"));
    }
    let pairs = expected.choices.iter().zip(&got.choices);
    let wrong = pairs.map(|(expected, got)| compare_choices(expected, got)).find(|one| *one != Verdict::Same);
    if let Some(wrong) = wrong {
        return wrong;
    }
    if expected.completion_tokens == got.completion_tokens {
        Verdict::Same
    } else {
        let (due, came) = (expected.completion_tokens, got.completion_tokens);
        Verdict::Differs(format!("{came} tokens are counted instead of {due}"))
    }
}

fn compare_choices(expected: &Choice, got: &Choice) -> Verdict {
    if expected.text != got.text {
        let words = format!("{:?} instead of {:?}", got.text, expected.text);
        return if is_spliced(&expected.text, &got.text) {
            Verdict::Gap(words)
        } else {
            Verdict::Differs(words)
        };
    }
    if (&expected.reasoning, &expected.calls) != (&got.reasoning, &got.calls) {
        let said = |choice: &Choice| format!("{:?} and the calls {:?}", choice.reasoning, choice.calls);
        return Verdict::Differs(format!("the thought {} instead of {}", said(got), said(expected)));
    }
    if let Some(words) = other_logprobs(expected, got) {
        return Verdict::Differs(words);
    }
    if expected.finish_reason != got.finish_reason {
        return Verdict::Differs(format!(
            "it finished with {:?} instead of {:?}",
            got.finish_reason, expected.finish_reason
        ));
    }
    Verdict::Same
}

/// What is wrong with the log probabilities: other tokens, or other numbers than rounding explains, since a successor
/// computes as a prompt what its predecessor computed token by token.
fn other_logprobs(expected: &Choice, got: &Choice) -> Option<String> {
    let (due, came) = (expected.logprobs.len(), got.logprobs.len());
    if due != came {
        return Some(format!("{came} log probabilities instead of {due}"));
    }
    let mut pairs = expected.logprobs.iter().zip(&got.logprobs);
    let is_near = |due: f64, came: f64| (due - came).abs() < ROUNDING;
    let (due, came) = pairs.find(|(due, came)| due.0 != came.0 || !is_near(due.1, came.1))?;
    Some(format!("the log probability {came:?} instead of {due:?}"))
}

/// Whether `got` is a beginning of `expected` followed by an end of it, which do not meet.
fn is_spliced(expected: &str, got: &str) -> bool {
    let (expected, got) = (expected.as_bytes(), got.as_bytes());
    let front = expected.iter().zip(got).take_while(|(a, b)| a == b).count();
    let back = expected.iter().rev().zip(got.iter().rev()).take_while(|(a, b)| a == b).count();
    front + back >= got.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer {
        let choice = Choice { text: text.to_owned(), finish_reason: "stop".to_owned(), ..Choice::default() };
        Answer { choices: vec![choice], completion_tokens: 9 }
    }

    #[test]
    fn gaps_and_repetitions_are_told_from_other_texts() {
        let check = |got: &str, is_gap: Option<bool>| {
            let verdict = compare(&answer("1, 2, 3, 4, 5"), &answer(got));
            let found = match verdict {
                Verdict::Same => None,
                Verdict::Gap(_) => Some(true),
                Verdict::Differs(_) => Some(false),
            };
            assert_eq!(found, is_gap, "{got:?}");
        };
        check("1, 2, 3, 4, 5", None);
        check("1, 2, 4, 5", Some(true));
        check("1, 2, 3, 3, 4, 5", Some(true));
        check("1, 2, 3, 4", Some(true));
        check("", Some(true));
        check("1, 2, 3, 4, 5, 6", Some(false));
        check("1, 2, 7, 4, 5", Some(false));
        check("one, two", Some(false));
    }

    #[test]
    fn counts_and_reasons_count() {
        let expected = answer("a");
        let mut got = expected.clone();
        got.completion_tokens = 8;
        assert!(matches!(compare(&expected, &got), Verdict::Differs(_)));
        let mut got = expected.clone();
        got.choices[0].finish_reason = "length".to_owned();
        assert!(matches!(compare(&expected, &got), Verdict::Differs(_)));
        assert!(matches!(compare(&expected, &Answer::default()), Verdict::Differs(_)));
        let mut got = expected.clone();
        got.choices[0].calls.push(("f".to_owned(), "{}".to_owned()));
        assert!(matches!(compare(&expected, &got), Verdict::Differs(_)));
    }

    #[test]
    fn log_probabilities_are_the_same_but_for_rounding() {
        let of = |logprobs: &[(&str, f64)]| {
            let mut answer = answer("1");
            answer.choices[0].logprobs =
                logprobs.iter().map(|(token, p)| ((*token).to_owned(), *p)).collect();
            answer
        };
        let check = |got: &[(&str, f64)], is_same: bool| {
            let verdict = compare(&of(&[("1", -0.5)]), &of(got));
            assert_eq!(verdict == Verdict::Same, is_same, "{got:?}");
        };
        check(&[("1", -0.500_001)], true);
        check(&[("1", -0.51)], false);
        check(&[("1", f64::NAN)], false);
        check(&[("2", -0.5)], false);
        check(&[], false);
    }
}

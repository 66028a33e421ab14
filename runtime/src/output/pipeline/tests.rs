//! From tokens to parts, over vocabularies of a few bytes.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Output, Step, Stopped};
use crate::engine::{TokenId, TokenizeError, Vocabulary, fake::ByteVocabulary};
use crate::output::format::{Template, named};
use crate::output::{Beginning, Part, Parts, StopParams, Tool, part};

/// Pieces by token; the last token ends.
struct Pieces(Vec<&'static [u8]>);

impl Vocabulary for Pieces {
    fn size(&self) -> u32 {
        self.0.len() as u32 + 1
    }
    fn piece(&self, token: TokenId) -> &[u8] {
        self.0.get(token.0 as usize).copied().unwrap_or_default()
    }
    fn is_end(&self, token: TokenId) -> bool {
        token.0 as usize == self.0.len()
    }
    fn encode(&self, _: &str, _: bool) -> Result<Vec<TokenId>, TokenizeError> {
        Ok(Vec::new())
    }
    fn begin_text(&self) -> &'static str {
        ""
    }
    fn end_text(&self) -> &'static str {
        ""
    }
    fn longest_piece_bytes(&self) -> usize {
        8
    }
}

const END: u32 = 6;

fn vocabulary() -> Arc<dyn Vocabulary> {
    Arc::new(Pieces(vec![b"a", b"ST", b"OP", b"\xe2\x82", b"\xac", b""]))
}

fn output(stop: &[&str], ignore_end: bool) -> Output {
    let stop = stop.iter().map(ToString::to_string).collect();
    Output::new(vocabulary(), &StopParams { stop, ignore_end, ..StopParams::default() }).unwrap()
}

fn parts(text: &str) -> Vec<Part> {
    if text.is_empty() { Vec::new() } else { vec![Part::Text(text.to_owned())] }
}

fn step(text: &str) -> Step {
    Step { parts: parts(text).into(), stopped: None }
}

#[test]
fn tokens_become_text_until_a_stop() {
    let check = |mut output: Output, tokens: &[u32], expected: &[Step], rest: &str| {
        let steps: Vec<Step> = tokens.iter().map(|&token| output.push(TokenId(token))).collect();
        assert_eq!(steps, expected, "tokens {tokens:?}");
        assert_eq!(output.finish(), parts(rest), "tokens {tokens:?}");
    };
    let ended = Step { parts: Parts::new(), stopped: Some(Stopped::EndToken) };
    let stopped = Step { parts: Parts::new(), stopped: Some(Stopped::StopString("STOP".to_owned())) };
    check(output(&["STOP"], false), &[0, 1, 0], &[step("a"), step(""), step("STa")], "");
    check(output(&["STOP"], false), &[0, 1, 2], &[step("a"), step(""), stopped], "");
    check(output(&["STOP"], false), &[0, 1, END], &[step("a"), step(""), ended.clone()], "ST");
    check(output(&[], false), &[3, 4, 5, 3], &[step(""), step("\u{20ac}"), step(""), step("")], "\u{fffd}");
    check(output(&[], false), &[END], &[ended], "");
    check(output(&[], true), &[END, 0], &[step(""), step("a")], "");
}

/// An output that may think and call, over a vocabulary of bytes.
fn thinking(prompt_tail: &str, budget: Option<u32>) -> Output {
    stopping(prompt_tail, budget, &[])
}

fn stopping(prompt_tail: &str, budget: Option<u32>, stop: &[&str]) -> Output {
    let format = named("hermes", &Template::new("")).unwrap();
    let beginning = Beginning {
        prompt_tail: prompt_tail.to_owned(),
        tools: vec![Tool { name: "f".to_owned(), ..Tool::default() }],
        ..Beginning::default()
    };
    let stop = stop.iter().map(ToString::to_string).collect();
    let params = StopParams { stop, ..StopParams::default() };
    let output = Output::new(Arc::new(ByteVocabulary::default()), &params).unwrap();
    output.read_as(&*format, &beginning, budget)
}

/// Pushes `said`, and what is forced in between; the parts that came of it, and all that was pushed.
fn say(output: &mut Output, said: &str) -> (Vec<Part>, String) {
    let (mut parts, mut pushed) = (Vec::new(), Vec::new());
    let mut said = said.bytes();
    while let Some(token) = output.forced().or_else(|| said.next().map(|byte| TokenId(byte.into()))) {
        pushed.push(token.0 as u8);
        parts.extend(output.push(token).parts);
    }
    parts.extend(output.finish());
    (part::joined(parts), String::from_utf8(pushed).unwrap())
}

#[test]
fn a_thought_ends_when_it_has_used_its_tokens() {
    let check = |tail: &str, budget: Option<u32>, said: &str, pushed: &str, thought: &str, tokens: u32| {
        let mut output = thinking(tail, budget);
        let (parts, all) = say(&mut output, said);
        assert_eq!(all, pushed, "{said} within {budget:?}");
        let mut expected = vec![Part::Reasoning(thought.to_owned()), Part::Text("Yes.".to_owned())];
        expected.retain(|part| *part != Part::Reasoning(String::new()));
        assert_eq!((parts, output.reasoning_tokens()), (expected, tokens), "{said} within {budget:?}");
    };
    let end = "\n</think>\n\n";
    check("", None, "<think>abc</think>Yes.", "<think>abc</think>Yes.", "abc", 11);
    check("", Some(3), "<think>abcYes.", &format!("<think>abc{end}Yes."), "abc", 12);
    check("<think>\n", Some(0), "Yes.", &format!("{end}Yes."), "", 9);
    check("<think>\n", Some(2), "abYes.", &format!("ab{end}Yes."), "ab", 11);
    check("", Some(3), "Yes.", "Yes.", "", 0);
}

#[test]
fn calls_are_known_to_have_been_made() {
    let check = |said: &str, expected: bool| {
        let mut output = thinking("", None);
        say(&mut output, said);
        assert_eq!(output.has_called(), expected, "{said}");
    };
    check("<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>", true);
    check("<tool_call>f</tool_call>", false);
}

#[test]
fn the_end_of_a_thought_waits_for_the_end_of_a_character() {
    let mut output = thinking("<think>\n", Some(1));
    let push = |output: &mut Output, bytes: &[u8]| {
        for &byte in bytes {
            output.push(TokenId(byte.into()));
        }
    };
    let (forced, emoji) = (Some(TokenId(b'\n'.into())), "\u{1f642}".as_bytes());
    push(&mut output, &emoji[..1]);
    assert_eq!(output.forced(), forced);
    // A grammar does not let it come before the character is whole.
    push(&mut output, &emoji[1..]);
    assert_eq!(output.forced(), forced);
    // The model may end the thought all by itself until then, and nothing more is forced.
    let mut ended = thinking("<think>\n", Some(1));
    push(&mut ended, b"a</think>");
    assert_eq!((ended.forced(), ended.is_reasoning()), (None, false));
    let (parts, _) = say(&mut output, "Yes.");
    assert_eq!(parts.last(), Some(&Part::Text("Yes.".to_owned())));
}

#[test]
fn a_call_that_a_stop_string_cuts_is_not_made() {
    let check = |stop: &str, expected: bool| {
        let mut output = stopping("", None, &[stop]);
        let call = |city: &str| {
            format!(
                "<tool_call>\n{{\"name\": \"f\", \"arguments\": {{\"city\": \"{city}\"}}}}\n</tool_call>\n"
            )
        };
        let said = format!("One.{}{}Two.", call("K\u{f6}ln"), call("Oslo"));
        let stopped = said.bytes().any(|byte| output.push(TokenId(byte.into())).stopped.is_some());
        output.finish();
        assert_eq!((output.has_called(), stopped), (expected, stop != "none"), "{stop}");
    };
    check("none", true);
    check("One", false);
    check("f\"", false);
    check("K\u{f6}ln", false);
    check("</tool_call>", true);
    check("sl", false);
    check("Two", true);
}

proptest! {
    #[test]
    fn replay_continues_thoughts_and_calls(split in 0..90_usize, budget in prop::option::of(0..20_u32)) {
        let said = "<think>a thought</think>Text.<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}}</tool_call>";
        let (_, pushed) = say(&mut thinking("", budget), said);
        let split = split.min(pushed.len());
        let (mut whole, mut successor) = (thinking("", budget), thinking("", budget));
        for (at, byte) in pushed.bytes().enumerate() {
            let (forced, step) = (whole.forced(), whole.push(TokenId(byte.into())));
            if at >= split {
                prop_assert_eq!(successor.forced(), forced);
                prop_assert_eq!(successor.push(TokenId(byte.into())), step);
            } else {
                successor.push(TokenId(byte.into()));
            }
        }
        prop_assert_eq!(successor.finish(), whole.finish());
        prop_assert_eq!(successor.reasoning_tokens(), whole.reasoning_tokens());
    }

    /// What a successor says after replaying a predecessor's tokens is what the predecessor would have said.
    #[test]
    fn replay_continues_the_text(tokens in prop::collection::vec(0..END, 0..24), split in 0..24_usize) {
        let split = split.min(tokens.len());
        let (sent, later) = tokens.split_at(split);
        let mut whole = output(&["STOPST", "aa"], false);
        let mut successor = output(&["STOPST", "aa"], false);
        for &token in sent {
            whole.push(TokenId(token));
            successor.push(TokenId(token));
        }
        for &token in later {
            prop_assert_eq!(successor.push(TokenId(token)), whole.push(TokenId(token)));
        }
        prop_assert_eq!(successor.finish(), whole.finish());
    }
}

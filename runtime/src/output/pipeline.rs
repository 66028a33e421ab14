//! One sequence's way from tokens to parts of an output: text, then stop strings, then the model's format.

use std::{collections::VecDeque, sync::Arc};

use super::{
    Part,
    detokenize::Detokenizer,
    format::{Beginning, Format, Parser, Plain},
    part,
    stop::{StopError, StopMatcher, StopParams},
};
use crate::engine::{TokenId, Vocabulary};

/// The output of one sequence. Its state is a function of the tokens pushed, so pushing the tokens that a predecessor
/// sent and dropping the steps continues its output.
pub struct Output {
    vocabulary: Arc<dyn Vocabulary>,
    detokenizer: Detokenizer,
    stops: StopMatcher,
    params: StopParams,
    /// Tokens pushed.
    tokens: u32,
    reading: Reading,
    /// What the last token completed; kept for its capacity.
    completed: String,
}

/// What one token adds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// What is certain now; often nothing, since characters, possible stop strings and tags are held back.
    pub parts: Vec<Part>,
    /// Set when the sequence is over; nothing pushed later adds anything.
    pub stopped: Option<Stopped>,
}

/// Why a sequence is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// The model said so.
    EndToken,
    /// This stop string occurred; the output ends before it.
    StopString(String),
}

/// How the text is read.
struct Reading {
    parser: Box<dyn Parser>,
    /// Names of control tokens that the parser sees.
    controls: &'static [&'static str],
    called: bool,
    thought: Thought,
}

/// How long the model has thought, and what ends the thought when it has done so for too long.
#[derive(Default)]
struct Thought {
    tokens: u32,
    budget: Option<u32>,
    /// Tokens that come next, whatever the model would say.
    forced: VecDeque<TokenId>,
    /// The thought in progress was ended already, whatever the parser makes of it.
    ended: bool,
}

impl Output {
    /// The output of a sequence that has no tokens yet, which is text and nothing else. Fails if the stop strings
    /// cannot be honoured.
    pub fn new(vocabulary: Arc<dyn Vocabulary>, params: &StopParams) -> Result<Self, StopError> {
        let parser = Plain.parser(&Beginning::default());
        Ok(Self {
            vocabulary,
            detokenizer: Detokenizer::default(),
            stops: StopMatcher::new(&params.stop)?,
            params: params.clone(),
            tokens: 0,
            reading: Reading { parser, controls: &[], called: false, thought: Thought::default() },
            completed: String::new(),
        })
    }

    /// The same output read as `format` has it. A thought is ended after `budget` tokens.
    #[must_use]
    pub fn read_as(mut self, format: &dyn Format, beginning: &Beginning, budget: Option<u32>) -> Self {
        let thought = Thought { budget, ..Thought::default() };
        let (parser, controls) = (format.parser(beginning), format.control_tokens());
        self.reading = Reading { parser, controls, called: false, thought };
        self.reading.bound_thought(&*self.vocabulary);
        self
    }

    /// The token that has to come next, if one has to: the thought has used its tokens, and is ended.
    pub fn forced(&self) -> Option<TokenId> {
        self.reading.thought.forced.front().copied()
    }

    /// Whether it goes on after the model's own end token.
    pub fn ignores_end(&self) -> bool {
        self.params.ignore_end
    }

    /// Whether what comes next is thought.
    pub fn is_reasoning(&self) -> bool {
        self.reading.parser.is_reasoning()
    }

    /// Tokens so far that were thought.
    pub fn reasoning_tokens(&self) -> u32 {
        self.reading.thought.tokens
    }

    /// Whether a tool was called.
    pub fn has_called(&self) -> bool {
        self.reading.called
    }

    /// Takes the next token.
    pub fn push(&mut self, token: TokenId) -> Step {
        self.reading.count();
        self.tokens += 1;
        if self.params.is_end(token, &*self.vocabulary) {
            return Step { parts: Vec::new(), stopped: Some(Stopped::EndToken) };
        }
        self.completed.clear();
        let piece = match self.vocabulary.piece(token) {
            [] => self.reading.control(token, &*self.vocabulary).as_bytes(),
            piece => piece,
        };
        self.detokenizer.push(piece, &mut self.completed);
        let mut text = String::new();
        if self.tokens > self.params.min_tokens {
            self.stops.push(&self.completed, &mut text);
        } else {
            text.clone_from(&self.completed);
        }
        let stopped = self.stops.found().map(|stop| Stopped::StopString(stop.to_owned()));
        let parts = self.reading.read(&text);
        self.reading.bound_thought(&*self.vocabulary);
        Step { parts, stopped }
    }

    /// What is still held back, once no token is coming. Half a character becomes U+FFFD.
    pub fn finish(&mut self) -> Vec<Part> {
        self.completed.clear();
        self.detokenizer.finish(&mut self.completed);
        let mut text = String::new();
        self.stops.push(&self.completed, &mut text);
        text.push_str(&self.stops.finish());
        self.reading.finish(&text)
    }
}

impl Reading {
    /// Counts a token that is about to be read.
    fn count(&mut self) {
        self.thought.forced.pop_front();
        self.thought.tokens += u32::from(self.parser.is_reasoning());
    }

    /// The text that a control token is read as.
    fn control<'a>(&self, token: TokenId, vocabulary: &'a dyn Vocabulary) -> &'a str {
        let name = vocabulary.control_name(token).unwrap_or_default();
        if self.controls.contains(&name) { name } else { "" }
    }

    fn read(&mut self, text: &str) -> Vec<Part> {
        let mut parts = Vec::new();
        if !text.is_empty() {
            self.parser.push(text, &mut parts);
        }
        self.said(parts)
    }

    fn finish(&mut self, text: &str) -> Vec<Part> {
        let mut parts = Vec::new();
        self.parser.push(text, &mut parts);
        self.parser.finish(&mut parts);
        self.said(parts)
    }

    fn said(&mut self, parts: Vec<Part>) -> Vec<Part> {
        self.called |= parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
        part::joined(parts)
    }

    /// Makes the end of the thought come next where it has used its tokens.
    fn bound_thought(&mut self, vocabulary: &dyn Vocabulary) {
        let Thought { tokens, budget, forced, ended } = &mut self.thought;
        if !self.parser.is_reasoning() {
            *ended = false;
            return;
        }
        if *ended || budget.is_none_or(|budget| *tokens < budget) {
            return;
        }
        *ended = true;
        let Some(end) = self.parser.end_of_reasoning() else { return };
        // A text may begin with tokens that the model wants at the beginning of every text.
        let begin = vocabulary.encode("", true).map_or(0, |tokens| tokens.len());
        if let Ok(tokens) = vocabulary.encode(end, true) {
            forced.extend(tokens.into_iter().skip(begin));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::{Output, Step, Stopped};
    use crate::engine::{TokenId, TokenizeError, Vocabulary};
    use crate::output::{Part, StopParams};

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
        Step { parts: parts(text), stopped: None }
    }

    #[test]
    fn tokens_become_text_until_a_stop() {
        let check = |mut output: Output, tokens: &[u32], expected: &[Step], rest: &str| {
            let steps: Vec<Step> = tokens.iter().map(|&token| output.push(TokenId(token))).collect();
            assert_eq!(steps, expected, "tokens {tokens:?}");
            assert_eq!(output.finish(), parts(rest), "tokens {tokens:?}");
        };
        let ended = Step { parts: Vec::new(), stopped: Some(Stopped::EndToken) };
        let stopped = Step { parts: Vec::new(), stopped: Some(Stopped::StopString("STOP".to_owned())) };
        check(output(&["STOP"], false), &[0, 1, 0], &[step("a"), step(""), step("STa")], "");
        check(output(&["STOP"], false), &[0, 1, 2], &[step("a"), step(""), stopped], "");
        check(output(&["STOP"], false), &[0, 1, END], &[step("a"), step(""), ended.clone()], "ST");
        check(
            output(&[], false),
            &[3, 4, 5, 3],
            &[step(""), step("\u{20ac}"), step(""), step("")],
            "\u{fffd}",
        );
        check(output(&[], false), &[END], &[ended], "");
        check(output(&[], true), &[END, 0], &[step(""), step("a")], "");
    }

    proptest! {
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
}

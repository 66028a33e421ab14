//! One sequence's way from tokens to parts of an output: text, then stop strings, then the model's format.

mod calls;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, sync::Arc};

use super::{
    Part, Parts,
    detokenize::Detokenizer,
    format::{Beginning, Format, Parser, Plain},
    part,
    stop::{StopError, StopMatcher, StopParams},
};
use crate::engine::{TokenId, Vocabulary};
use calls::Calls;

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
    /// What the last token completed, and what of that no stop string holds back; kept for their capacity.
    completed: String,
    text: String,
}

/// What one token adds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// What is certain now; often nothing, since characters, possible stop strings and tags are held back.
    pub parts: Parts,
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
    calls: Calls,
    thought: Thought,
    /// What the parser said last; kept for its capacity.
    said: Vec<Part>,
}

/// How long the model has thought, and what ends the thought when it has done so for too long.
#[derive(Default)]
struct Thought {
    tokens: u32,
    budget: Option<u32>,
    /// Tokens that come next, whatever the model would say, as soon as a grammar lets them.
    forced: VecDeque<TokenId>,
    /// The last token was one of them.
    was_forced: bool,
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
            reading: Reading::new(parser, &[], Thought::default()),
            completed: String::new(),
            text: String::new(),
        })
    }

    /// The same output read as `format` has it. A thought is ended after `budget` tokens.
    #[must_use]
    pub fn read_as(mut self, format: &dyn Format, beginning: &Beginning, budget: Option<u32>) -> Self {
        let thought = Thought { budget, ..Thought::default() };
        self.reading = Reading::new(format.parser(beginning), format.control_tokens(), thought);
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

    /// Whether a tool was called, and no stop string cut that short.
    pub fn has_called(&self) -> bool {
        self.reading.calls.are_whole()
    }

    /// Takes the next token.
    pub fn push(&mut self, token: TokenId) -> Step {
        self.reading.count(token);
        self.tokens += 1;
        if self.params.is_end(token, &*self.vocabulary) {
            return Step { parts: Parts::new(), stopped: Some(Stopped::EndToken) };
        }
        self.completed.clear();
        let piece = match self.vocabulary.piece(token) {
            [] => self.reading.control(token, &*self.vocabulary).as_bytes(),
            piece => piece,
        };
        self.detokenizer.push(piece, &mut self.completed);
        self.text.clear();
        if self.tokens > self.params.min_tokens {
            self.stops.push(&self.completed, &mut self.text);
        } else {
            self.text.push_str(&self.completed);
        }
        let stopped = self.stops.found().map(|stop| Stopped::StopString(stop.to_owned()));
        let parts = self.reading.read(&self.text);
        if stopped.is_some() {
            self.reading.calls.stop();
        }
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
        self.reading.finish(&text).into_vec()
    }
}

impl Reading {
    fn new(parser: Box<dyn Parser>, controls: &'static [&'static str], thought: Thought) -> Self {
        Self { parser, controls, calls: Calls::default(), thought, said: Vec::new() }
    }

    /// Counts a token that is about to be read.
    fn count(&mut self, token: TokenId) {
        // A grammar puts the end of a thought off within a character: it is what comes next then.
        let Thought { forced, was_forced, .. } = &mut self.thought;
        *was_forced = forced.front() == Some(&token);
        if *was_forced {
            forced.pop_front();
        }
        self.thought.tokens += u32::from(self.parser.is_reasoning());
    }

    /// The text that a control token is read as.
    fn control<'a>(&self, token: TokenId, vocabulary: &'a dyn Vocabulary) -> &'a str {
        let name = vocabulary.control_name(token).unwrap_or_default();
        if self.controls.contains(&name) { name } else { "" }
    }

    fn read(&mut self, text: &str) -> Parts {
        if !text.is_empty() {
            self.parser.push(text, &mut self.said);
        }
        self.said()
    }

    fn finish(&mut self, text: &str) -> Parts {
        self.parser.push(text, &mut self.said);
        self.parser.finish(&mut self.said);
        self.said()
    }

    fn said(&mut self) -> Parts {
        self.calls.say(&self.said);
        let mut parts = Parts::new();
        part::join(&mut parts, self.said.drain(..));
        parts
    }

    /// Makes the end of the thought come next where it has used its tokens.
    fn bound_thought(&mut self, vocabulary: &dyn Vocabulary) {
        let Thought { tokens, budget, forced, was_forced, ended } = &mut self.thought;
        if !self.parser.is_reasoning() {
            *ended = false;
            // What the model ended by itself needs no other end.
            if !*was_forced {
                forced.clear();
            }
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

//! One sequence's way from tokens to text.

use std::sync::Arc;

use super::detokenize::Detokenizer;
use super::stop::{StopError, StopMatcher, StopParams};
use crate::engine::{TokenId, Vocabulary};

/// The text of one sequence. Its state is a function of the tokens pushed, so pushing the tokens that a predecessor
/// sent and dropping the steps continues its text.
pub struct Output {
    vocabulary: Arc<dyn Vocabulary>,
    detokenizer: Detokenizer,
    stops: StopMatcher,
    ignore_end: bool,
    /// What the last token completed; kept for its capacity.
    completed: String,
}

/// What one token adds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// Text that is certain now; often empty, since characters and possible stop strings are held back.
    pub text: String,
    /// Set when the sequence is over; nothing pushed later adds anything.
    pub stopped: Option<Stopped>,
}

/// Why a sequence is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// The model said so.
    EndToken,
    /// This stop string occurred; the text ends before it.
    StopString(String),
}

impl Output {
    /// The output of a sequence that has no tokens yet. Fails if the stop strings cannot be honoured.
    pub fn new(vocabulary: Arc<dyn Vocabulary>, params: &StopParams) -> Result<Self, StopError> {
        Ok(Self {
            vocabulary,
            detokenizer: Detokenizer::default(),
            stops: StopMatcher::new(&params.stop)?,
            ignore_end: params.ignore_end,
            completed: String::new(),
        })
    }

    /// Takes the next token.
    pub fn push(&mut self, token: TokenId) -> Step {
        if !self.ignore_end && self.vocabulary.is_end(token) {
            return Step { text: String::new(), stopped: Some(Stopped::EndToken) };
        }
        self.completed.clear();
        self.detokenizer.push(self.vocabulary.piece(token), &mut self.completed);
        let mut text = String::new();
        self.stops.push(&self.completed, &mut text);
        let stopped = self.stops.found().map(|stop| Stopped::StopString(stop.to_owned()));
        Step { text, stopped }
    }

    /// The text that is still held back, once no token is coming. Half a character becomes U+FFFD.
    pub fn finish(&mut self) -> String {
        self.completed.clear();
        self.detokenizer.finish(&mut self.completed);
        let mut text = String::new();
        self.stops.push(&self.completed, &mut text);
        text.push_str(&self.stops.finish());
        text
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::{Output, Step, Stopped};
    use crate::engine::{TokenId, TokenizeError, Vocabulary};
    use crate::output::StopParams;

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
        Output::new(vocabulary(), &StopParams { stop, ignore_end }).unwrap()
    }

    fn step(text: &str) -> Step {
        Step { text: text.to_owned(), stopped: None }
    }

    #[test]
    fn tokens_become_text_until_a_stop() {
        let check = |mut output: Output, tokens: &[u32], expected: &[Step], rest: &str| {
            let steps: Vec<Step> = tokens.iter().map(|&token| output.push(TokenId(token))).collect();
            assert_eq!(steps, expected, "tokens {tokens:?}");
            assert_eq!(output.finish(), rest, "tokens {tokens:?}");
        };
        let ended = Step { text: String::new(), stopped: Some(Stopped::EndToken) };
        let stopped = Step { text: String::new(), stopped: Some(Stopped::StopString("STOP".to_owned())) };
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

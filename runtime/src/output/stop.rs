//! Stop strings, found in text that arrives in pieces.
//!
//! The law: the text ends where the first match to *complete* begins. If several complete at the same byte, it ends
//! where the earliest of them begins. Both depend on the text alone and not on how it was cut into pieces. Matching
//! is Knuth-Morris-Pratt for each string, so the time is linear in the text and text is never scanned again.

use impetus_proto::worker;

use crate::engine::{TokenId, Vocabulary};

/// The most stop strings of one request.
pub const MAX_STOPS: usize = 16;

/// The longest stop string, in bytes.
pub const MAX_STOP_BYTES: usize = 4096;

/// What ends the output of a request, apart from its length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StopParams {
    /// The output ends before the first of these.
    pub stop: Vec<String>,
    /// Go on after the model's own end token.
    pub ignore_end: bool,
    /// Tokens that end the output like the model's own end token, whether that does or not.
    pub stop_tokens: Vec<TokenId>,
    /// Text of so many tokens is not searched for stop strings.
    pub min_tokens: u32,
}

/// Stop strings that cannot be honoured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    /// More strings than are supported.
    #[error("stop has {count} strings; at most {MAX_STOPS} are supported")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// A string without characters, which would stop everything.
    #[error("stop[{index}] is empty; leave it out")]
    Empty {
        /// Its place among the stop strings.
        index: usize,
    },
    /// A string that is longer than supported.
    #[error("stop[{index}] has {bytes} bytes; at most {MAX_STOP_BYTES} are supported")]
    TooLong {
        /// Its place among the stop strings.
        index: usize,
        /// Its length.
        bytes: usize,
    },
}

/// Finds the first stop string, holding back text that may be the beginning of one.
#[derive(Debug)]
pub struct StopMatcher {
    patterns: Vec<Pattern>,
    /// Text of which everything from byte `released` on is held back.
    held: String,
    released: usize,
    /// The pattern that matched.
    found: Option<usize>,
}

/// A stop string and how much of it the text ends with.
#[derive(Debug)]
struct Pattern {
    text: String,
    /// For each prefix, by its length less one: the length of its longest proper prefix that is also its suffix.
    borders: Vec<usize>,
    matched: usize,
}

impl StopParams {
    /// Whether `token` ends the output.
    pub fn is_end(&self, token: TokenId, vocabulary: &dyn Vocabulary) -> bool {
        (!self.ignore_end && vocabulary.is_end(token)) || self.stop_tokens.contains(&token)
    }

    /// All tokens that end the output. Reads the whole vocabulary.
    pub fn ends(&self, vocabulary: &dyn Vocabulary) -> Vec<TokenId> {
        (0..vocabulary.size()).map(TokenId).filter(|&token| self.is_end(token, vocabulary)).collect()
    }
}

impl From<&worker::Stopping> for StopParams {
    fn from(wire: &worker::Stopping) -> Self {
        Self {
            stop: wire.stop.clone(),
            ignore_end: wire.ignore_end,
            stop_tokens: wire.stop_tokens.iter().copied().map(TokenId).collect(),
            min_tokens: wire.min_tokens,
        }
    }
}

impl StopMatcher {
    /// A matcher for `stops`. Fails if there are too many, or one is empty or too long.
    pub fn new(stops: &[String]) -> Result<Self, StopError> {
        if stops.len() > MAX_STOPS {
            return Err(StopError::TooMany { count: stops.len() });
        }
        let pattern = |(index, stop): (usize, &String)| match stop.len() {
            0 => Err(StopError::Empty { index }),
            bytes if bytes > MAX_STOP_BYTES => Err(StopError::TooLong { index, bytes }),
            _ => Ok(Pattern::new(stop)),
        };
        let patterns = stops.iter().enumerate().map(pattern).collect::<Result<_, _>>()?;
        Ok(Self { patterns, held: String::new(), released: 0, found: None })
    }

    /// Takes the next piece of the text and appends to `output` what can no longer be part of a stop string. After a
    /// match all further text is dropped.
    pub fn push(&mut self, text: &str, output: &mut String) {
        if self.found.is_some() {
            return;
        }
        if self.patterns.is_empty() {
            output.push_str(text);
            return;
        }
        let before = self.held.len();
        self.held.push_str(text);
        for (offset, byte) in text.bytes().enumerate() {
            if let Some(index) = self.advance(byte) {
                let begin = before + offset + 1 - self.patterns[index].text.len();
                output.push_str(&self.held[self.released..begin]);
                self.held = String::new();
                self.released = 0;
                self.found = Some(index);
                return;
            }
        }
        let may_begin = self.patterns.iter().map(|pattern| pattern.matched).max().unwrap_or(0);
        let safe = self.held.len() - may_begin;
        output.push_str(&self.held[self.released..safe]);
        self.released = safe;
        // Moved only once half of it is gone, so that holding back costs constant time per byte.
        if self.released * 2 >= self.held.len() {
            self.held.drain(..self.released);
            self.released = 0;
        }
    }

    /// The stop string that ended the text.
    pub fn found(&self) -> Option<&str> {
        self.found.map(|index| self.patterns[index].text.as_str())
    }

    /// The text held back, once no more is coming.
    pub fn finish(&mut self) -> String {
        let mut held = std::mem::take(&mut self.held);
        held.drain(..std::mem::take(&mut self.released));
        self.patterns.iter_mut().for_each(|pattern| pattern.matched = 0);
        held
    }

    /// Takes one byte; of the patterns that it completes, the one that began earliest.
    fn advance(&mut self, byte: u8) -> Option<usize> {
        let mut longest = None;
        let mut length = 0;
        for (index, pattern) in self.patterns.iter_mut().enumerate() {
            if pattern.advance(byte) && pattern.text.len() > length {
                length = pattern.text.len();
                longest = Some(index);
            }
        }
        longest
    }
}

impl Pattern {
    fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut borders = vec![0; bytes.len()];
        let mut border = 0;
        for (index, &byte) in bytes.iter().enumerate().skip(1) {
            while border > 0 && byte != bytes[border] {
                border = borders[border - 1];
            }
            if byte == bytes[border] {
                border += 1;
            }
            borders[index] = border;
        }
        Self { text: text.to_owned(), borders, matched: 0 }
    }

    /// Whether `byte` completes the pattern. Not called again after it has.
    fn advance(&mut self, byte: u8) -> bool {
        let bytes = self.text.as_bytes();
        while self.matched > 0 && byte != bytes[self.matched] {
            self.matched = self.borders[self.matched - 1];
        }
        if byte == bytes[self.matched] {
            self.matched += 1;
        }
        self.matched == bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MAX_STOP_BYTES, MAX_STOPS, StopError, StopMatcher};

    fn stops(stops: &[&str]) -> Vec<String> {
        stops.iter().map(ToString::to_string).collect()
    }

    /// Released text after each piece, then the rest, then the stop found.
    fn run(stops: &[String], pieces: &[&str]) -> (Vec<String>, Option<String>) {
        let mut matcher = StopMatcher::new(stops).unwrap();
        let mut outputs = Vec::new();
        for piece in pieces {
            let mut output = String::new();
            matcher.push(piece, &mut output);
            outputs.push(output);
        }
        outputs.push(matcher.finish());
        (outputs, matcher.found().map(str::to_owned))
    }

    /// The law, word for word: try every end from the front, at each end the earliest beginning.
    fn reference(text: &str, stops: &[String]) -> (String, Option<String>) {
        for end in 0..=text.len() {
            let complete = stops.iter().filter(|stop| text.as_bytes()[..end].ends_with(stop.as_bytes()));
            if let Some(stop) = complete.max_by_key(|stop| stop.len()) {
                return (text[..end - stop.len()].to_owned(), Some(stop.clone()));
            }
        }
        (text.to_owned(), None)
    }

    #[test]
    fn text_is_held_back_and_cut() {
        let check = |set: &[&str], pieces: &[&str], expected: &[&str], found: Option<&str>| {
            let (outputs, stop) = run(&stops(set), pieces);
            assert_eq!(outputs, expected, "stops {set:?} in {pieces:?}");
            assert_eq!(stop.as_deref(), found, "stops {set:?} in {pieces:?}");
        };
        check(&[], &["a", "b"], &["a", "b", ""], None);
        check(&["END"], &["one E", "N", "two", " EN"], &["one ", "", "ENtwo", " ", "EN"], None);
        check(&["END"], &["one E", "ND", "two"], &["one ", "", "", ""], Some("END"));
        check(&["\n\n"], &["a\n", "b\n\nc"], &["a", "\nb", ""], Some("\n\n"));
        // What completes first wins over what begins first; what begins first wins among those that complete together.
        check(&["abcd", "bc"], &["xabcd"], &["xa", ""], Some("bc"));
        check(&["bc", "abc"], &["xabc"], &["x", ""], Some("abc"));
        check(&["aab"], &["aaa", "ab"], &["a", "a", ""], Some("aab"));
        check(&["\u{20ac}\u{1f600}"], &["1\u{20ac}", "\u{1f601}"], &["1", "\u{20ac}\u{1f601}", ""], None);
    }

    #[test]
    fn stops_are_bounded() {
        let check = |stops: &[String], expected: StopError| {
            assert_eq!(StopMatcher::new(stops).err(), Some(expected));
        };
        check(&vec!["x".to_owned(); MAX_STOPS + 1], StopError::TooMany { count: MAX_STOPS + 1 });
        check(&stops(&["x", ""]), StopError::Empty { index: 1 });
        let bytes = MAX_STOP_BYTES + 1;
        check(&["x".repeat(bytes)], StopError::TooLong { index: 0, bytes });
    }

    /// Few letters of one to four bytes, so that matches and false beginnings are common.
    fn letters(length: std::ops::Range<usize>) -> impl Strategy<Value = String> {
        let letter = prop::sample::select(vec!['a', 'b', '\u{e9}', '\u{1f600}']);
        prop::collection::vec(letter, length).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn output_is_the_text_cut_at_the_first_stop(
            pieces in prop::collection::vec(letters(0..6), 0..12),
            stops in prop::collection::vec(letters(1..6), 0..5),
        ) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let (outputs, stop) = run(&stops, &pieces);
            let (text, expected) = reference(&pieces.concat(), &stops);
            prop_assert_eq!(outputs.concat(), text);
            prop_assert_eq!(stop, expected);
        }
    }
}

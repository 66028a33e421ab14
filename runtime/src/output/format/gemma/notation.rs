//! Arguments in Gemma's notation, turned into JSON while they arrive: keys stand bare, strings between tags.

use super::QUOTE;
use crate::output::format::{
    buffer::{Buffer, Found},
    value::escape,
};

/// Reads one object.
#[derive(Debug, Default)]
pub(super) struct Notation {
    /// What is open: objects are true, lists false.
    open: Vec<bool>,
    state: State,
}

/// How far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// All of the text was taken that can be.
    More,
    /// The object is over; what follows it was left.
    Over,
    /// It is not in this notation; what is not was left.
    Wrong,
}

#[derive(Debug, Default)]
enum State {
    /// Before a value; a list may end instead.
    #[default]
    Value,
    /// Before a key; an object may end instead.
    Key,
    /// In a string, which may be a key.
    String {
        is_key: bool,
    },
    /// In a string between plain quotes, behind a backslash or not.
    Plain {
        escaped: bool,
    },
    /// In a key, or a value that is no string.
    Word {
        is_key: bool,
        word: String,
    },
    Colon,
    /// Behind a value.
    Behind,
}

/// Objects and lists in each other.
const MAX_DEPTH: usize = 64;

/// Bytes of a key, or of a value that is no string.
const MAX_WORD_BYTES: usize = 1024;

impl Notation {
    /// Takes what is there, and appends its JSON.
    pub(super) fn read(&mut self, buffer: &mut Buffer, json: &mut String, last: bool) -> Progress {
        loop {
            if buffer.rest().is_empty() {
                self.cut_off(json, last);
                return Progress::More;
            }
            let progress = match &mut self.state {
                State::String { is_key } => {
                    let is_key = *is_key;
                    self.string(is_key, buffer, json)
                }
                State::Plain { .. } => self.plain(buffer, json),
                State::Word { .. } => self.word(buffer, json),
                State::Value | State::Key | State::Colon | State::Behind => self.between(buffer, json),
            };
            if let Some(progress) = progress {
                self.cut_off(json, last);
                return progress;
            }
        }
    }

    /// Says what there is of a value that was cut off.
    fn cut_off(&mut self, json: &mut String, last: bool) {
        if let (State::Word { is_key: false, word }, true) = (&mut self.state, last) {
            json.push_str(&std::mem::take(word));
        }
    }

    fn string(&mut self, is_key: bool, buffer: &mut Buffer, json: &mut String) -> Option<Progress> {
        match buffer.find(&[QUOTE], false) {
            Found::Free(bytes) => {
                escape(buffer.take(bytes), json);
                Some(Progress::More)
            }
            Found::Tag { at, .. } => {
                escape(buffer.take(at), json);
                buffer.take(QUOTE.len());
                json.push('"');
                self.state = if is_key { State::Colon } else { State::Behind };
                None
            }
        }
    }

    fn plain(&mut self, buffer: &mut Buffer, json: &mut String) -> Option<Progress> {
        let State::Plain { escaped } = &mut self.state else { return None };
        let mut end = None;
        for (at, byte) in buffer.rest().bytes().enumerate() {
            match byte {
                _ if *escaped => *escaped = false,
                b'\\' => *escaped = true,
                b'"' => {
                    end = Some(at + 1);
                    break;
                }
                _ => {}
            }
        }
        json.push_str(buffer.take(end.unwrap_or(buffer.rest().len())));
        match end {
            Some(_) => self.state = State::Behind,
            None => return Some(Progress::More),
        }
        None
    }

    fn word(&mut self, buffer: &mut Buffer, json: &mut String) -> Option<Progress> {
        let State::Word { is_key, word } = &mut self.state else { return None };
        let ends: &[char] = if *is_key { &[':', ',', '{', '}', '<'] } else { &[',', ']', '}', '<'] };
        let rest = buffer.rest();
        let end = rest.find(ends);
        let bytes = end.unwrap_or(rest.len());
        if word.len() + bytes > MAX_WORD_BYTES {
            return Some(Progress::Wrong);
        }
        word.push_str(&rest[..bytes]);
        let ended_by = rest[bytes..].chars().next();
        buffer.take(bytes);
        ended_by?;
        let text = word.trim();
        if *is_key {
            if ended_by != Some(':') {
                return Some(Progress::Wrong);
            }
            json.push('"');
            escape(text, json);
            json.push('"');
            self.state = State::Colon;
        } else {
            value(text, json);
            self.state = State::Behind;
        }
        None
    }

    fn between(&mut self, buffer: &mut Buffer, json: &mut String) -> Option<Progress> {
        if !buffer.skip_space() {
            return Some(Progress::More);
        }
        let in_object = self.open.last() == Some(&true);
        let first = buffer.rest().bytes().next()?;
        match (&self.state, first) {
            (State::Value, b'{' | b'[') if self.open.len() < MAX_DEPTH => {
                self.open.push(first == b'{');
                self.state = if first == b'{' { State::Key } else { State::Value };
                json.push(first.into());
            }
            (State::Key | State::Behind, b'}') if in_object => return self.close(buffer, json),
            (State::Value | State::Behind, b']') if !in_object && !self.open.is_empty() => {
                return self.close(buffer, json);
            }
            (State::Behind, b',') => {
                self.state = if in_object { State::Key } else { State::Value };
                json.push_str(", ");
            }
            (State::Colon, b':') => {
                self.state = State::Value;
                json.push_str(": ");
            }
            (State::Value | State::Key, b'<') => {
                let is_key = matches!(self.state, State::Key);
                match buffer.take_tag(QUOTE, false) {
                    None => return Some(Progress::More),
                    Some(false) => return Some(Progress::Wrong),
                    Some(true) => {
                        json.push('"');
                        self.state = State::String { is_key };
                        return None;
                    }
                }
            }
            (State::Value, b'"') if !self.open.is_empty() => {
                self.state = State::Plain { escaped: false };
                json.push('"');
            }
            (State::Value | State::Key, b',' | b':' | b'{' | b'}' | b'[' | b']') => {
                return Some(Progress::Wrong);
            }
            (State::Value | State::Key, _) if !self.open.is_empty() => {
                self.state = State::Word { is_key: matches!(self.state, State::Key), word: String::new() };
                return None;
            }
            _ => return Some(Progress::Wrong),
        }
        buffer.take(1);
        None
    }

    fn close(&mut self, buffer: &mut Buffer, json: &mut String) -> Option<Progress> {
        json.push_str(buffer.take(1));
        self.open.pop();
        self.state = State::Behind;
        self.open.is_empty().then_some(Progress::Over)
    }
}

/// A value that is no string, as templates print it.
fn value(word: &str, json: &mut String) {
    match word {
        "True" => json.push_str("true"),
        "False" => json.push_str("false"),
        "None" | "none" => json.push_str("null"),
        _ if serde_json::from_str::<serde_json::Value>(word).is_ok() => json.push_str(word),
        _ => {
            json.push('"');
            escape(word, json);
            json.push('"');
        }
    }
}

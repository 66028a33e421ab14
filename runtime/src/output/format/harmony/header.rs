//! What stands before a message's text.

use super::{CHANNEL, MESSAGE, START};
use crate::output::format::reader::{Miss, Reader};

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Reasoning,
    /// A call of this function.
    Call(String),
}

/// What a text begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// A header of so many bytes.
    Header(Kind, usize),
    NoHeader,
    /// It may be a header once more of it has come.
    Short,
}

/// The longest header, in bytes.
const MAX_BYTES: usize = 512;

/// Reads a header with the tag that ends it.
pub(super) fn read(text: &str, last: bool) -> Read {
    // The first header of a turn has its beginning in the prompt.
    let mut reader = Reader::new(text, last);
    reader.space();
    match reader.one_of(&[START, CHANNEL, MESSAGE, "to="]) {
        Ok(_) => {}
        Err(Miss::Short) => return Read::Short,
        Err(Miss::Wrong) => return Read::NoHeader,
    }
    match text.find(MESSAGE) {
        Some(at) if at <= MAX_BYTES => Read::Header(Kind::of(&text[..at]), at + MESSAGE.len()),
        None if text.len() <= MAX_BYTES && !last => Read::Short,
        _ => Read::NoHeader,
    }
}

impl Kind {
    /// What follows `header`. Its recipient may stand with the role or with the channel.
    pub(super) fn of(header: &str) -> Self {
        let word = |text: &str| {
            let end = text.find(|char: char| char.is_whitespace() || char == '<').unwrap_or(text.len());
            text[..end].to_owned()
        };
        let recipient = header.split_once("to=").map(|(_, behind)| word(behind)).unwrap_or_default();
        if let Some(name) = recipient.strip_prefix("functions.").filter(|name| !name.is_empty()) {
            return Self::Call(name.to_owned());
        }
        let channel =
            header.rsplit_once(CHANNEL).map(|(_, behind)| word(behind.trim_start())).unwrap_or_default();
        // What is said to tools that nobody offered is nobody's answer.
        if channel == "analysis" || !recipient.is_empty() { Self::Reasoning } else { Self::Text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_what_follows() {
        let check = |text: &str, expected: Read| assert_eq!(read(text, false), expected, "{text}");
        let call = |name: &str, bytes| Read::Header(Kind::Call(name.to_owned()), bytes);
        check("<|channel|>analysis<|message|>x", Read::Header(Kind::Reasoning, 30));
        check("<|channel|>final<|message|>x", Read::Header(Kind::Text, 27));
        check("<|channel|>commentary<|message|>x", Read::Header(Kind::Text, 32));
        check("<|channel|>commentary to=functions.f <|constrain|>json<|message|>{", call("f", 65));
        check(" to=functions.f<|channel|>commentary json<|message|>{", call("f", 52));
        check("<|start|>assistant to=functions.f<|channel|>commentary<|message|>{", call("f", 65));
        check("<|channel|>analysis to=python code<|message|>", Read::Header(Kind::Reasoning, 45));
        check("<|message|>x", Read::Header(Kind::Text, 11));
        check("<|chan", Read::Short);
        check("<|channel|>final", Read::Short);
        check("", Read::Short);
        check("Hello", Read::NoHeader);
        check("<b>", Read::NoHeader);
        check(&format!("<|channel|>{}", "x".repeat(600)), Read::NoHeader);
        assert_eq!(read("<|channel|>final", true), Read::NoHeader);
    }
}

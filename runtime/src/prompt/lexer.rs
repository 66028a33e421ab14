//! Cuts a template into text, comments and tags, and tags into tokens, at the places where Jinja does.

use std::ops::Range;

use super::TemplateError;

/// A part of a template.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    /// Written as it is.
    Text(&'a str),
    /// Left out.
    Comment(&'a str),
    /// Everything from `{% raw %}` to `{% endraw %}`.
    Raw(&'a str),
    /// A statement or an expression.
    Tag(Tag<'a>),
}

/// A statement, in `{% %}`, or an expression that is written, in `{{ }}`.
#[derive(Debug)]
pub(super) struct Tag<'a> {
    pub(super) is_statement: bool,
    /// Where it is in the template, delimiters included.
    pub(super) place: Range<usize>,
    pub(super) tokens: Vec<Token<'a>>,
}

/// The smallest part of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) start: usize,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Word,
    /// A number or a string.
    Literal,
    /// An operator or other punctuation.
    Operator,
    /// An opening bracket; its closing one is this many tokens further on.
    Open(usize),
    /// A closing bracket.
    Close,
}

impl Token<'_> {
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    pub(super) fn is(&self, text: &str) -> bool {
        self.text == text && self.kind != Kind::Literal
    }
}

/// Cuts `source` into pieces that together are all of it.
pub(super) fn pieces(source: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < source.len() {
        let Some(start) = tag_start(source, at) else {
            pieces.push(Piece::Text(&source[at..]));
            break;
        };
        if start > at {
            pieces.push(Piece::Text(&source[at..start]));
        }
        let piece = match source.as_bytes()[start + 1] {
            b'#' => comment(source, start)?,
            b'%' => match raw(source, start)? {
                Some(piece) => piece,
                None => Piece::Tag(tag(source, start, true)?),
            },
            _ => Piece::Tag(tag(source, start, false)?),
        };
        at = start + length(&piece);
        pieces.push(piece);
    }
    Ok(pieces)
}

/// An error at byte `at` of the template.
pub(super) fn refused(source: &str, at: usize, reason: &'static str) -> TemplateError {
    let line = source.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1;
    TemplateError::Refused { line, reason }
}

fn length(piece: &Piece<'_>) -> usize {
    match piece {
        Piece::Text(text) | Piece::Comment(text) | Piece::Raw(text) => text.len(),
        Piece::Tag(tag) => tag.place.len(),
    }
}

fn tag_start(source: &str, from: usize) -> Option<usize> {
    let pairs = source.as_bytes()[from..].windows(2);
    let begins = |pair: &[u8]| pair[0] == b'{' && matches!(pair[1], b'{' | b'%' | b'#');
    pairs.into_iter().position(begins).map(|offset| from + offset)
}

fn comment(source: &str, start: usize) -> Result<Piece<'_>, TemplateError> {
    // The end is looked for behind a sign that controls white space.
    let sign = usize::from(matches!(source.as_bytes().get(start + 2), Some(b'-' | b'+')));
    let inside = start + 2 + sign;
    let end = source[inside..].find("#}").ok_or_else(|| refused(source, start, "a comment does not end"))?;
    Ok(Piece::Comment(&source[start..inside + end + 2]))
}

/// The raw block that begins at `start`, if one does.
fn raw(source: &str, start: usize) -> Result<Option<Piece<'_>>, TemplateError> {
    let Some(begin) = basic_tag(&source[start..], "raw") else { return Ok(None) };
    let mut at = start + begin;
    while let Some(offset) = source[at..].find("{%") {
        at += offset;
        if let Some(end) = basic_tag(&source[at..], "endraw") {
            return Ok(Some(Piece::Raw(&source[start..at + end])));
        }
        at += 2;
    }
    Err(refused(source, start, "a raw block does not end"))
}

/// The length of a statement of the word `name` alone, if `text` begins with it.
fn basic_tag(text: &str, name: &str) -> Option<usize> {
    let signed = |text: &'_ str| -> usize { usize::from(text.starts_with(['-', '+'])) };
    let mut rest = text.strip_prefix("{%")?;
    rest = &rest[signed(rest)..];
    rest = rest.trim_ascii_start().strip_prefix(name)?.trim_ascii_start();
    rest = &rest[signed(rest)..];
    rest = rest.strip_prefix("%}")?;
    Some(text.len() - rest.len())
}

fn tag(source: &str, start: usize, is_statement: bool) -> Result<Tag<'_>, TemplateError> {
    let closing = if is_statement { "%}" } else { "}}" };
    let mut at = start + 2 + usize::from(matches!(source.as_bytes().get(start + 2), Some(b'-' | b'+')));
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let mut open = Vec::new();
    loop {
        let rest = &source[at..];
        at += rest.len() - rest.trim_ascii_start().len();
        let rest = &source[at..];
        if rest.is_empty() {
            return Err(refused(source, start, "a tag does not end"));
        }
        if open.is_empty() {
            let sign = usize::from(rest.starts_with(['-', '+']));
            let signed = rest[sign..].starts_with(closing);
            if signed || rest.starts_with(closing) {
                let end = at + closing.len() + if signed { sign } else { 0 };
                return Ok(Tag { is_statement, place: start..end, tokens });
            }
        }
        let (kind, length) =
            token(rest).ok_or_else(|| refused(source, at, "a character or string is not valid"))?;
        let kind = match kind {
            Kind::Open(_) => {
                open.push(tokens.len());
                kind
            }
            Kind::Close => {
                let opening =
                    open.pop().ok_or_else(|| refused(source, at, "a bracket closes that was not open"))?;
                if !matches(tokens[opening].text, &rest[..1]) {
                    return Err(refused(source, at, "a bracket closes that was not open"));
                }
                tokens[opening].kind = Kind::Open(tokens.len() - opening);
                kind
            }
            kind => kind,
        };
        tokens.push(Token { kind, text: &rest[..length], start: at });
        at += length;
    }
}

fn matches(opening: &str, closing: &str) -> bool {
    matches!((opening, closing), ("(", ")") | ("[", "]") | ("{", "}"))
}

/// The kind and length of the token that `rest`, which is not empty, begins with.
fn token(rest: &str) -> Option<(Kind, usize)> {
    const DOUBLE: [&str; 6] = ["//", "**", "==", "!=", ">=", "<="];
    let bytes = rest.as_bytes();
    if DOUBLE.iter().any(|operator| rest.starts_with(operator)) {
        return Some((Kind::Operator, 2));
    }
    match bytes[0] {
        b'(' | b'[' | b'{' => Some((Kind::Open(0), 1)),
        b')' | b']' | b'}' => Some((Kind::Close, 1)),
        b'+' | b'-' | b'*' | b'/' | b'%' | b'.' | b',' | b':' | b'~' | b'|' | b'=' | b'>' | b'<' => {
            Some((Kind::Operator, 1))
        }
        quote @ (b'\'' | b'"') => string(bytes, quote).map(|length| (Kind::Literal, length)),
        b'0'..=b'9' => Some((Kind::Literal, number(bytes))),
        byte if byte.is_ascii_alphabetic() || byte == b'_' => Some((Kind::Word, word(bytes))),
        _ => None,
    }
}

/// The length of a number. Of `1.2.3` behind a dot the parts are indices, but as one token they do as well.
fn number(bytes: &[u8]) -> usize {
    let digits = |from: usize| bytes[from..].iter().take_while(|&&byte| is_word(byte)).count();
    let digit_at = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut length = digits(0);
    if bytes.get(length) == Some(&b'.') && digit_at(length + 1) {
        length += 1 + digits(length + 1);
    }
    let is_decimal = !bytes.starts_with(b"0x") && !bytes.starts_with(b"0X");
    let is_exponent = is_decimal && matches!(bytes[length - 1], b'e' | b'E');
    if is_exponent && matches!(bytes.get(length), Some(b'+' | b'-')) && digit_at(length + 1) {
        length += 1 + digits(length + 1);
    }
    length
}

fn word(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&byte| is_word(byte)).count()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn string(bytes: &[u8], quote: u8) -> Option<usize> {
    let mut escaped = false;
    for (index, &byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            byte if byte == quote => return Some(index + 1),
            _ => {}
        }
    }
    None
}

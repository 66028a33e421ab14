//! Lark texts before they are compiled: their size, and the control tokens in them.

mod rules;

use std::{collections::HashMap, fmt::Write as _};

use serde_json::Value as Json;

pub(super) use rules::check as check_chains;

use super::{GrammarError, MAX_GRAMMAR_BYTES, Source, schema};
use crate::engine::{TokenId, Vocabulary};

/// Brackets within brackets.
const MAX_DEPTH: usize = 128;

/// What a schema follows.
const JSON: &str = "%json";

/// Who wrote a text.
#[derive(Debug, Clone, Copy)]
pub(super) enum Author {
    /// This process: `<name>` is what the model spells it as where it has no control token of that name, and a schema
    /// may have been narrowed before.
    Process,
    /// Whoever sent a request, in this part of it: such a name is a mistake.
    Request(Source),
}

/// A text as a literal of Lark.
pub fn quote(text: &str) -> String {
    // As JSON; Lark has no raw DEL.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// Writes a character to a regular expression, by its number where it might mean more than itself.
pub(super) fn push_char(char: char, regex: &mut String) {
    if char.is_ascii_alphanumeric() {
        regex.push(char);
    } else {
        let _ = write!(regex, "\\x{{{:x}}}", u32::from(char));
    }
}

/// Refuses what is larger or deeper than any real grammar.
pub(super) fn check_size(lark: &str, source_of: Source) -> Result<(), GrammarError> {
    let too_large = |size, unit, limit| Err(GrammarError::TooLarge { source_of, size, unit, limit });
    if lark.len() > MAX_GRAMMAR_BYTES {
        return too_large(lark.len(), "bytes", MAX_GRAMMAR_BYTES);
    }
    let (mut depth, mut deepest) = (0_usize, 0);
    // Brackets within literals count as well: regular expressions nest too.
    for byte in lark.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest > MAX_DEPTH {
        return too_large(deepest, "brackets within brackets", MAX_DEPTH);
    }
    Ok(())
}

/// Writes control tokens as their ids, the only way in which all names can be written in Lark, and schemas as what is
/// enforced of them.
pub(super) fn resolve(
    lark: &str,
    vocabulary: &dyn Vocabulary,
    author: Author,
) -> Result<String, GrammarError> {
    let mut names = None;
    let mut resolved = String::with_capacity(lark.len());
    for piece in pieces(lark) {
        let name = match piece {
            Piece::Name(name) => name,
            Piece::Other(text) => {
                resolved.push_str(text);
                continue;
            }
            Piece::Schema(schema) => {
                let narrowed = match author {
                    Author::Process => schema::narrow_once(schema)?,
                    Author::Request(_) => schema::narrow(&schema)?,
                };
                let _ = write!(resolved, "{JSON} {narrowed}");
                continue;
            }
        };
        let inner = &name[1..name.len() - 1];
        if is_ids(inner) {
            resolved.push_str(name);
            continue;
        }
        let names = names.get_or_insert_with(|| control_tokens(vocabulary));
        let bracketed = inner.starts_with('[') && inner.ends_with(']');
        let id = names.get(name).or_else(|| bracketed.then(|| names.get(inner)).flatten());
        match (id, author) {
            (Some(TokenId(id)), _) => resolved.extend(["<[", &id.to_string(), "]>"]),
            (None, Author::Process) => resolved.push_str(&quote(if bracketed { inner } else { name })),
            (None, Author::Request(source_of)) => {
                let reason = format!("`{name}` is no control token of this model");
                return Err(GrammarError::Refused { source_of, reason });
            }
        }
    }
    Ok(resolved)
}

/// A piece of a Lark text.
enum Piece<'a> {
    /// Anything, whole literals and comments among it.
    Other(&'a str),
    /// `<name>`.
    Name(&'a str),
    /// `%json` and a schema.
    Schema(Json),
}

fn pieces(lark: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = lark;
    std::iter::from_fn(move || {
        if let Some((schema, length)) = schema_at(rest) {
            rest = &rest[length..];
            return Some(Piece::Schema(schema));
        }
        let first = rest.bytes().next()?;
        let (length, is_name) = match first {
            b'"' => (literal(rest, b'"'), false),
            b'#' => (line(rest), false),
            b'/' if rest.starts_with("//") => (line(rest), false),
            b'/' => (literal(rest, b'/'), false),
            b'<' => name(rest).map_or((1, false), |length| (length, true)),
            _ => {
                let marks = ['"', '#', '/', '<', '%'];
                let after = rest.char_indices().nth(1).map_or(rest.len(), |(idx, _)| idx);
                (rest[after..].find(marks).map_or(rest.len(), |idx| after + idx), false)
            }
        };
        let (piece, later) = rest.split_at(length);
        rest = later;
        Some(if is_name { Piece::Name(piece) } else { Piece::Other(piece) })
    })
}

/// A schema that stands here, and the length of what says it.
fn schema_at(text: &str) -> Option<(Json, usize)> {
    let behind = text.strip_prefix(JSON)?;
    let mut values = serde_json::Deserializer::from_str(behind).into_iter();
    let value = values.next()?.ok()?;
    Some((value, JSON.len() + values.byte_offset()))
}

/// Length of a literal between two `mark`s, where a backslash keeps the next byte from ending it.
fn literal(text: &str, mark: u8) -> usize {
    let mut escaped = false;
    for (idx, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            byte if byte == mark => return idx + 1,
            _ => {}
        }
    }
    text.len()
}

fn line(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

fn name(text: &str) -> Option<usize> {
    let end = text[1..].find(['<', '>']).map(|idx| idx + 1)?;
    let inner = &text[1..end];
    let is_name = text.as_bytes()[end] == b'>' && !inner.is_empty() && !inner.contains(char::is_whitespace);
    is_name.then_some(end + 1)
}

/// Whether a name is Lark's own way to write tokens by their ids.
fn is_ids(inner: &str) -> bool {
    let ids = inner.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    ids.is_some_and(|ids| !ids.is_empty() && ids.bytes().all(|byte| b"0123456789,-^*".contains(&byte)))
}

/// Those that stand for no text, by their names.
fn control_tokens(vocabulary: &dyn Vocabulary) -> HashMap<String, TokenId> {
    let tokens = (0..vocabulary.size()).map(TokenId).filter(|&token| vocabulary.piece(token).is_empty());
    tokens.filter_map(|token| Some((vocabulary.control_name(token)?.to_owned(), token))).collect()
}

//! What a request asks of an output, as the rules of a Lark grammar whose first one is `content`.

use impetus_proto::worker::structure::Structure;
use llguidance::regex_to_lark;
use serde_json::{Value as Json, json};

use super::{
    GrammarError, MAX_GRAMMAR_BYTES, Source, gbnf,
    lark::{Author, check_size, quote, resolve},
    schema,
};
use crate::engine::Vocabulary;

/// Bytes of a regular expression.
const MAX_REGEX_BYTES: usize = 16 << 10;

/// Texts to choose from.
const MAX_CHOICES: usize = 4096;

/// The rules of `structure` for a model with this vocabulary. A grammar of the caller's own stands in them as a whole, so
/// its names meet no others.
pub(super) fn content(structure: &Structure, vocabulary: &dyn Vocabulary) -> Result<String, GrammarError> {
    let source = Source::of(structure);
    match structure {
        Structure::JsonObject(_) => Ok(format!("content: {}\n", json(&json!({"type": "object"}))?)),
        Structure::JsonSchema(text) => {
            check_bytes(text, source, MAX_GRAMMAR_BYTES)?;
            let schema: Json = serde_json::from_str(text).map_err(|error| GrammarError::Schema {
                place: "#".to_owned(),
                reason: format!("is not valid JSON: {error}"),
            })?;
            Ok(format!("content: {}\n", json(&schema)?))
        }
        Structure::Lark(text) => {
            check_size(text, source)?;
            let text = resolve(text, vocabulary, Author::Request(source))?;
            Ok(format!("content: %lark {{\n{text}\n}}\n"))
        }
        Structure::Regex(regex) => regex_content(regex),
        Structure::Choices(choices) => choice_content(&choices.texts),
        Structure::Gbnf(text) => {
            check_size(text, source)?;
            let text = resolve(&gbnf::to_lark(text)?, vocabulary, Author::Request(source))?;
            Ok(format!("content: %lark {{\n{text}}}\n"))
        }
    }
}

/// A schema as an expression of Lark: any JSON value that is valid under it.
pub fn json(schema: &Json) -> Result<String, GrammarError> {
    Ok(format!("%json {}", schema::narrow(schema)?))
}

/// A grammar of `content` and nothing else.
pub fn alone(content: &str) -> String {
    format!("start: content\n{content}")
}

fn check_bytes(text: &str, source_of: Source, limit: usize) -> Result<(), GrammarError> {
    let size = text.len();
    if size > limit {
        return Err(GrammarError::TooLarge { source_of, size, unit: "bytes", limit });
    }
    Ok(())
}

fn regex_content(regex: &str) -> Result<String, GrammarError> {
    let refused =
        |reason: &str| Err(GrammarError::Refused { source_of: Source::Regex, reason: reason.to_owned() });
    check_bytes(regex, Source::Regex, MAX_REGEX_BYTES)?;
    let backslashes = regex.bytes().rev().take_while(|&byte| byte == b'\\').count();
    if backslashes % 2 == 1 {
        return refused("it ends with a backslash that escapes nothing");
    }
    Ok(match without_anchors(regex) {
        "" => "content: \"\"\n".to_owned(),
        regex => format!("content: /{}/\n", regex_to_lark(regex, "")),
    })
}

/// The whole output has to match, so anchors at both ends say nothing; where an alternative stands between them they
/// would say something else.
fn without_anchors(regex: &str) -> &str {
    let inner = regex.strip_prefix('^').unwrap_or(regex);
    let escapes = |text: &str| text.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1;
    let inner = inner.strip_suffix('$').filter(|rest| !escapes(rest)).unwrap_or(inner);
    let (mut depth, mut escaped) = (0_i32, false);
    for byte in inner.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'|' if depth <= 0 => return regex,
            _ => {}
        }
    }
    inner
}

fn choice_content(texts: &[String]) -> Result<String, GrammarError> {
    if texts.is_empty() {
        let reason = "it is empty: name at least one text".to_owned();
        return Err(GrammarError::Refused { source_of: Source::Choices, reason });
    }
    if texts.len() > MAX_CHOICES {
        return Err(GrammarError::TooLarge {
            source_of: Source::Choices,
            size: texts.len(),
            unit: "texts",
            limit: MAX_CHOICES,
        });
    }
    let literals: Vec<_> = texts.iter().filter(|text| !text.is_empty()).map(|text| quote(text)).collect();
    let or_nothing = if literals.len() < texts.len() { " | \"\"" } else { "" };
    if literals.is_empty() {
        return Ok("content: \"\"\n".to_owned());
    }
    Ok(format!("content: CONTENT_CHOICE{or_nothing}\nCONTENT_CHOICE: {}\n", literals.join(" | ")))
}

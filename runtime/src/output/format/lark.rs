//! What grammars of formats are put together of, in llguidance's dialect of Lark.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Rules, Tool};
use crate::engine::{TokenId, Vocabulary};

/// How the model at hand writes the tags of its format: as control tokens, or as text.
#[derive(Debug, Clone, Default)]
pub struct Tags {
    controls: BTreeMap<String, TokenId>,
}

impl Tags {
    /// Those of a vocabulary, for a format that sees these control tokens.
    pub fn of(vocabulary: &dyn Vocabulary, names: &[&str]) -> Self {
        let mut controls = BTreeMap::new();
        if names.is_empty() {
            return Self { controls };
        }
        for token in (0..vocabulary.size()).map(TokenId) {
            if vocabulary.piece(token).is_empty()
                && let Some(name) = vocabulary.control_name(token)
                && names.contains(&name)
            {
                controls.entry(name.to_owned()).or_insert(token);
            }
        }
        Self { controls }
    }

    /// Whether the tag is a control token, so that no text can be taken for it.
    pub fn is_control(&self, tag: &str) -> bool {
        self.controls.contains_key(tag)
    }

    /// The tag in a rule of a grammar. Control tokens within it are taken for what they are.
    pub fn lark(&self, tag: &str) -> String {
        match self.split(tag) {
            Some((before, token, behind)) => {
                let text = |text: &str| if text.is_empty() { String::new() } else { self.lark(text) };
                format!("{} <[{}]> {}", text(before), token.0, text(behind)).trim().to_owned()
            }
            None => literal(tag),
        }
    }

    /// The first control token in `text`, with what stands before and behind it.
    fn split<'a>(&self, text: &'a str) -> Option<(&'a str, TokenId, &'a str)> {
        let found =
            self.controls.iter().filter_map(|(name, token)| Some((text.find(name.as_str())?, name, token)));
        let (at, name, token) = found.min_by_key(|(at, name, _)| (*at, usize::MAX - name.len()))?;
        Some((&text[..at], *token, &text[at + name.len()..]))
    }
}

/// A text in a rule.
pub(super) fn literal(text: &str) -> String {
    Json::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// A text in a regular expression.
pub(super) fn regex(text: &str) -> String {
    let mut escaped = String::new();
    for char in text.chars() {
        match char {
            '\n' => escaped.push_str("\\n"),
            // A backslash before others has a meaning of its own.
            _ if r"\.+*?()|[]{}^$#&-~/".contains(char) => escaped.extend(['\\', char]),
            _ => escaped.push(char),
        }
    }
    escaped
}

/// The rule `name`: any text up to and with `tag`.
pub(super) fn through(name: &str, tag: &str, tags: &Tags) -> String {
    through_without(name, tag, &[], tags)
}

/// The rule `name`: any text in which nothing of these `shapes` is, regular expressions, up to and with `tag`.
pub(super) fn through_without(name: &str, tag: &str, shapes: &[String], tags: &Tags) -> String {
    let token = name.to_uppercase();
    let without = without(shapes.iter());
    match tags.split(tag) {
        Some(("", ..)) => format!("{name}: {token}? {}\n{token}: /(?s:.+)/{without}\n", tags.lark(tag)),
        // A text cannot go on over a control token, so it ends where that begins.
        Some((before, ..)) => {
            let rest = tags.lark(&tag[before.len()..]);
            format!("{name}: {token} {rest}\n{token}: /(?s:.*){}/{without}\n", regex(before))
        }
        None => format!("{name}[lazy]: /(?s:.*){}/{without}\n", regex(tag)),
    }
}

/// The terminal `name`: any text, the empty one too, in which there is none of these tags and nothing of these shapes,
/// regular expressions. Tags that are control tokens are in no text anyway.
pub(super) fn text(name: &str, avoided: &[&str], shapes: &[String], tags: &Tags) -> String {
    let avoided: Vec<String> =
        avoided.iter().filter(|tag| !tags.is_control(tag)).map(|tag| regex(tag)).collect();
    format!("{name}: /(?s:.*)/{}\n", without(avoided.iter().chain(shapes)))
}

/// Nothing of these shapes, behind the expression of a text. They are one expression: llguidance gives up on texts that
/// several are taken from.
fn without<'a>(shapes: impl Iterator<Item = &'a String>) -> String {
    let shapes: Vec<&str> = shapes.map(String::as_str).collect();
    if shapes.is_empty() { String::new() } else { format!(" & ~/(?s:.*)({})(?s:.*)/", shapes.join("|")) }
}

/// The arguments of `tool`: what its schema says where the call is forced or the tool strict, else any object.
pub(super) fn arguments(tool: &Tool, rules: &Rules) -> String {
    format!("%json {}", schema(tool, rules))
}

/// The schema of the arguments.
pub(super) fn schema(tool: &Tool, rules: &Rules) -> Json {
    if rules.bind(tool) && tool.parameters.is_object() {
        tool.parameters.clone()
    } else {
        json!({"type": "object"})
    }
}

/// `one` as often as `rules` allow calls, `between` two of them.
pub(super) fn calls(one: &str, between: &str, rules: &Rules) -> String {
    match (rules.single, between) {
        (true, _) => one.to_owned(),
        (false, "") => format!("{one}+"),
        (false, _) => format!("{one} ({between} {one})*"),
    }
}

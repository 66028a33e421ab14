//! How the rules of a Lark text lead into each other: the compiler recurses from each to those that it names.

use std::collections::HashMap;

use super::{Piece, pieces};
use crate::sampling::grammar::{
    GrammarError, Source,
    chain::{Graph, MAX_CHAIN},
};

/// Refuses a text whose rules and terminals lead too deep into each other. Of a text that compiles every reference is
/// seen; a word that only looks like one counts as well.
pub(in crate::sampling::grammar) fn check(lark: &str, source_of: Source) -> Result<(), GrammarError> {
    let mut rules = Rules::default();
    for piece in pieces(lark) {
        match piece {
            Piece::Other(text) if !text.starts_with(['"', '/', '#']) => rules.read(text),
            Piece::Other(_) | Piece::Name(_) | Piece::Schema(_) => rules.at.head = None,
        }
    }
    match rules.deepest() {
        size if size > MAX_CHAIN => {
            let unit = "rules and brackets within each other";
            Err(GrammarError::TooLarge { source_of, size, unit, limit: MAX_CHAIN })
        }
        _ => Ok(()),
    }
}

/// A rule's name, and the number of the grammar within the grammar that it belongs to.
type Name<'a> = (usize, &'a str);

/// The rules of a text, as far as it was read.
#[derive(Default)]
struct Rules<'a> {
    graph: Graph,
    nodes: HashMap<Name<'a>, usize>,
    /// Names that were read, and the rules in which they stand.
    references: Vec<(Option<usize>, Name<'a>)>,
    at: Level,
    /// The levels of the brackets around it.
    around: Vec<Level>,
    n_grammars: usize,
    /// The next bracket begins a grammar within the grammar.
    begins_grammar: bool,
}

/// What is known within a bracket.
#[derive(Debug, Default, Clone, Copy)]
struct Level {
    grammar: usize,
    /// The rule that is being defined, and how many brackets are around it.
    rule: Option<(usize, usize)>,
    /// The reference that is none if a colon follows, but the name of the next rule.
    head: Option<usize>,
}

impl<'a> Rules<'a> {
    /// Reads a piece of the text without literals.
    fn read(&mut self, text: &'a str) {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let length = match name(rest) {
                0 => first.len_utf8(),
                length => length,
            };
            let (token, behind) = rest.split_at(length);
            rest = behind;
            match first {
                '(' | '[' | '{' => self.open(),
                ')' | ']' | '}' => self.at = self.around.pop().unwrap_or_default(),
                ':' if rest.starts_with(':') => rest = &rest[1..],
                ':' => self.define(),
                '%' => {
                    let directive = &rest[..name(rest)];
                    self.begins_grammar = directive == "lark";
                    self.at.head = None;
                    rest = &rest[directive.len()..];
                }
                ' ' | '\t' => {}
                '_' if token == "_" => {}
                _ if name(token) > 0 => {
                    self.at.head = Some(self.references.len());
                    let rule = self.at.rule.map(|(rule, _)| rule);
                    self.references.push((rule, (self.at.grammar, token)));
                }
                _ => self.at.head = None,
            }
        }
    }

    fn open(&mut self) {
        self.around.push(self.at);
        self.at.head = None;
        if std::mem::take(&mut self.begins_grammar) {
            self.n_grammars += 1;
            self.at = Level { grammar: self.n_grammars, rule: None, head: None };
        }
        if let Some((rule, brackets)) = self.at.rule {
            self.graph.deepen(rule, 1 + self.around.len() - brackets);
        }
    }

    /// Behind the head of a rule, of which attributes may have been read.
    fn define(&mut self) {
        let Some(head) = self.at.head.take() else { return };
        let (_, name) = self.references.remove(head);
        let rule = self.node(name);
        self.graph.deepen(rule, 1);
        self.references[head..].iter_mut().for_each(|(of, _)| *of = Some(rule));
        self.at.rule = Some((rule, self.around.len()));
    }

    fn node(&mut self, name: Name<'a>) -> usize {
        *self.nodes.entry(name).or_insert_with(|| self.graph.add())
    }

    fn deepest(mut self) -> usize {
        for (rule, name) in std::mem::take(&mut self.references) {
            if let (Some(rule), Some(&to)) = (rule, self.nodes.get(&name)) {
                self.graph.refer(rule, to);
            }
        }
        self.graph.deepest()
    }
}

/// Length of the name of a rule or terminal at the beginning of `text`.
fn name(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mark = usize::from(bytes.first() == Some(&b'_'));
    let is_part = |byte: &u8| match bytes.get(mark) {
        Some(b'a'..=b'z') => byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(byte),
        Some(b'A'..=b'Z') => byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"_-".contains(byte),
        _ => false,
    };
    match bytes.iter().skip(mark).take_while(|byte| is_part(byte)).count() {
        0 => 0,
        length => mark + length,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_of_rules_are_as_deep_as_they_are() {
        let check = |lark: &str, expected: usize| {
            let mut rules = Rules::default();
            for piece in pieces(lark) {
                match piece {
                    Piece::Other(text) if !text.starts_with(['"', '/', '#']) => rules.read(text),
                    _ => rules.at.head = None,
                }
            }
            assert_eq!(rules.deepest(), expected, "{lark}");
        };
        check("", 0);
        check("start: a\na: B\nB: \"x\"", 3);
        check("start: a | b\na: \"start: a\"\nb: /a: b\\/ a/ // a", 2);
        // The name of a rule is no reference of the one before it.
        check("a: \"x\"\nb: a\nc: a\nd: c", 3);
        check("?a: _B\n_B: \"x\"\n!c::_: a::incr(_) %if is_ones([0:3])\nstart: c", 6);
        // Attributes count as a bracket of the rule before them.
        check("a[stop=B, capture=\"x\"]: /./\nB: \"b\"\nc[lazy]: a", 4);
        check("start: ((a))\na: (\"x\" (\"y\")) a?", 6);
        check("start: a\na: b\nb: c a\nc: \"x\"", 4);
        check("start: %json {\"a\": {\"b\": [{}]}} a\na: <tag> \"x\"i", 2);
        check("start: %lark {\nstart: a\na: \"x\"\n} b\nb: c\nc: a\na: \"y\"", 4);
        check("start: a # a: b\na: %regex {\"substring_words\": \"b: c\"}", 3);
    }
}

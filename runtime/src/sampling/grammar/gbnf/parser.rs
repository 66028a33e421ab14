//! Reads GBNF.

use std::collections::HashMap;

use super::{GrammarError, Node, Rules, refused};
use crate::sampling::grammar::lark::push_char;

/// Groups within groups.
const MAX_DEPTH: usize = 64;

/// The largest number of repetitions; llama.cpp has the same.
const MAX_REPEAT: u32 = 2000;

/// Operators behind one item; each repeats what the one before it made.
const MAX_OPERATORS: usize = 4;

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

/// All rules of `text`.
pub(super) fn parse(text: &str) -> Result<Rules, GrammarError> {
    let mut parser = Parser { text, at: 0 };
    let mut rules = Rules { nodes: HashMap::new(), names: Vec::new(), numbers: HashMap::new() };
    parser.skip(true);
    while parser.at < text.len() {
        let name = parser.name().ok_or_else(|| parser.error("a rule's name is expected"))?;
        parser.skip(false);
        if !parser.take("::=") {
            return Err(parser.error("`::=` is expected"));
        }
        parser.skip(true);
        let node = parser.choice(0)?;
        if rules.nodes.insert(name.clone(), node).is_some() {
            return Err(refused(format!("it has two rules `{name}`")));
        }
        rules.numbers.insert(name.clone(), rules.names.len());
        rules.names.push(name);
        parser.skip(true);
    }
    Ok(rules)
}

impl Parser<'_> {
    fn choice(&mut self, depth: usize) -> Result<Node, GrammarError> {
        if depth > MAX_DEPTH {
            return Err(self.error("groups are nested too deep"));
        }
        let mut options = vec![self.sequence(depth)?];
        while self.take("|") {
            self.skip(true);
            options.push(self.sequence(depth)?);
        }
        Ok(if options.len() == 1 { options.remove(0) } else { Node::Choice(options) })
    }

    fn sequence(&mut self, depth: usize) -> Result<Node, GrammarError> {
        let mut nodes = Vec::new();
        while let Some(node) = self.item(depth)? {
            let node = self.repeated(node)?;
            nodes.push(node);
            // A line ends a rule, but not within a group.
            self.skip(depth > 0);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Sequence(nodes) })
    }

    /// The next item, where there is one.
    fn item(&mut self, depth: usize) -> Result<Option<Node>, GrammarError> {
        let Some(char) = self.peek() else { return Ok(None) };
        Ok(Some(match char {
            '"' => Node::Text(self.literal()?),
            '[' => Node::Class(self.class()?),
            '.' => {
                self.at += 1;
                Node::Class("(?s:.)".to_owned())
            }
            '(' => {
                self.at += 1;
                self.skip(true);
                let node = self.choice(depth + 1)?;
                if !self.take(")") {
                    return Err(self.error("`)` is expected"));
                }
                node
            }
            '<' => {
                let end = self.rest().find('>').ok_or_else(|| self.error("`>` is expected"))?;
                let token = self.rest()[..=end].to_owned();
                self.at += end + 1;
                Node::Token(token)
            }
            '!' => return Err(self.error("`!` before a token cannot be enforced")),
            _ => {
                let start = self.at;
                let Some(name) = self.name() else { return Ok(None) };
                // The name of the next rule begins a line.
                let after = self.rest().trim_start_matches([' ', '\t']);
                if after.starts_with("::=") {
                    self.at = start;
                    return Ok(None);
                }
                Node::Rule(name)
            }
        }))
    }

    fn repeated(&mut self, mut node: Node) -> Result<Node, GrammarError> {
        for n_operators in 0.. {
            let (least, most) = match self.peek() {
                Some('*' | '+' | '?' | '{') if n_operators == MAX_OPERATORS => {
                    return Err(self.error("an item has more than four operators behind it"));
                }
                Some('*') => (0, None),
                Some('+') => (1, None),
                Some('?') => (0, Some(1)),
                Some('{') => {
                    let end = self.rest().find('}').ok_or_else(|| self.error("`}` is expected"))?;
                    let inside = &self.rest()[1..end];
                    let number = |text: &str| {
                        let number = text.trim().parse().ok().filter(|number| *number <= MAX_REPEAT);
                        number.ok_or_else(|| self.error("a number of repetitions up to 2000 is expected"))
                    };
                    let range = match inside.split_once(',') {
                        None => (number(inside)?, Some(number(inside)?)),
                        Some((least, most)) if most.trim().is_empty() => (number(least)?, None),
                        Some((least, most)) => (number(least)?, Some(number(most)?)),
                    };
                    self.at += end;
                    range
                }
                _ => break,
            };
            if most.is_some_and(|most| most < least) {
                return Err(self.error("the numbers of repetitions are in the wrong order"));
            }
            self.at += 1;
            node = Node::Repeat { node: Box::new(node), least, most };
            self.skip_spaces();
        }
        Ok(node)
    }

    fn literal(&mut self) -> Result<String, GrammarError> {
        let mut text = String::new();
        self.at += 1;
        loop {
            match self.next() {
                None | Some('\n') => return Err(self.error("a literal does not end")),
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(char) => text.push(char),
            }
        }
    }

    /// A class as a regular expression.
    fn class(&mut self) -> Result<String, GrammarError> {
        self.at += 1;
        let mut regex = String::from(if self.take("^") { "[^" } else { "[" });
        let is_empty = self.peek() == Some(']');
        loop {
            let first = match self.next() {
                None | Some('\n') => return Err(self.error("a class does not end")),
                Some(']') if !is_empty => break,
                Some(']') => return Err(self.error("a class has no characters")),
                Some('\\') => self.escape()?,
                Some(char) => char,
            };
            push_char(first, &mut regex);
            if self.rest().starts_with('-') && !self.rest().starts_with("-]") {
                self.at += 1;
                let last = match self.next() {
                    Some('\\') => self.escape()?,
                    Some(char) => char,
                    None => return Err(self.error("a class does not end")),
                };
                if last < first {
                    return Err(self.error("a range of characters is in the wrong order"));
                }
                regex.push('-');
                push_char(last, &mut regex);
            }
        }
        regex.push(']');
        Ok(regex)
    }

    fn escape(&mut self) -> Result<char, GrammarError> {
        let digits = match self.next() {
            Some('n') => return Ok('\n'),
            Some('r') => return Ok('\r'),
            Some('t') => return Ok('\t'),
            Some(char @ ('"' | '\\' | '[' | ']' | '-' | '^')) => return Ok(char),
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            _ => return Err(self.error("an escape is not one of GBNF's")),
        };
        let code = self.rest().get(..digits).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let char = code.and_then(char::from_u32).ok_or_else(|| self.error("an escape is no character"))?;
        self.at += digits;
        Ok(char)
    }

    fn name(&mut self) -> Option<String> {
        let is_part = |char: char| char.is_ascii_alphanumeric() || char == '-' || char == '_';
        let length = self.rest().find(|char| !is_part(char)).unwrap_or(self.rest().len());
        let name = self.rest()[..length].to_owned();
        self.at += length;
        (!name.is_empty()).then_some(name)
    }

    /// Skips white space and comments, with `lines` over the ends of lines.
    fn skip(&mut self, lines: bool) {
        loop {
            self.skip_spaces();
            match self.peek() {
                Some('#') => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
                Some('\n' | '\r') if lines || self.continues() => self.at += 1,
                _ => return,
            }
        }
    }

    /// Whether the next line goes on with this rule: llama.cpp lets alternatives stand on lines of their own.
    fn continues(&self) -> bool {
        self.rest().trim_start().starts_with('|')
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    fn take(&mut self, text: &str) -> bool {
        let starts = self.rest().starts_with(text);
        if starts {
            self.at += text.len();
        }
        starts
    }

    fn error(&self, what: &str) -> GrammarError {
        let line = self.text.get(..self.at).unwrap_or_default().matches('\n').count() + 1;
        refused(format!("{what} at line {line}"))
    }
}

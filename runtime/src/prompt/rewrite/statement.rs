//! Statements: which there are, where their expressions are, how deep they are.

use super::super::lexer::{Kind, Tag, Token, refused};
use super::{BOUNDED, Rewriter, STORED, TemplateError};

/// Blocks in blocks. The engine allows 150 of everything together.
const MAX_BLOCKS: usize = 40;

/// Alternatives of one `if`; to the engine each is inside the one before.
const MAX_ALTERNATIVES: usize = 200;

/// The blocks that are open, and how many alternatives each has.
#[derive(Default)]
pub(super) struct Blocks(Vec<usize>);

impl Blocks {
    /// Follows a tag into or out of a block.
    pub(super) fn enter(&mut self, source: &str, tag: &Tag<'_>) -> Result<(), TemplateError> {
        let Some(word) = tag.tokens.first().filter(|_| tag.is_statement) else { return Ok(()) };
        match word.text {
            "for" | "if" | "with" | "macro" | "call" | "filter" | "block" | "generation" => self.0.push(0),
            "set" if !tag.tokens.iter().any(|token| token.is("=")) => self.0.push(0),
            "elif" => {
                if let Some(alternatives) = self.0.last_mut() {
                    *alternatives += 1;
                    if *alternatives > MAX_ALTERNATIVES {
                        return Err(refused(source, word.start, "an if has too many alternatives"));
                    }
                }
            }
            other if other.starts_with("end") => {
                self.0.pop();
            }
            _ => {}
        }
        if self.0.len() > MAX_BLOCKS {
            return Err(refused(source, word.start, "blocks are nested too deeply"));
        }
        Ok(())
    }
}

impl<'a> Rewriter<'a> {
    /// Rewrites what is between `{%` and `%}`.
    pub(super) fn statement(&mut self, tokens: &[Token<'a>]) -> Result<(), TemplateError> {
        let Some((word, rest)) = tokens.split_first() else { return Ok(()) };
        match word.text {
            "if" | "elif" => self.expression(rest, 0),
            "set" => self.set(rest),
            "for" => self.for_loop(rest),
            "with" => {
                split(rest, ",").into_iter().try_for_each(|assignment| self.assignment(assignment, BOUNDED))
            }
            "macro" | "call" | "do" | "filter" => self.unchecked(rest, 0),
            // What Hugging Face marks for training; here it is only there.
            "generation" | "endgeneration" => {
                self.skip(word.start, word.end());
                self.insert(if word.is("generation") { "if true" } else { "endif" });
                Ok(())
            }
            "extends" | "include" | "import" | "from" | "autoescape" => {
                Err(self.refused(word, "a chat template cannot use other templates or escape its output"))
            }
            _ => Ok(()),
        }
    }

    /// `set x = …`, `set ns.x = …`, or the beginning of a block that is captured.
    fn set(&mut self, tokens: &[Token<'a>]) -> Result<(), TemplateError> {
        let Some(equals) = position(tokens, "=") else {
            self.unchecked(tokens, 0)?;
            if let Some(last) = tokens.last() {
                self.copy(last.end());
                self.insert(" | ");
                self.insert(BOUNDED);
            }
            return Ok(());
        };
        let (target, values) = (&tokens[..equals], &tokens[equals + 1..]);
        if target.iter().any(|token| token.is(".")) {
            return self.checked(values, STORED, 0);
        }
        split(values, ",").into_iter().try_for_each(|value| self.expression(value, 0))
    }

    fn assignment(&mut self, tokens: &[Token<'a>], check: &str) -> Result<(), TemplateError> {
        match position(tokens, "=") {
            Some(equals) => self.checked(&tokens[equals + 1..], check, 0),
            None => Ok(()),
        }
    }

    /// `for x in … if … recursive`.
    fn for_loop(&mut self, tokens: &[Token<'a>]) -> Result<(), TemplateError> {
        let Some(within) = position(tokens, "in") else { return Ok(()) };
        let mut rest = &tokens[within + 1..];
        if let Some((last, before)) = rest.split_last()
            && last.is("recursive")
            && !before.is_empty()
        {
            rest = before;
        }
        match position(rest, "if") {
            Some(condition) => {
                self.expression(&rest[..condition], 0)?;
                self.expression(&rest[condition + 1..], 0)
            }
            None => self.expression(rest, 0),
        }
    }
}

/// Where `text` stands outside of brackets.
pub(super) fn position(tokens: &[Token<'_>], text: &str) -> Option<usize> {
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        let is_name = at > 0 && tokens[at - 1].is(".");
        if token.is(text) && !is_name {
            return Some(at);
        }
        at += if let Kind::Open(length) = token.kind { length + 1 } else { 1 };
    }
    None
}

/// The parts of `tokens` between separators outside of brackets.
pub(super) fn split<'t, 'a>(mut tokens: &'t [Token<'a>], separator: &str) -> Vec<&'t [Token<'a>]> {
    let mut parts = Vec::new();
    while let Some(at) = position(tokens, separator) {
        parts.push(&tokens[..at]);
        tokens = &tokens[at + 1..];
    }
    parts.push(tokens);
    parts
}

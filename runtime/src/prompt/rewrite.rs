//! Makes a template safe to compile and to run.
//!
//! The engine recurses over syntax and allocates what expressions ask for. So syntax that is too deep is refused
//! here, and checks are written into the rest: the value of every expression that could be new goes through a filter
//! ([`BOUNDED`], or [`STORED`] where a namespace is assigned to) that counts it, `*` becomes a function that
//! looks at its operands first, and long text of the template itself is counted where it is written. By induction all
//! values are small, and a chain of operators between two checks has a length that is limited too.

mod expression;
mod statement;

use super::TemplateError;
use super::lexer::{self, Piece, Tag, Token, refused};

/// What the names of functions and filters begin with that a template cannot use itself.
pub(super) const RESERVED_PREFIX: &str = "_impetus";
/// The filter behind every expression.
pub(super) const BOUNDED: &str = "_impetus_bounded";
/// The filter behind what is assigned to a namespace.
pub(super) const STORED: &str = "_impetus_stored";
/// The function in the place of `*`.
pub(super) const MULTIPLY: &str = "_impetus_multiply";
/// The function that counts the template's own text.
pub(super) const RAW_TEXT: &str = "_impetus_raw_text";

/// Text shorter than this is not worth counting: the instructions that write it are counted.
const COUNTED_TEXT_BYTES: usize = 32;

/// Bytes of all raw blocks together, in which nothing can be counted.
const MAX_RAW_BYTES: usize = 4096;

/// `template` with its checks, on the same lines. Fails on what is too deep or no template.
pub(super) fn rewrite(template: &str) -> Result<String, TemplateError> {
    if let Some(at) = template.find(RESERVED_PREFIX) {
        return Err(refused(template, at, "it uses a name that is reserved for this server"));
    }
    let mut rewriter =
        Rewriter { source: template, output: String::with_capacity(template.len() * 2), copied: 0 };
    let mut blocks = statement::Blocks::default();
    let mut raw_bytes = 0;
    for piece in lexer::pieces(template)? {
        match piece {
            Piece::Text(text) => rewriter.text(text),
            Piece::Comment(comment) => rewriter.copy(rewriter.copied + comment.len()),
            Piece::Raw(raw) => {
                raw_bytes += raw.len();
                if raw_bytes > MAX_RAW_BYTES {
                    return Err(refused(template, rewriter.copied, "its raw blocks are too long"));
                }
                rewriter.copy(rewriter.copied + raw.len());
            }
            Piece::Tag(tag) => {
                blocks.enter(template, &tag)?;
                rewriter.tag(&tag)?;
            }
        }
    }
    Ok(rewriter.output)
}

/// Copies a template while writing into it.
struct Rewriter<'a> {
    source: &'a str,
    output: String,
    /// Everything before this byte of the source has been dealt with.
    copied: usize,
}

impl<'a> Rewriter<'a> {
    fn copy(&mut self, to: usize) {
        self.output.push_str(&self.source[self.copied..to]);
        self.copied = to;
    }

    /// Copies up to `at` and leaves out everything from there to `to`.
    fn skip(&mut self, at: usize, to: usize) {
        self.copy(at);
        self.copied = to;
    }

    fn insert(&mut self, text: &str) {
        self.output.push_str(text);
    }

    /// Counts text where tags around it cannot trim it, between two characters that are no white space; and not
    /// behind a brace, which would begin another tag.
    fn text(&mut self, text: &str) {
        let end = self.copied + text.len();
        if text.len() >= COUNTED_TEXT_BYTES {
            let solid = text.trim();
            let start = text.len() - text.trim_start().len();
            let place =
                solid.char_indices().find(|(_, character)| !character.is_whitespace() && *character != '{');
            if let Some((at, character)) = place
                && at + character.len_utf8() < solid.len()
            {
                self.copy(self.copied + start + at + character.len_utf8());
                self.insert(&format!("{{{{ {RAW_TEXT}({}) }}}}", text.len()));
            }
        }
        self.copy(end);
    }

    fn tag(&mut self, tag: &Tag<'a>) -> Result<(), TemplateError> {
        if tag.is_statement {
            self.statement(&tag.tokens)?;
        } else {
            self.expression(&tag.tokens, 0)?;
        }
        self.copy(tag.place.end);
        Ok(())
    }

    fn refused(&self, token: &Token<'_>, reason: &'static str) -> TemplateError {
        refused(self.source, token.start, reason)
    }
}

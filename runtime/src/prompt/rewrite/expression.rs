//! Expressions: how deep they are, where they multiply, which values are new.

use super::super::lexer::{Kind, Token};
use super::statement::{position, split};
use super::{BOUNDED, MULTIPLY, Rewriter, TemplateError};

/// Brackets in brackets. With those that the rewriting adds they stay below the engine's own limit of 150.
const MAX_BRACKETS: usize = 20;

/// Tokens of one expression outside of its brackets; to the engine each may be one level deeper.
const MAX_TOKENS: usize = 400;

/// Values that are put together before the result is checked. Real templates have up to 26.
const MAX_JOINED: usize = 64;

/// What a part of an expression is to the operators around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A value, or a part of one: a name, a bracket, a dot, a filter.
    Value,
    /// A bracket behind a value: a call, or an index.
    Behind,
    /// `*`.
    Times,
    /// `/`, `//` or `%`: as strong as `*`.
    AsTimes,
    /// `+` or `~`.
    Join,
    /// Any weaker operator.
    Weak,
    /// An operator before its only operand, or a stronger one.
    Tight,
}

/// A token outside of the expression's brackets, or a bracket with all that is in it.
struct Part {
    role: Role,
    /// Its tokens.
    first: usize,
    last: usize,
}

impl<'a> Rewriter<'a> {
    /// Rewrites an expression; if its value could be new, the value is checked.
    pub(super) fn expression(&mut self, tokens: &[Token<'a>], depth: usize) -> Result<(), TemplateError> {
        if is_new(tokens) { self.checked(tokens, BOUNDED, depth) } else { self.unchecked(tokens, depth) }
    }

    /// Rewrites an expression and puts the filter `check` behind it.
    pub(super) fn checked(
        &mut self,
        tokens: &[Token<'a>],
        check: &str,
        depth: usize,
    ) -> Result<(), TemplateError> {
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return Ok(()) };
        self.copy(first.start);
        self.insert("(");
        self.unchecked(tokens, depth)?;
        self.copy(last.end());
        self.insert(")|");
        self.insert(check);
        Ok(())
    }

    /// Rewrites an expression without checking its value.
    pub(super) fn unchecked(&mut self, tokens: &[Token<'a>], depth: usize) -> Result<(), TemplateError> {
        let parts = parts(tokens);
        if let Some(first) = tokens.first() {
            if parts.len() > MAX_TOKENS {
                return Err(self.refused(first, "an expression is too long"));
            }
            if parts.iter().filter(|part| part.role == Role::Join).count() > MAX_JOINED {
                return Err(self.refused(first, "an expression puts too many values together"));
            }
            if depth > MAX_BRACKETS {
                return Err(self.refused(first, "brackets are nested too deeply"));
            }
        }
        let joins = parts.iter().any(|part| part.role == Role::Join);
        // The parts up to the next weak operator, which `*` binds.
        for run in parts.split_inclusive(|part| matches!(part.role, Role::Weak | Role::Join)) {
            self.run(tokens, run, joins, depth)?;
        }
        Ok(())
    }

    /// Rewrites operands of `*` and its like: `a * b / c * d` becomes `multiply(multiply(a, b) / c, d)`.
    fn run(
        &mut self,
        tokens: &[Token<'a>],
        run: &[Part],
        joins: bool,
        depth: usize,
    ) -> Result<(), TemplateError> {
        let products = run.iter().filter(|part| part.role == Role::Times).count();
        if let Some(first) = run.first().filter(|_| products > 0) {
            self.copy(tokens[first.first].start);
            for _ in 0..products {
                self.insert(MULTIPLY);
                self.insert("(");
            }
        }
        let mut open = false;
        for (index, part) in run.iter().enumerate() {
            let token = &tokens[part.first];
            match part.role {
                Role::Times | Role::AsTimes | Role::Weak | Role::Join => {
                    if std::mem::take(&mut open) {
                        self.insert(")");
                    }
                    if part.role == Role::Times {
                        self.skip(token.start, token.end());
                        self.insert(",");
                        open = true;
                    } else {
                        self.copy(token.end());
                    }
                }
                Role::Value | Role::Behind if matches!(token.kind, Kind::Open(_)) => {
                    self.bracket(tokens, part, depth)?;
                    let is_call = part.role == Role::Behind && token.is("(");
                    let is_last = run
                        .get(index + 1)
                        .is_none_or(|next| next.role != Role::Value && next.role != Role::Behind);
                    // What a macro returns is as large as it likes; it must not be joined before it is checked.
                    if joins && is_call && is_last {
                        self.insert("|");
                        self.insert(BOUNDED);
                    }
                }
                _ => self.copy(token.end()),
            }
        }
        if open {
            self.insert(")");
        }
        Ok(())
    }

    /// Rewrites what is in a bracket: elements, arguments, keys and values, parts of a slice.
    fn bracket(&mut self, tokens: &[Token<'a>], part: &Part, depth: usize) -> Result<(), TemplateError> {
        self.copy(tokens[part.first].end());
        for element in split(&tokens[part.first + 1..part.last], ",") {
            for value in split(element, ":") {
                let unpacked = value.first().is_some_and(|token| token.is("*") || token.is("**"));
                let named = position(value, "=").map_or(0, |equals| equals + 1);
                self.expression(&value[named.max(usize::from(unpacked))..], depth + 1)?;
            }
        }
        self.copy(tokens[part.last].end());
        Ok(())
    }
}

/// Whether the value of an expression could be one that was not there before: it is not if the expression is a
/// literal, a name, or a path of attributes and indices.
fn is_new(tokens: &[Token<'_>]) -> bool {
    parts(tokens).iter().any(|part| {
        let token = &tokens[part.first];
        match (part.role, token.kind) {
            (Role::Behind, Kind::Open(_)) => {
                token.is("(") || position(&tokens[part.first + 1..part.last], ":").is_some()
            }
            (Role::Value, Kind::Open(_)) => true,
            (Role::Value, Kind::Operator) => token.is("|"),
            (Role::Value, Kind::Word) => token.is("is"),
            (role, _) => role != Role::Value,
        }
    })
}

/// The parts of an expression and their roles.
fn parts(tokens: &[Token<'_>]) -> Vec<Part> {
    let mut parts = Vec::new();
    // Whether an operand comes next; whether a name comes next that is no keyword.
    let (mut operand, mut name) = (true, false);
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        let mut last = at;
        let role = match token.kind {
            Kind::Open(length) => {
                last = at + length;
                let behind = !operand;
                operand = false;
                if behind { Role::Behind } else { Role::Value }
            }
            Kind::Word if name && !token.is("not") => {
                (operand, name) = (false, false);
                Role::Value
            }
            Kind::Word => match token.text {
                // `is not` is part of a test; `not in` and the `not` before an operand are weaker than `*`.
                "not" if name => Role::Value,
                "and" | "or" | "not" | "in" | "if" | "else" => {
                    operand = true;
                    Role::Weak
                }
                "is" => {
                    name = true;
                    Role::Value
                }
                _ => {
                    operand = false;
                    Role::Value
                }
            },
            Kind::Literal | Kind::Close => {
                (operand, name) = (false, false);
                Role::Value
            }
            Kind::Operator => match token.text {
                "." | "|" => {
                    name = true;
                    Role::Value
                }
                "+" | "-" if operand => Role::Tight,
                "**" => {
                    operand = true;
                    Role::Tight
                }
                text => {
                    operand = true;
                    match text {
                        "*" => Role::Times,
                        "/" | "//" | "%" => Role::AsTimes,
                        "+" | "~" => Role::Join,
                        _ => Role::Weak,
                    }
                }
            },
        };
        parts.push(Part { role, first: at, last });
        at = last + 1;
    }
    parts
}

//! Regular expressions of JSON Schema, which are those of ECMA 262, in Rust's syntax and with the same meaning.

use std::iter::Peekable;
use std::str::Chars;

use crate::sampling::grammar::lark::push_char;

/// White space and line ends of ECMA 262, as the inside of a class.
const SPACE: &str =
    r"\t\n\x0b\x0c\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}";

const WORD: &str = "0-9A-Za-z_";

/// Rust's expression for `pattern`; the reason where there is none.
pub(super) fn translate(pattern: &str) -> Result<String, &'static str> {
    let mut rust = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match escape(&mut chars)? {
                Escape::Char(char) => push_char(char, &mut rust),
                Escape::Class(inside) => rust.extend(["[", &inside, "]"]),
            },
            '.' => rust.push_str(r"[^\n\r\x{2028}\x{2029}]"),
            '[' => class(&mut chars, &mut rust)?,
            '(' => group(&mut chars, &mut rust)?,
            '{' if is_quantifier(&chars) => {
                rust.push('{');
                rust.extend(chars.by_ref().take_while(|&char| char != '}'));
                rust.push('}');
            }
            '^' | '$' | '|' | '*' | '+' | '?' | ')' => rust.push(char),
            char => push_char(char, &mut rust),
        }
    }
    Ok(rust)
}

/// What a backslash stands for.
enum Escape {
    Char(char),
    /// The inside of a class.
    Class(String),
}

fn escape(chars: &mut Peekable<Chars>) -> Result<Escape, &'static str> {
    let class = |inside: &str| Ok(Escape::Class(inside.to_owned()));
    let char = chars.next().ok_or("ends with a backslash that escapes nothing")?;
    Ok(Escape::Char(match char {
        'd' => return class("0-9"),
        'D' => return class("^0-9"),
        'w' => return class(WORD),
        'W' => return Ok(Escape::Class(format!("^{WORD}"))),
        's' => return class(SPACE),
        'S' => return Ok(Escape::Class(format!("^{SPACE}"))),
        'p' | 'P' => return property(char, chars).map(Escape::Class),
        't' => '\t',
        'n' => '\n',
        'r' => '\r',
        'v' => '\u{b}',
        'f' => '\u{c}',
        '0' if !chars.peek().is_some_and(char::is_ascii_digit) => '\0',
        'x' => hex(chars, 2)?,
        'u' if chars.next_if_eq(&'{').is_some() => braced(chars)?,
        'u' => hex(chars, 4)?,
        'c' => match chars.next() {
            Some(letter) if letter.is_ascii_alphabetic() => char::from(letter as u8 & 0x1f),
            _ => return Err("has an escape that cannot be enforced"),
        },
        'b' | 'B' => return Err("has a word boundary, which cannot be enforced"),
        '0'..='9' | 'k' => return Err("refers back to a group, which cannot be enforced"),
        char if char.is_ascii_alphanumeric() => return Err("has an escape that cannot be enforced"),
        char => char,
    }))
}

fn property(kind: char, chars: &mut Peekable<Chars>) -> Result<String, &'static str> {
    const ERROR: &str = "has a property of characters that cannot be enforced";
    chars.next_if_eq(&'{').ok_or(ERROR)?;
    let name: String = chars.by_ref().take_while(|&char| char != '}').collect();
    let is_name = name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_' || char == '=');
    if is_name { Ok(format!("\\{kind}{{{name}}}")) } else { Err(ERROR) }
}

fn hex(chars: &mut Peekable<Chars>, digits: usize) -> Result<char, &'static str> {
    let text: String = (0..digits).filter_map(|_| chars.next_if(char::is_ascii_hexdigit)).collect();
    code(if text.len() == digits { &text } else { "" })
}

fn braced(chars: &mut Peekable<Chars>) -> Result<char, &'static str> {
    let text: String = chars.by_ref().take_while(|&char| char != '}').take(8).collect();
    code(&text)
}

fn code(digits: &str) -> Result<char, &'static str> {
    let code = u32::from_str_radix(digits, 16).ok();
    code.and_then(char::from_u32).ok_or("has an escape that is no character")
}

/// What follows an opening bracket.
fn class(chars: &mut Peekable<Chars>, rust: &mut String) -> Result<(), &'static str> {
    let negated = chars.next_if_eq(&'^').is_some();
    if chars.next_if_eq(&']').is_some() {
        if !negated {
            return Err("has a class without characters, which nothing matches");
        }
        rust.push_str("(?s:.)");
        return Ok(());
    }
    rust.push_str(if negated { "[^" } else { "[" });
    loop {
        let first = match member(chars)? {
            None => break,
            Some(Escape::Class(inside)) => {
                rust.extend(["[", &inside, "]"]);
                continue;
            }
            Some(Escape::Char(char)) => char,
        };
        push_char(first, rust);
        let mut ahead = chars.clone();
        let is_range = ahead.next() == Some('-') && ahead.peek().is_some_and(|&char| char != ']');
        if is_range {
            chars.next();
            match member(chars)? {
                Some(Escape::Char(last)) if first <= last => {
                    rust.push('-');
                    push_char(last, rust);
                }
                _ => return Err("has a range of characters that is none"),
            }
        }
    }
    rust.push(']');
    Ok(())
}

/// The next member of a class; none at its end.
fn member(chars: &mut Peekable<Chars>) -> Result<Option<Escape>, &'static str> {
    match chars.next().ok_or("has a class that does not end")? {
        ']' => Ok(None),
        '\\' if chars.next_if_eq(&'b').is_some() => Ok(Some(Escape::Char('\u{8}'))),
        '\\' => escape(chars).map(Some),
        char => Ok(Some(Escape::Char(char))),
    }
}

/// What follows an opening parenthesis.
fn group(chars: &mut Peekable<Chars>, rust: &mut String) -> Result<(), &'static str> {
    rust.push_str("(?:");
    if chars.next_if_eq(&'?').is_none() {
        return Ok(());
    }
    match chars.next() {
        Some(':') => Ok(()),
        Some('<') if !matches!(chars.peek(), Some('=' | '!')) => {
            let name: String = chars.by_ref().take_while(|&char| char != '>').collect();
            if name.is_empty() { Err("has a group without a name") } else { Ok(()) }
        }
        Some('=' | '!' | '<') => Err("looks ahead or behind, which cannot be enforced"),
        _ => Err("has a group of a kind that cannot be enforced"),
    }
}

/// Whether digits, and a comma among them, follow up to a closing brace.
fn is_quantifier(chars: &Peekable<Chars>) -> bool {
    let inside: String = chars.clone().take_while(|&char| char != '}').take(24).collect();
    let has_end = chars.clone().any(|char| char == '}');
    let (least, most) = inside.split_once(',').unwrap_or((&inside, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    has_end && !least.is_empty() && is_number(least) && is_number(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_written_in_rusts_syntax() {
        let check = |pattern: &str, expected: &str| {
            assert_eq!(translate(pattern).as_deref(), Ok(expected), "{pattern}");
        };
        check("^[a-z]+$", "^[a-z]+$");
        check(r"^\d{2,3}$", "^[0-9]{2,3}$");
        check(r"a\.b|c\/d", r"a\x{2e}b|c\x{2f}d");
        check("[^]", "(?s:.)");
        check("[a&&b]", r"[a\x{26}\x{26}b]");
        check("[[]", r"[\x{5b}]");
        check(r"[\w-]", r"[[0-9A-Za-z_]\x{2d}]");
        check("{a}", r"\x{7b}a\x{7d}");
        check("a{2}", "a{2}");
        check(r"\x41\u0042\cA", r"AB\x{1}");
        check("(?<year>a)(b)", "(?:a)(?:b)");
    }

    #[test]
    fn what_cannot_be_enforced_is_refused() {
        for pattern in [r"\bword", "a(?=b)", "(?<!a)b", r"(a)\1", "(?i)a", "[]", "[a", r"\q", "a\\", "[z-a]"]
        {
            assert!(translate(pattern).is_err(), "{pattern}");
        }
    }
}

//! Patterns in settings.

/// Whether `text` is what `pattern` says, in which each `*` stands for any characters, or none.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        // The earliest place leaves the most to what follows.
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_characters() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        };
        check("a", "a", true);
        check("a", "ab", false);
        check("a*", "a", true);
        check("a*", "abc", true);
        check("*", "", true);
        check("*b", "ab", true);
        check("*b", "ba", false);
        check("a*c", "ac", true);
        check("a*c", "abcbc", true);
        check("a*bc*d", "abcxbcxd", true);
        check("a*a", "a", false);
        check("http://localhost:*", "http://localhost:3000", true);
        check("http://localhost:*", "http://localhost.evil.example", false);
        check("größe*", "größe-1", true);
        check("", "", true);
        check("", "a", false);
    }
}

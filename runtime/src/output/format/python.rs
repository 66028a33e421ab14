//! Values as Python prints them, which some templates show in a history and models then write.

use serde_json::Value as Json;

/// The JSON of a list or a dictionary that Python printed; none if it is no such thing.
pub(super) fn json(printed: &str) -> Option<String> {
    if !printed.starts_with(['[', '{']) {
        return None;
    }
    let mut json = String::with_capacity(printed.len());
    let mut rest = printed;
    while let Some(first) = rest.chars().next() {
        match first {
            '\'' | '"' => {
                let (text, behind) = string(&rest[1..], first)?;
                json.push_str(&Json::from(text).to_string());
                rest = behind;
            }
            _ if first.is_alphabetic() => {
                let end = rest.find(|char: char| !char.is_alphanumeric()).unwrap_or(rest.len());
                json.push_str(match &rest[..end] {
                    "True" => "true",
                    "False" => "false",
                    "None" => "null",
                    word => word,
                });
                rest = &rest[end..];
            }
            // Digits are taken with what follows them: an exponent is no word.
            _ => {
                let end = rest[first.len_utf8()..].find(|char: char| "[]{},:'\" ".contains(char));
                let end = if first.is_ascii_digit() || first == '-' { end } else { Some(0) };
                let end = end.map_or(rest.len(), |end| end + first.len_utf8());
                json.push_str(&rest[..end]);
                rest = &rest[end..];
            }
        }
    }
    serde_json::from_str::<Json>(&json).is_ok().then_some(json)
}

/// What stands before the closing `quote`, and what behind it.
fn string(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        if char == quote {
            return Some((value, &text[at + 1..]));
        }
        if char != '\\' {
            value.push(char);
            continue;
        }
        let code = |digits: usize| {
            let code = text.get(at + 2..at + 2 + digits)?;
            char::from_u32(u32::from_str_radix(code, 16).ok()?)
        };
        let (_, escaped) = chars.next()?;
        let digits = match escaped {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        value.push(match escaped {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            _ if digits > 0 => code(digits)?,
            '\\' | '\'' | '"' => escaped,
            _ => return None,
        });
        for _ in 0..digits {
            chars.next();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::json;

    #[test]
    fn what_python_prints_is_json() {
        let check = |printed: &str, expected: Option<&str>| {
            assert_eq!(json(printed).as_deref(), expected, "{printed}");
        };
        check("['x', 'y z', \"it's\"]", Some(r#"["x", "y z", "it's"]"#));
        check(
            "{'a': [1, -2.5e-3, True, {}], 'b': None, 'c': False}",
            Some(r#"{"a": [1, -2.5e-3, true, {}], "b": null, "c": false}"#),
        );
        check(r#"['\'\\\n\t\x41\u00e9\U0001f600é "']"#, Some("[\"'\\\\\\n\\tAé😀é \\\"\"]"));
        check("[1, 2", None);
        check("['a]", None);
        check(r"['\xZZ']", None);
        check(r"['\x4", None);
        check(r"['\q']", None);
        check("[nan]", None);
        check("[é]", None);
        check("{1: 2}", None);
        check("'a'", None);
        check("", None);
    }
}

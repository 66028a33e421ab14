//! What servers say, for people: not too much of it, and nothing that a terminal obeys.

use serde_json::Value;

/// What is shown of a text, in characters.
const MAX_CHARACTERS: usize = 300;

/// What an error's body says, in OpenAI's shape or as it is.
pub(in crate::ctl) fn error_message(body: &[u8]) -> String {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = [&json["error"]["message"], &json["error"], &json["message"]];
    let text = said.into_iter().find_map(Value::as_str).map(str::to_owned);
    let text = text.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    plain(&text)
}

/// The beginning of a text, in one line.
pub(in crate::ctl) fn plain(text: &str) -> String {
    let shown = |character: char| if character.is_control() { ' ' } else { character };
    text.chars().take(MAX_CHARACTERS).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_in_the_servers_words() {
        let check = |body: &str, expected: &str| assert_eq!(error_message(body.as_bytes()), expected);
        check(r#"{"error":{"message":"no such model"}}"#, "no such model");
        check(r#"{"error":"full"}"#, "full");
        check(r#"{"message":"gone"}"#, "gone");
        check("Not Found", "Not Found");
        check("a\u{1b}[2Jb", "a [2Jb");
        check(&"x".repeat(1000), &"x".repeat(300));
    }
}

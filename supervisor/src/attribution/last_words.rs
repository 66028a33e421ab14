//! What of a child's last lines may say why it ended: what it logged as a warning or an error, and what is no log
//! line at all, which is how engines, allocators and the dynamic linker speak.

use serde::Deserialize;

/// Lines that are repeated.
const MAX_LINES: usize = 3;
/// Characters of each that are repeated.
const MAX_CHARS: usize = 300;

/// Levels at which nothing is said that ends a process.
const CALM: [&str; 3] = ["INFO", "DEBUG", "TRACE"];

/// The form of a log line in JSON, as far as it matters here.
#[derive(Deserialize)]
struct Logged {
    level: String,
    fields: Fields,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    message: String,
    error: Option<String>,
}

/// The telling ones of `lines`, oldest first.
pub(super) fn telling(lines: &[String]) -> Vec<String> {
    let mut telling: Vec<String> = lines.iter().rev().filter_map(|line| said(line)).take(MAX_LINES).collect();
    telling.reverse();
    telling
}

fn said(line: &str) -> Option<String> {
    let text = match serde_json::from_str::<Logged>(line) {
        Ok(logged) if CALM.contains(&logged.level.as_str()) => return None,
        Ok(Logged { fields: Fields { message, error: Some(error) }, .. }) => format!("{message}: {error}"),
        Ok(logged) => logged.fields.message,
        Err(_) if is_calm_text(line) => return None,
        Err(_) => line.trim().to_owned(),
    };
    (!text.is_empty()).then(|| text.chars().take(MAX_CHARS).collect())
}

/// Whether this is a log line for people: a time, a level, the rest.
fn is_calm_text(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let is_time = |word: &str| word.ends_with('Z') && word.starts_with(|c: char| c.is_ascii_digit());
    words.next().is_some_and(is_time) && words.next().is_some_and(|level| CALM.contains(&level))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], expected: &[&str]) {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        assert_eq!(telling(&lines), expected, "{lines:?}");
    }

    #[test]
    fn calm_lines_say_nothing() {
        check(&[r#"{"timestamp":"t","level":"INFO","fields":{"message":"serving"},"target":"x"}"#], &[]);
        check(&["2026-01-01T00:00:00.000000Z  INFO impetus_runtime: serving"], &[]);
        check(&["", "  "], &[]);
    }

    #[test]
    fn errors_and_plain_text_are_kept() {
        check(
            &[r#"{"level":"ERROR","fields":{"message":"panic: boom","location":"a.rs:1"}}"#],
            &["panic: boom"],
        );
        check(
            &[r#"{"level":"WARN","fields":{"message":"step","error":"out of memory"}}"#],
            &["step: out of memory"],
        );
        check(&["2026-01-01T00:00:00.0Z ERROR x: boom"], &["2026-01-01T00:00:00.0Z ERROR x: boom"]);
        check(&["GGML_ASSERT(x) failed", "Aborted"], &["GGML_ASSERT(x) failed", "Aborted"]);
        check(&["1", "2", "3", "4"], &["2", "3", "4"]);
        check(&[&"x".repeat(1000)], &[&"x".repeat(MAX_CHARS)]);
    }
}

//! What a client sees of one streamed completion.

use serde_json::Value;
use tokio::time::Instant;

use crate::ctl::http::plain;

/// Events and text of an answer; a server that sends more has lost its way.
const MAX_EVENTS: usize = 1 << 20;
const MAX_TEXT_BYTES: usize = 16 << 20;

/// One completion, from the moment when it was due.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) due: Instant,
    /// When each event with text arrived; at least one.
    pub(super) events: Vec<Instant>,
    pub(super) prompt_tokens: u64,
    /// Of the prompt, what the server had computed before.
    pub(super) cached_tokens: u64,
    pub(super) completion_tokens: u64,
    /// What the server itself says, where it does.
    pub(super) timings: Option<Timings>,
    /// The completion, where it was wanted.
    pub(super) text: String,
}

/// Where a request's time went inside the server, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Timings {
    /// Until it was admitted; zero where the server does not tell it apart.
    pub(super) queue_ms: f64,
    pub(super) prefill_ms: f64,
    pub(super) decode_ms: f64,
}

/// Reads the lines of a stream of events. It runs on the cores that it measures, so events that show text are not
/// parsed.
#[derive(Debug)]
pub(super) struct Watch {
    keeps_text: bool,
    has_usage: bool,
    is_done: bool,
    seen: Seen,
}

impl Seen {
    /// From when it was due to the first text, in milliseconds.
    pub(super) fn first_token_ms(&self) -> f64 {
        self.events.first().map_or(f64::NAN, |first| (*first - self.due).as_secs_f64() * 1e3)
    }

    /// From when it was due to the last text, in milliseconds.
    pub(super) fn whole_ms(&self) -> f64 {
        self.events.last().map_or(f64::NAN, |last| (*last - self.due).as_secs_f64() * 1e3)
    }

    /// Between events, in milliseconds.
    pub(super) fn gaps_ms(&self) -> impl Iterator<Item = f64> {
        self.events.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1e3)
    }

    /// Tokens that one event stands for: a server may put several into one, and tokens may show no text.
    pub(super) fn tokens_per_event(&self) -> f64 {
        self.completion_tokens as f64 / self.events.len() as f64
    }
}

impl Watch {
    pub(super) fn new(due: Instant, keeps_text: bool) -> Self {
        let seen = Seen {
            due,
            events: Vec::new(),
            prompt_tokens: 0,
            cached_tokens: 0,
            completion_tokens: 0,
            timings: None,
            text: String::new(),
        };
        Self { keeps_text, has_usage: false, is_done: false, seen }
    }

    /// Takes in a line that arrived at `now`; an error that the stream tells is an error with the server's words.
    pub(super) fn line(&mut self, line: &[u8], now: Instant) -> Result<(), String> {
        // Only this field of an event matters (the HTML standard, 9.2.6); comments are signs of life.
        let Some(data) = line.strip_prefix(b"data:") else { return Ok(()) };
        let data = data.trim_ascii_start();
        if data == b"[DONE]" {
            self.is_done = true;
            return Ok(());
        }
        let shows_text = shows_text(data);
        if shows_text {
            self.seen.events.push(now);
        }
        if self.seen.events.len() > MAX_EVENTS || self.seen.text.len() > MAX_TEXT_BYTES {
            return Err("the answer has no end".to_owned());
        }
        if shows_text && !self.keeps_text && !has_object(data, b"\"usage\":") {
            return Ok(());
        }
        let event: Value = serde_json::from_slice(data)
            .map_err(|error| format!("an event of the stream is not JSON: {error}"))?;
        if let Some(error) = event.get("error").filter(|error| !error.is_null()) {
            return Err(plain(error["message"].as_str().unwrap_or(&error.to_string())));
        }
        if self.keeps_text {
            let choice = &event["choices"][0];
            let text = choice["text"].as_str().or_else(|| choice["delta"]["content"].as_str());
            self.seen.text.push_str(text.unwrap_or_default());
        }
        self.take_in_end(&event);
        Ok(())
    }

    /// What was seen, if it is a whole completion with at least one text and its count of tokens.
    pub(super) fn finish(self) -> Option<Seen> {
        (self.is_done && self.has_usage && !self.seen.events.is_empty()).then_some(self.seen)
    }

    fn take_in_end(&mut self, event: &Value) {
        let (usage, timings) = (&event["usage"], &event["timings"]);
        if let Some(completion_tokens) = usage["completion_tokens"].as_u64() {
            self.has_usage = true;
            self.seen.completion_tokens = completion_tokens;
            self.seen.prompt_tokens = usage["prompt_tokens"].as_u64().unwrap_or_default();
            let cached = usage["prompt_tokens_details"]["cached_tokens"].as_u64();
            self.seen.cached_tokens = cached.unwrap_or_default();
        }
        if let (Some(prefill_ms), Some(decode_ms)) =
            (timings["prompt_ms"].as_f64(), timings["predicted_ms"].as_f64())
        {
            let queue_ms = timings["queue_ms"].as_f64().unwrap_or_default();
            self.seen.timings = Some(Timings { queue_ms, prefill_ms, decode_ms });
        }
    }
}

/// Whether an event adds text to the answer: `text` of a completion, `content` of a chat.
fn shows_text(event: &[u8]) -> bool {
    [b"\"text\":".as_slice(), b"\"content\":"].iter().any(|name| {
        let value = value_of(event, name);
        value.is_some_and(|value| value.first() == Some(&b'"') && value.get(1) != Some(&b'"'))
    })
}

fn has_object(event: &[u8], name: &[u8]) -> bool {
    value_of(event, name).is_some_and(|value| value.first() == Some(&b'{'))
}

/// What stands behind the first `name`.
fn value_of<'a>(event: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let at = event.windows(name.len()).position(|window| window == name)?;
    Some(event.get(at + name.len()..)?.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn watch(lines: &[&str], keeps_text: bool) -> Result<Option<Seen>, String> {
        let zero = Instant::now();
        let mut watch = Watch::new(zero, keeps_text);
        for (idx, line) in (1..).zip(lines) {
            watch.line(line.as_bytes(), zero + Duration::from_millis(10 * idx))?;
        }
        Ok(watch.finish())
    }

    #[test]
    fn only_events_with_text_count() {
        let check =
            |event: &str, expected: bool| assert_eq!(shows_text(event.as_bytes()), expected, "{event}");
        check(r#"{"id":"a","choices":[{"text":"qu","index":0}],"usage":null}"#, true);
        check(r#"{"choices": [{"index": 0, "text": " x"}]}"#, true);
        check(r#"{"choices":[{"delta":{"content":"x"}}]}"#, true);
        check(r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#, false);
        check(r#"{"choices":[{"delta":{"content":null}}]}"#, false);
        check(r#"{"choices":[{"text":"","index":0,"finish_reason":"length"}]}"#, false);
        check(r#"{"choices":[],"usage":{"completion_tokens":3}}"#, false);
    }

    #[test]
    fn a_whole_stream_is_counted() {
        let seen = watch(
            &[
                ": keep-alive",
                r#"data: {"choices":[{"text":"a"}],"usage":null}"#,
                "",
                r#"data:{"choices":[{"text":"bc"}]}"#,
                r#"data: {"choices":[{"text":"","finish_reason":"length"}]}"#,
                r#"data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":4,
                    "prompt_tokens_details":{"cached_tokens":2}},"timings":{"prompt_ms":3.0,"predicted_ms":5}}"#,
                "data: [DONE]",
            ],
            true,
        );
        let seen = seen.unwrap().unwrap();
        assert_eq!((seen.prompt_tokens, seen.cached_tokens, seen.completion_tokens), (7, 2, 4));
        assert_eq!(seen.text, "abc");
        assert_eq!(seen.timings, Some(Timings { queue_ms: 0.0, prefill_ms: 3.0, decode_ms: 5.0 }));
        assert_eq!((seen.first_token_ms(), seen.whole_ms(), seen.tokens_per_event()), (20.0, 40.0, 2.0));
        assert_eq!(seen.gaps_ms().collect::<Vec<_>>(), [20.0]);
    }

    #[test]
    fn what_is_not_whole_is_no_completion() {
        let usage = r#"data: {"choices":[{"text":"a"}],"usage":{"completion_tokens":1}}"#;
        let check = |lines: &[&str], is_whole| assert_eq!(watch(lines, false).unwrap().is_some(), is_whole);
        check(&[usage, "data: [DONE]"], true);
        check(&[usage], false);
        check(&[r#"data: {"choices":[{"text":"a"}]}"#, "data: [DONE]"], false);
        check(&[r#"data: {"choices":[],"usage":{"completion_tokens":0}}"#, "data: [DONE]"], false);
        let error = watch(&[r#"data: {"error":{"message":"it is full"}}"#], false);
        assert_eq!(error, Err("it is full".into()));
        assert!(watch(&["data: {"], false).unwrap_err().contains("not JSON"));
    }
}

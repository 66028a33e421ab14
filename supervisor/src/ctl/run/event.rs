//! What the lines of a streamed answer say.

use std::fmt;

use serde_json::Value;

use crate::ctl::http::plain;

/// One line that says something.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// More of the answer.
    Delta(Delta),
    /// The answer is whole.
    Done,
}

/// More of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Delta {
    /// What it thinks.
    pub(super) reasoning: String,
    /// What it says.
    pub(super) content: String,
    /// Why it ended.
    pub(super) finish: Option<String>,
    /// Beside the end.
    pub(super) figures: Option<Figures>,
}

/// What an answer took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) prompt_tokens: u64,
    /// Of the prompt, those that were computed before.
    pub(super) cached_tokens: u64,
    pub(super) completion_tokens: u64,
    /// Until it had a worker and a slot.
    pub(super) wait_ms: f64,
    pub(super) prefill_ms: f64,
    pub(super) decode_ms: f64,
}

impl Event {
    /// Reads a line; none where it says nothing. An error is what the server says instead of an answer.
    pub(super) fn read(line: &[u8]) -> Result<Option<Self>, String> {
        // Only this field matters (the HTML standard, 9.2.6); comments are signs of life.
        let Some(data) = line.strip_prefix(b"data:") else { return Ok(None) };
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            return Ok(Some(Self::Done));
        }
        let event: Value = serde_json::from_slice(data)
            .map_err(|error| format!("an event of the stream is not JSON: {error}"))?;
        if let Some(error) = event.get("error").filter(|error| !error.is_null()) {
            return Err(plain(error["message"].as_str().unwrap_or(&error.to_string())));
        }
        let (delta, finish) = (&event["choices"][0]["delta"], &event["choices"][0]["finish_reason"]);
        let text = |name: &str| delta[name].as_str().unwrap_or_default().to_owned();
        Ok(Some(Self::Delta(Delta {
            reasoning: text("reasoning_content"),
            content: text("content"),
            finish: finish.as_str().map(ToOwned::to_owned),
            figures: Figures::read(&event),
        })))
    }
}

impl Figures {
    fn read(event: &Value) -> Option<Self> {
        let (usage, timings) = (&event["usage"], &event["timings"]);
        let tokens = |value: &Value| value.as_u64().unwrap_or_default();
        let ms = |name: &str| timings[name].as_f64().unwrap_or_default();
        Some(Self {
            completion_tokens: usage["completion_tokens"].as_u64()?,
            prompt_tokens: tokens(&usage["prompt_tokens"]),
            cached_tokens: tokens(&usage["prompt_tokens_details"]["cached_tokens"]),
            wait_ms: ms("lease_ms") + ms("queue_ms"),
            prefill_ms: ms("prompt_ms"),
            decode_ms: ms("predicted_ms"),
        })
    }

    /// Both together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            prompt_tokens: self.prompt_tokens + other.prompt_tokens,
            cached_tokens: self.cached_tokens + other.cached_tokens,
            completion_tokens: self.completion_tokens + other.completion_tokens,
            wait_ms: self.wait_ms + other.wait_ms,
            prefill_ms: self.prefill_ms + other.prefill_ms,
            decode_ms: self.decode_ms + other.decode_ms,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let new = self.prompt_tokens.saturating_sub(self.cached_tokens);
        write!(
            f,
            "prompt: {} tokens, {} of them known, {:.0} ms",
            self.prompt_tokens, self.cached_tokens, self.prefill_ms
        )?;
        if self.prefill_ms > 0.0 && new > 0 {
            write!(f, ", {:.1} tokens/s", new as f64 * 1e3 / self.prefill_ms)?;
        }
        write!(f, "; answer: {} tokens, {:.0} ms", self.completion_tokens, self.decode_ms)?;
        if self.decode_ms > 0.0 && self.completion_tokens > 1 {
            // The first one comes with the prompt's end.
            write!(f, ", {:.1} tokens/s", (self.completion_tokens - 1) as f64 * 1e3 / self.decode_ms)?;
        }
        write!(f, "; waited {:.0} ms", self.wait_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_they_say() {
        let check = |line: &str, expected: Option<Event>| {
            assert_eq!(Event::read(line.as_bytes()), Ok(expected), "{line}");
        };
        check("", None);
        check(": keep-alive", None);
        check("event: ping", None);
        check("data: [DONE]", Some(Event::Done));
        let says = |text: &str| Some(Event::Delta(Delta { content: text.into(), ..Delta::default() }));
        check(r#"data: {"choices":[{"delta":{"content":"a\n"},"finish_reason":null}]}"#, says("a\n"));
        check(r#"data:{"choices":[{"delta":{"role":"assistant","content":null}}]}"#, says(""));
        let thinks = Delta { reasoning: "hm".into(), ..Delta::default() };
        check(r#"data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}"#, Some(Event::Delta(thinks)));
        let ends = Delta { finish: Some("stop".into()), ..Delta::default() };
        check(r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#, Some(Event::Delta(ends)));
    }

    #[test]
    fn errors_are_the_servers_words() {
        let check = |line: &str, expected: &str| {
            let error = Event::read(line.as_bytes()).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        };
        check(r#"data: {"error":{"message":"it is\u001b[2J full"}}"#, "it is [2J full");
        check(r#"data: {"error":"gone"}"#, "gone");
        check("data: {", "not JSON");
    }

    #[test]
    fn the_end_tells_what_it_took() {
        let line = r#"data: {"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":11,"prompt_tokens_details":
            {"cached_tokens":10}},"timings":{"prompt_ms":5.0,"predicted_ms":100.0,"lease_ms":2.5,"queue_ms":1.0}}"#;
        let Ok(Some(Event::Delta(Delta { figures: Some(figures), .. }))) = Event::read(line.as_bytes())
        else {
            panic!("no figures");
        };
        let told = "prompt: 20 tokens, 10 of them known, 5 ms, 2000.0 tokens/s; answer: 11 tokens, 100 ms, 100.0 tokens/s; \
                    waited 4 ms";
        assert_eq!(figures.to_string(), told);
        assert_eq!(figures.plus(figures).completion_tokens, 22);
        let nothing = "prompt: 0 tokens, 0 of them known, 0 ms; answer: 0 tokens, 0 ms; waited 0 ms";
        assert_eq!(Figures::default().to_string(), nothing);
    }
}

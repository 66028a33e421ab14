//! An answer, and the lines of a streamed one, which have the same form.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use impetus_proto::worker::FinishReason;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use super::logprob::Logprob;
use crate::dialect::{call::Call, cost::Cost};

/// An answer, or a line of one.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Ollama{S}")]
pub(in crate::dialect) struct Line<'a, S> {
    model: &'a str,
    created_at: String,
    #[serde(flatten)]
    said: S,
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    done_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logprobs: Vec<Logprob>,
    #[serde(flatten)]
    totals: Option<Totals>,
}

/// What an answer cost, known at its end. Durations are in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OllamaTotals")]
pub(super) struct Totals {
    total_duration: u64,
    load_duration: u64,
    prompt_eval_count: u32,
    prompt_eval_duration: u64,
    eval_count: u32,
    eval_duration: u64,
}

/// Text, thought and calls of an answer or of a piece of one.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Piece {
    pub(super) text: String,
    pub(super) thinking: String,
    pub(super) calls: Vec<ToolCall>,
}

/// A call, always whole.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "OllamaToolCall")]
pub(in crate::dialect) struct ToolCall {
    id: String,
    function: Function,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "OllamaCalledFunction")]
struct Function {
    index: usize,
    name: String,
    #[schemars(with = "Map<String, Value>")]
    arguments: Box<RawValue>,
}

impl<'a, S> Line<'a, S> {
    /// A line that others follow.
    pub(super) fn piece(model: &'a str, said: S, logprobs: Vec<Logprob>) -> Self {
        Self { model, created_at: now(), said, done: false, done_reason: None, logprobs, totals: None }
    }

    /// The last line, or a whole answer; without what it cost where nothing was generated.
    pub(super) fn end(model: &'a str, said: S, reason: &'static str, totals: Option<Totals>) -> Self {
        Self { done: true, done_reason: Some(reason), totals, ..Self::piece(model, said, Vec::new()) }
    }

    /// The same with what is said of its tokens.
    pub(super) fn with_logprobs(self, logprobs: Vec<Logprob>) -> Self {
        Self { logprobs, ..self }
    }
}

impl Totals {
    /// What an answer cost that took `total`.
    pub(super) fn of(cost: &Cost, total: Duration) -> Self {
        let (usage, timings) = (cost.total(), cost.timings());
        Self {
            total_duration: nanoseconds(total),
            load_duration: nanoseconds(cost.lease()),
            prompt_eval_count: usage.prompt_tokens,
            prompt_eval_duration: timings.prefill_us.saturating_mul(1000),
            eval_count: usage.completion_tokens,
            eval_duration: timings.decode_us.saturating_mul(1000),
        }
    }
}

impl ToolCall {
    /// The call at this place among those of an answer. `None` where an end of the answer has cut it in two, so that its
    /// arguments are no object.
    pub(super) fn of(index: usize, call: Call) -> Option<Self> {
        let Call { id, name, arguments } = call;
        let arguments = if arguments.trim().is_empty() { "{}".to_owned() } else { arguments };
        let arguments = RawValue::from_string(arguments).ok().filter(|text| text.get().starts_with('{'))?;
        Some(Self { id, function: Function { index, name, arguments } })
    }
}

/// Ollama's word for why an answer ended.
pub(super) fn done_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Length => "length",
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Unspecified => "stop",
    }
}

/// A duration as this API has it.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// This moment.
pub(super) fn now() -> String {
    rfc3339(SystemTime::now())
}

/// A moment as RFC 3339 has it, with nanoseconds.
pub(super) fn rfc3339(moment: SystemTime) -> String {
    DateTime::<Utc>::from(moment).to_rfc3339_opts(SecondsFormat::Nanos, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_nanoseconds() {
        let check = |since: Duration, expected: &str| {
            assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + since), expected);
        };
        check(Duration::ZERO, "1970-01-01T00:00:00.000000000Z");
        check(Duration::new(1_700_000_000, 123), "2023-11-14T22:13:20.000000123Z");
        check(Duration::from_hours(264_384), "2000-02-29T00:00:00.000000000Z");
    }

    #[test]
    fn a_call_is_whole_or_none() {
        let check = |arguments: &str, expected: Option<&str>| {
            let call = Call { id: "a".into(), name: "f".into(), arguments: arguments.into() };
            let written = ToolCall::of(1, call).map(|call| serde_json::to_string(&call).unwrap());
            let expected = expected.map(|arguments| {
                format!(r#"{{"id":"a","function":{{"index":1,"name":"f","arguments":{arguments}}}}}"#)
            });
            assert_eq!(written, expected, "{arguments}");
        };
        check(r#"{"a":1.50,"b":{}}"#, Some(r#"{"a":1.50,"b":{}}"#));
        check("", Some("{}"));
        check(" {} ", Some("{}"));
        check(r#"{"a":1"#, None);
        check("[1]", None);
        check("7", None);
    }
}

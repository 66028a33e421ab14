//! The APIs that the load is sent in. What each answers is read as OpenAI's chat completions are, so that answers are
//! compared in one way.

use std::fmt;

use serde_json::{Value, json};

/// A request of one of the APIs.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) path: &'static str,
    pub(super) body: Value,
}

/// How a path answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Events that end with `[DONE]`.
    OpenAi,
    /// Lines, of which the last one says that it is done.
    Ollama,
    /// Typed events.
    Anthropic,
}

/// Something that a stream says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// An event, as OpenAI's stream would have it.
    Event(Value),
    /// The last event, likewise.
    Last(Value),
    /// Nothing that counts.
    Nothing,
}

impl Ask {
    /// A chat or a completion of OpenAI's API.
    pub(super) fn openai(body: Value) -> Self {
        let is_completion = body.get("prompt").is_some();
        Self { path: if is_completion { "/v1/completions" } else { "/v1/chat/completions" }, body }
    }

    pub(super) fn ollama_chat(body: Value) -> Self {
        Self { path: "/api/chat", body }
    }

    pub(super) fn ollama_generate(body: Value) -> Self {
        Self { path: "/api/generate", body }
    }

    pub(super) fn anthropic(body: Value) -> Self {
        Self { path: "/v1/messages", body }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self.path {
            "/api/chat" | "/api/generate" => Dialect::Ollama,
            "/v1/messages" => Dialect::Anthropic,
            _ => Dialect::OpenAi,
        }
    }

    pub(super) fn is_streamed(&self) -> bool {
        let unless_told = self.dialect() == Dialect::Ollama;
        self.body["stream"].as_bool().unwrap_or(unless_told)
    }

    /// The model that it is for.
    pub(super) fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    /// The body as it is sent: a stream says its usage.
    pub(super) fn sent(&self) -> Value {
        let mut body = self.body.clone();
        if self.dialect() == Dialect::OpenAi && self.is_streamed() {
            body["stream_options"] = json!({"include_usage": true});
        }
        body
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.body)
    }
}

impl Dialect {
    /// What stands between two pieces of a stream.
    pub(super) fn separator(self) -> &'static [u8] {
        if self == Self::Ollama { b"\n" } else { b"\n\n" }
    }

    /// What a piece of a stream says.
    pub(super) fn said(self, piece: &[u8]) -> serde_json::Result<Said> {
        let mut lines = piece.split(|byte| *byte == b'\n');
        let data = match self {
            Self::Ollama => piece,
            Self::OpenAi | Self::Anthropic => {
                let Some(data) = lines.find_map(|line| line.strip_prefix(b"data: ")) else {
                    return Ok(Said::Nothing);
                };
                data
            }
        };
        if self == Self::OpenAi && data.starts_with(b"[DONE]") {
            return Ok(Said::Last(Value::Null));
        }
        let event: Value = serde_json::from_slice(data)?;
        let is_last = match self {
            Self::OpenAi => false,
            Self::Ollama => event["done"] == true,
            Self::Anthropic => event["type"] == "message_stop",
        };
        let event = self.read(event);
        Ok(if is_last { Said::Last(event) } else { Said::Event(event) })
    }

    /// A whole answer or an event of a stream, as OpenAI's API would have it.
    pub(super) fn read(self, value: Value) -> Value {
        match self {
            Self::OpenAi => value,
            _ if value.get("error").is_some() => refusal(&value["error"]),
            Self::Ollama => of_ollama(&value),
            Self::Anthropic => of_anthropic(&value),
        }
    }
}

fn refusal(error: &Value) -> Value {
    let message = error["message"].as_str().or(error.as_str());
    json!({"error": {"code": error["type"].as_str().unwrap_or_default(), "message": message}})
}

fn of_ollama(value: &Value) -> Value {
    let message = &value["message"];
    let text = message["content"].as_str().or(value["response"].as_str());
    let thought = message["thinking"].as_str().or(value["thinking"].as_str());
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    let calls: Vec<Value> = calls
        .map(|call| {
            let function = &call["function"];
            json!({"function": {"name": function["name"], "arguments": function["arguments"].to_string()}})
        })
        .collect();
    let said = json!({"content": text, "reasoning_content": thought, "tool_calls": calls});
    answer(&said, &value["done_reason"], &value["eval_count"])
}

fn of_anthropic(value: &Value) -> Value {
    let (delta, block) = (&value["delta"], &value["content_block"]);
    let call = |name: &Value, arguments: &Value| json!([{"index": value["index"], "function": {"name": name, "arguments": arguments}}]);
    let said = match value["type"].as_str().unwrap_or_default() {
        "message" => whole_of_anthropic(value),
        "content_block_start" if block["type"] == "tool_use" => {
            json!({"tool_calls": call(&block["name"], &json!(""))})
        }
        "content_block_delta" => match delta["type"].as_str().unwrap_or_default() {
            "text_delta" => json!({"content": delta["text"]}),
            "thinking_delta" => json!({"reasoning_content": delta["thinking"]}),
            "input_json_delta" => json!({"tool_calls": call(&json!(""), &delta["partial_json"])}),
            _ => json!({}),
        },
        _ => json!({}),
    };
    let reason = [&value["stop_reason"], &delta["stop_reason"]].into_iter().find(|reason| reason.is_string());
    // A stream begins with how many tokens there are so far, and ends with how many there were.
    let is_begun = value["type"] == "message_start";
    let tokens = if is_begun { &Value::Null } else { &value["usage"]["output_tokens"] };
    answer(&said, reason.unwrap_or(&Value::Null), tokens)
}

fn whole_of_anthropic(message: &Value) -> Value {
    let blocks = || message["content"].as_array().into_iter().flatten();
    let all = |kind: &str| -> String {
        blocks().filter_map(|block| block[kind].as_str()).collect::<Vec<_>>().concat()
    };
    let called = blocks().filter(|block| block["type"] == "tool_use");
    let calls: Vec<Value> = called
        .map(|block| json!({"function": {"name": block["name"], "arguments": block["input"].to_string()}}))
        .collect();
    json!({"content": all("text"), "reasoning_content": all("thinking"), "tool_calls": calls})
}

fn answer(said: &Value, reason: &Value, tokens: &Value) -> Value {
    let mut answer = json!({"choices": [{"index": 0, "delta": said, "finish_reason": reason}]});
    if tokens.is_u64() {
        answer["usage"] = json!({"completion_tokens": tokens});
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::answer::{Answer, Choice};

    /// What is left of a stream in pieces, and whether it is whole.
    fn read(dialect: Dialect, pieces: &[&str]) -> (Answer, bool) {
        let mut answer = Answer::default();
        for piece in pieces {
            match dialect.said(piece.as_bytes()).unwrap() {
                Said::Event(event) => drop(answer.take(&event)),
                Said::Last(event) => {
                    answer.take(&event);
                    return (answer, true);
                }
                Said::Nothing => {}
            }
        }
        (answer, false)
    }

    fn expected(text: &str, reasoning: &str, calls: &[(&str, &str)], reason: &str) -> Answer {
        let calls =
            calls.iter().map(|(name, arguments)| ((*name).to_owned(), (*arguments).to_owned())).collect();
        let choice = Choice {
            text: text.into(),
            reasoning: reasoning.into(),
            calls,
            finish_reason: reason.into(),
            ..Choice::default()
        };
        Answer { choices: vec![choice], completion_tokens: 7 }
    }

    #[test]
    fn lines_of_ollama_are_read() {
        let chat = [
            r#"{"message":{"role":"assistant","content":"","thinking":"so"},"done":false}"#,
            r#"{"message":{"role":"assistant","content":"a"},"done":false}"#,
            r#"{"message":{"content":"b","tool_calls":[{"function":{"name":"f","arguments":{"x":1}}}]},"done":false}"#,
            r#"{"message":{"content":""},"done":true,"done_reason":"stop","eval_count":7}"#,
        ];
        let due = expected("ab", "so", &[("f", r#"{"x":1}"#)], "stop");
        assert_eq!(read(Dialect::Ollama, &chat), (due, true));
        let generate = [
            r#"{"response":"a","done":false}"#,
            r#"{"response":"","done":true,"done_reason":"length","eval_count":7}"#,
        ];
        assert_eq!(read(Dialect::Ollama, &generate), (expected("a", "", &[], "length"), true));
        assert!(!read(Dialect::Ollama, &generate[..1]).1, "it is not done");
        let error = Dialect::Ollama.read(json!({"error": "no"}));
        assert_eq!(error["error"]["message"], "no");
    }

    #[test]
    fn events_of_anthropic_are_read() {
        let pieces = [
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"output_tokens\":1}}}",
            "event: ping\ndata: {\"type\":\"ping\"}",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\
             \"text_delta\",\"text\":\"a\"}}",
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":\
             {\"output_tokens\":7}}",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}",
        ];
        assert_eq!(read(Dialect::Anthropic, &pieces), (expected("a", "", &[], "end_turn"), true));
        assert!(!read(Dialect::Anthropic, &pieces[..4]).1, "nobody said that it stops");
        let called = [
            "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"name\":\"f\"}}",
            "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\
             \"partial_json\":\"{}\"}}",
            "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":7}}",
            "data: {\"type\":\"message_stop\"}",
        ];
        let due = expected("", "", &[("f", "{}")], "tool_use");
        assert_eq!(read(Dialect::Anthropic, &called), (due, true));
        let whole = json!({"type": "message", "stop_reason": "end_turn", "usage": {"output_tokens": 7}, "content":
            [{"type": "thinking", "thinking": "so"}, {"type": "text", "text": "a"}]});
        let whole = Answer::whole(&Dialect::Anthropic.read(whole));
        assert_eq!(whole, Some(expected("a", "so", &[], "end_turn")));
    }
}

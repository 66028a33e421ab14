//! How a template wants its messages. Hugging Face templates disagree on what a message without content and the
//! arguments of a tool call are, and none says so; trying a small conversation at load time tells.

use minijinja::Value;
use minijinja::value::Serde;
use serde_json::{Value as Json, json};

use super::input::Message;

/// The forms in which templates are tried, the usual one first.
pub(super) const SHAPES: [Shape; 5] = [
    Shape { arguments: Arguments::Object, no_content: NoContent::Empty, parts: false },
    Shape { arguments: Arguments::Object, no_content: NoContent::Null, parts: false },
    Shape { arguments: Arguments::Text, no_content: NoContent::Empty, parts: false },
    Shape { arguments: Arguments::Text, no_content: NoContent::Null, parts: false },
    Shape { arguments: Arguments::Object, no_content: NoContent::Empty, parts: true },
];

/// The form of the messages that a template understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    arguments: Arguments,
    no_content: NoContent,
    /// Content is a list of parts, each with a type.
    parts: bool,
}

/// The arguments of a tool call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arguments {
    /// A JSON object.
    Object,
    /// The object's text, as in OpenAI's API.
    Text,
}

/// The content of a message that only calls tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoContent {
    Empty,
    Null,
}

impl Shape {
    /// The messages in this form, as the template's variable.
    pub(super) fn messages(self, messages: &[Message]) -> Value {
        Value::from(Serde(messages.iter().map(|message| self.message(message)).collect::<Vec<_>>()))
    }

    fn message(self, message: &Message) -> Json {
        let mut object = serde_json::Map::new();
        object.insert("role".to_owned(), json!(message.role));
        let silent = message.content.is_empty() && !message.tool_calls.is_empty();
        let content = match self.no_content {
            NoContent::Null if silent => Json::Null,
            _ if self.parts => json!([{"type": "text", "text": message.content}]),
            _ => json!(message.content),
        };
        object.insert("content".to_owned(), content);
        for (key, value) in [("name", &message.name), ("tool_call_id", &message.tool_call_id)] {
            if !value.is_empty() {
                object.insert(key.to_owned(), json!(value));
            }
        }
        if !message.tool_calls.is_empty() {
            let calls = message.tool_calls.iter().map(|call| self.call(call)).collect();
            object.insert("tool_calls".to_owned(), Json::Array(calls));
        }
        Json::Object(object)
    }

    fn call(self, call: &Json) -> Json {
        let mut call = call.clone();
        if let Some(arguments) = call.pointer_mut("/function/arguments") {
            let changed = match (self.arguments, &*arguments) {
                // Text that is no JSON stays what it is: the model wrote it, the template shows it.
                (Arguments::Object, Json::String(text)) => serde_json::from_str(text).ok(),
                (Arguments::Text, Json::Object(_)) => Some(Json::String(arguments.to_string())),
                _ => None,
            };
            if let Some(changed) = changed {
                *arguments = changed;
            }
        }
        call
    }
}

/// A conversation with a tool call, and what has to be seen of it in the prompt.
pub(super) fn trial() -> (Vec<Message>, Json, [&'static str; 3]) {
    let message = |role: &str, content: &str| Message {
        role: role.to_owned(),
        content: content.to_owned(),
        ..Message::default()
    };
    let call = json!({
        "id": "call12345", "type": "function",
        "function": {"name": "trial_tool", "arguments": "{\"trial_key\": \"trial_value\"}"},
    });
    let tools = json!([{"type": "function", "function": {
        "name": "trial_tool", "description": "A trial.",
        "parameters": {"type": "object", "properties": {"trial_key": {"type": "string", "description": "A key."}},
            "required": ["trial_key"]},
    }}]);
    let calling = Message { tool_calls: vec![call], ..message("assistant", "") };
    let answer = Message {
        name: "trial_tool".to_owned(),
        tool_call_id: "call12345".to_owned(),
        ..message("tool", "trial_answer")
    };
    (
        vec![message("user", "trial_question"), calling, answer],
        tools,
        ["trial_question", "trial_value", "trial_key"],
    )
}

/// The simplest conversation.
pub(super) fn short_trial() -> (Vec<Message>, &'static str) {
    let content = "trial_question".to_owned();
    (vec![Message { role: "user".to_owned(), content, ..Message::default() }], "trial_question")
}

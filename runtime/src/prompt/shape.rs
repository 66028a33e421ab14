//! How a template wants its messages. Hugging Face templates disagree on what a message without content and the
//! arguments of a tool call are, and none says so; trying a small conversation at load time tells.

use minijinja::Value;
use minijinja::value::Serde;
use serde_json::{Value as Json, json};

use super::input::Message;

/// The forms in which templates are tried, the usual one first.
pub(super) const SHAPES: [Shape; 5] = [
    Shape::new(Arguments::Object, NoContent::Empty, false),
    Shape::new(Arguments::Object, NoContent::Null, false),
    Shape::new(Arguments::Text, NoContent::Empty, false),
    Shape::new(Arguments::Text, NoContent::Null, false),
    Shape::new(Arguments::Object, NoContent::Empty, true),
];

/// Fields in which templates look for what an assistant thought.
const THOUGHT_FIELDS: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// Characters of a short id.
const SHORT_ID_CHARS: usize = 9;

/// The form of the messages that a template understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    arguments: Arguments,
    no_content: NoContent,
    /// Content is a list of parts, each with a type.
    parts: bool,
    thoughts: Thoughts,
    /// Ids of calls have nine letters and digits, as in Mistral's templates, which refuse all others.
    short_ids: bool,
}

/// What an assistant thought, in a message of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thoughts {
    /// Left out: the template shows none.
    Absent,
    /// A field of this name.
    Field(&'static str),
    /// Part of the content, between tags.
    Tagged,
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
    const fn new(arguments: Arguments, no_content: NoContent, parts: bool) -> Self {
        Self { arguments, no_content, parts, thoughts: Thoughts::Absent, short_ids: false }
    }

    /// This shape, with ids that Mistral's templates accept.
    pub(super) fn with_short_ids(self) -> Self {
        Self { short_ids: true, ..self }
    }

    /// This shape, with thoughts in each of the fields that there are.
    pub(super) fn with_thought_fields(self) -> [Self; 3] {
        THOUGHT_FIELDS.map(|field| Self { thoughts: Thoughts::Field(field), ..self })
    }

    /// This shape, with thoughts in the text where the template takes them out of there or leaves them.
    pub(super) fn with_thoughts_in_text(self, in_text: bool) -> Self {
        Self { thoughts: if in_text { Thoughts::Tagged } else { Thoughts::Absent }, ..self }
    }

    /// The messages in this form, as the template's variable.
    pub(super) fn messages(self, messages: &[Message]) -> Value {
        Value::from(Serde(messages.iter().map(|message| self.message(message)).collect::<Vec<_>>()))
    }

    fn message(self, message: &Message) -> Json {
        let mut object = serde_json::Map::new();
        object.insert("role".to_owned(), json!(message.role));
        let mut text = message.content.clone();
        if !message.reasoning.is_empty() {
            match self.thoughts {
                Thoughts::Absent => {}
                Thoughts::Field(field) => drop(object.insert(field.to_owned(), json!(message.reasoning))),
                Thoughts::Tagged => text = format!("<think>\n{}\n</think>\n\n{text}", message.reasoning),
            }
        }
        let silent = text.is_empty() && !message.tool_calls.is_empty();
        let content = match self.no_content {
            NoContent::Null if silent => Json::Null,
            _ if self.parts => json!([{"type": "text", "text": text}]),
            _ => json!(text),
        };
        object.insert("content".to_owned(), content);
        for (key, value) in [("name", message.name.clone()), ("tool_call_id", self.id(&message.tool_call_id))]
        {
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

    fn id(self, id: &str) -> String {
        if self.short_ids { short_id(id) } else { id.to_owned() }
    }

    fn call(self, call: &Json) -> Json {
        let mut call = call.clone();
        if let Some(Json::String(id)) = call.get_mut("id") {
            self.id(id).clone_into(id);
        }
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

/// What a template shows of the tool of a trial.
pub(super) const TOOL_DESCRIPTION: &str = "trial_description";

/// Nine letters and digits for any id, the same ones each time (FNV-1a, in base 36).
fn short_id(id: &str) -> String {
    if id.is_empty() || (id.len() == SHORT_ID_CHARS && id.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        return id.to_owned();
    }
    let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let digit = |_| {
        let digit = char::from_digit((hash % 36) as u32, 36).unwrap_or('0');
        hash /= 36;
        digit
    };
    (0..SHORT_ID_CHARS).map(digit).collect()
}

/// The trial with ids as OpenAI's are.
pub(super) fn with_long_ids(messages: &[Message]) -> Vec<Message> {
    let long = json!("call_0123456789abcdef");
    let mut messages = messages.to_vec();
    for message in &mut messages {
        message.tool_calls.iter_mut().for_each(|call| call["id"] = long.clone());
        if !message.tool_call_id.is_empty() {
            long.as_str().unwrap_or_default().clone_into(&mut message.tool_call_id);
        }
    }
    messages
}

/// Makes the assistant of a trial think; what it thinks.
pub(super) fn think(messages: &mut [Message]) -> &'static str {
    let thought = "trial_thought";
    for message in messages.iter_mut().filter(|message| message.role == "assistant") {
        thought.clone_into(&mut message.reasoning);
    }
    thought
}

/// A conversation whose last message was thought about, and the thought.
pub(super) fn thinking_trial() -> (Vec<Message>, &'static str) {
    let (mut messages, _) = short_trial();
    messages.push(Message {
        role: "assistant".to_owned(),
        content: "trial_answer".to_owned(),
        ..Message::default()
    });
    let thought = think(&mut messages);
    (messages, thought)
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
        "name": "trial_tool", "description": TOOL_DESCRIPTION,
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

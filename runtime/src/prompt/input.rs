//! A conversation as templates see it.

use chrono::{DateTime, Local};
use impetus_proto::worker::{self, Reasoning};
use serde_json::{Map, Value as Json};

use super::TemplateError;

/// Names of variables that are not the client's to set.
const RESERVED: [&str; 4] = ["messages", "tools", "add_generation_prompt", "strftime_now"];

/// What a template is rendered with.
#[derive(Debug, Clone)]
pub struct ChatInput {
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// Tools as OpenAI defines them, a JSON array; or null.
    pub tools: Json,
    /// Further variables.
    pub arguments: Map<String, Json>,
    /// What is asked of reasoning.
    pub reasoning: Reasoning,
    /// End the prompt inside the last message instead of beginning a new one.
    pub continue_last: bool,
    /// The time that `strftime_now` tells.
    pub now: DateTime<Local>,
}

/// One message of a conversation.
#[derive(Debug, Clone, Default)]
pub struct Message {
    /// Who says it.
    pub role: String,
    /// What is said.
    pub content: String,
    /// The author's name, or empty.
    pub name: String,
    /// Which call a tool's message answers, or empty.
    pub tool_call_id: String,
    /// The calls that an assistant's message makes, as OpenAI defines them.
    pub tool_calls: Vec<Json>,
    /// What an assistant thought before it said this, or empty.
    pub reasoning: String,
}

impl ChatInput {
    /// Reads a conversation off the wire. Fails on fields that are not the JSON they should be.
    pub fn new(chat: &worker::Chat, now: DateTime<Local>) -> Result<Self, TemplateError> {
        let messages = chat.messages.iter().map(Message::new).collect::<Result<_, _>>()?;
        let tools: Option<Vec<Json>> = parse("tools_json", &chat.tools_json)?;
        let arguments: Map<String, Json> =
            parse("template_arguments_json", &chat.template_arguments_json)?.unwrap_or_default();
        if let Some(name) = arguments.keys().find(|name| RESERVED.contains(&name.as_str())) {
            return Err(TemplateError::ReservedArgument { name: name.clone() });
        }
        // Templates ask whether there are tools in many ways; null is what they are tested with.
        let tools = tools.filter(|tools| !tools.is_empty()).map_or(Json::Null, Json::Array);
        let reasoning = chat.reasoning.clone().unwrap_or_default();
        Ok(Self { messages, tools, arguments, reasoning, continue_last: chat.continue_last, now })
    }
}

impl Message {
    fn new(wire: &worker::Message) -> Result<Self, TemplateError> {
        Ok(Self {
            role: wire.role.clone(),
            content: wire.content.clone(),
            name: wire.name.clone(),
            tool_call_id: wire.tool_call_id.clone(),
            tool_calls: parse("tool_calls_json", &wire.tool_calls_json)?.unwrap_or_default(),
            reasoning: wire.reasoning.clone(),
        })
    }
}

fn parse<T: serde::de::DeserializeOwned>(
    field: &'static str,
    json: &str,
) -> Result<Option<T>, TemplateError> {
    if json.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(json).map_err(|source| TemplateError::Json { field, source })
}

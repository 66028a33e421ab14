//! `POST /api/chat`

use impetus_proto::{
    Error,
    worker::{self, Reasoning, generate_request::Input},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    line::{Piece, ToolCall},
    message,
    params::{Asked, Endpoint},
    preset::Preset,
};
use crate::dialect::{field::Fields, ignored::Ignored, openai::tool, parameter::Parameter};

/// Generates the next message of a chat.
#[derive(Debug)]
pub(in crate::dialect) struct Chat;

/// What the assistant says.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ChatAnswer")]
pub(in crate::dialect) struct Said {
    message: Message,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OllamaMessage")]
struct Message {
    role: &'static str,
    content: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    thinking: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall>,
}

impl Endpoint for Chat {
    const UNOFFERED: &'static [Parameter] = &[];

    type Said = Said;

    fn read(
        fields: &mut Fields<'_>,
        preset: Option<&Preset>,
        reasoning: Option<Reasoning>,
        ignored: &mut Ignored,
    ) -> Result<Asked, Error> {
        let messages = message::take(fields, ignored)?;
        let tools = tool::tools(fields, ignored)?;
        let input = messages.map(|messages| {
            let messages = message::after_preset(preset, messages);
            Input::Chat(worker::Chat {
                continue_last: message::continues_last(&messages),
                messages,
                tools_json: tools.json,
                tool_choice: tools.choice,
                reasoning,
                template_arguments_json: String::new(),
            })
        });
        Ok(Asked { input, template: None })
    }

    fn said(Piece { text, thinking, calls }: Piece) -> Said {
        Said { message: Message { role: "assistant", content: text, thinking, tool_calls: calls } }
    }
}

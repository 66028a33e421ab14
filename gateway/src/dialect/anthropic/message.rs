//! A message as this API writes it.

use impetus_proto::worker::FinishReason;
use rand::Rng;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use super::block::CALL_PREFIX;
use crate::dialect::{call, thought};

/// Letters and digits of a message's id.
const ID_CHARS: usize = 24;

/// What the assistant says.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AnthropicMessage")]
pub(in crate::dialect) struct Message {
    pub(super) id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    /// As the client named it.
    pub(super) model: String,
    pub(super) content: Vec<Block>,
    /// Null in the first event of a stream.
    pub(super) stop_reason: Option<&'static str>,
    pub(super) stop_sequence: Option<String>,
    pub(super) usage: Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) context_management: Option<ContextManagement>,
}

/// A part of what is said.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(rename = "AnthropicBlock")]
pub(super) enum Block {
    Text {
        text: String,
    },
    Thinking {
        thinking: String,
        signature: String,
    },
    ToolUse {
        id: String,
        name: String,
        #[schemars(with = "Map<String, Value>")]
        input: Box<RawValue>,
    },
}

/// What an answer cost, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "AnthropicUsage")]
pub(super) struct Usage {
    /// Of the prompt, computed.
    pub(super) input_tokens: u32,
    /// What is kept is kept unasked.
    cache_creation_input_tokens: u32,
    /// Of the prompt, not computed, since it was there.
    pub(super) cache_read_input_tokens: u32,
    cache_creation: CacheCreation,
    pub(super) output_tokens: u32,
    service_tier: Tier,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "AnthropicCacheCreation")]
struct CacheCreation {
    ephemeral_5m_input_tokens: u32,
    ephemeral_1h_input_tokens: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AnthropicTier")]
enum Tier {
    #[default]
    Standard,
}

/// The edits of the context that were made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "AnthropicContextManagement")]
pub(super) struct ContextManagement {
    #[schemars(with = "Vec<Value>")]
    applied_edits: [(); 0],
}

/// A part that is not whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Open {
    Text(String),
    Thought {
        text: String,
        /// Its text goes into its signature.
        is_sealed: bool,
    },
    Call {
        id: String,
        name: String,
        arguments: String,
    },
}

impl Message {
    /// A message of which nothing is said.
    pub(super) fn begin(model: String, has_edits: bool) -> Self {
        let id = rand::rng().sample_iter(rand::distr::Alphanumeric).take(ID_CHARS).map(char::from);
        Self {
            id: format!("msg_{}", id.collect::<String>()),
            kind: "message",
            role: "assistant",
            model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: Usage::default(),
            context_management: has_edits.then(ContextManagement::default),
        }
    }

    /// Why it ended; `stop` is the stop sequence that matched, or empty.
    pub(super) fn end(&mut self, reason: FinishReason, stop: String) {
        self.stop_reason = Some(match reason {
            FinishReason::Length => "max_tokens",
            FinishReason::ToolCalls => "tool_use",
            FinishReason::Stop | FinishReason::Unspecified if stop.is_empty() => "end_turn",
            FinishReason::Stop | FinishReason::Unspecified => "stop_sequence",
        });
        self.stop_sequence = (self.stop_reason == Some("stop_sequence")).then_some(stop);
    }
}

impl Open {
    /// A call without arguments yet, under the model's own id for it if it has one.
    pub(super) fn call(name: String, own_id: String) -> Self {
        let id = if own_id.is_empty() { call::new_id() } else { own_id };
        Self::Call { id: format!("{CALL_PREFIX}{id}"), name, arguments: String::new() }
    }

    pub(super) fn push(&mut self, piece: &str) {
        match self {
            Self::Text(text) | Self::Thought { text, .. } | Self::Call { arguments: text, .. } => {
                text.push_str(piece);
            }
        }
    }

    /// The part as it begins.
    pub(super) fn beginning(&self) -> Block {
        match self {
            Self::Text(_) => Block::Text { text: String::new() },
            Self::Thought { .. } => Block::Thinking { thinking: String::new(), signature: String::new() },
            Self::Call { id, name, .. } => {
                Block::ToolUse { id: id.clone(), name: name.clone(), input: object("") }
            }
        }
    }

    /// What clients hand back with a thought, unread: the thought itself where they were not shown it.
    pub(super) fn signature(&self) -> Option<String> {
        match self {
            Self::Thought { text, is_sealed } => Some(thought::seal(if *is_sealed { text } else { "" })),
            _ => None,
        }
    }

    /// The whole part.
    pub(super) fn end(self) -> Block {
        let signature = self.signature().unwrap_or_default();
        match self {
            Self::Text(text) => Block::Text { text },
            Self::Thought { text, is_sealed } => {
                let thinking = if is_sealed { String::new() } else { text };
                Block::Thinking { thinking, signature }
            }
            Self::Call { id, name, arguments } => Block::ToolUse { id, name, input: object(&arguments) },
        }
    }
}

/// The object that arguments are; an empty one where they were cut before they were any.
fn object(arguments: &str) -> Box<RawValue> {
    let read = |text: &str| serde_json::from_str::<Box<RawValue>>(text).ok();
    read(arguments).or_else(|| read("{}")).expect("an empty object is JSON")
}

//! What a response repeats of its request.

use impetus_proto::worker::Structure;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

/// The parameters of a request, with the API's defaults where nothing was said.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Asked {
    pub(super) background: bool,
    pub(super) instructions: Option<String>,
    pub(super) max_output_tokens: Option<u32>,
    pub(super) max_tool_calls: Option<u32>,
    #[serde(serialize_with = "pairs")]
    pub(super) metadata: Vec<(String, String)>,
    pub(super) parallel_tool_calls: bool,
    pub(super) previous_response_id: Option<String>,
    pub(super) prompt_cache_key: Option<String>,
    pub(super) reasoning: Reasoning,
    pub(super) safety_identifier: Option<String>,
    pub(super) service_tier: &'static str,
    pub(super) store: bool,
    pub(super) temperature: f32,
    pub(super) text: Text,
    pub(super) tool_choice: ToolChoice,
    pub(super) tools: AskedTools,
    pub(super) top_logprobs: u32,
    pub(super) top_p: f32,
    pub(super) truncation: Truncation,
    pub(super) user: Option<String>,
}

/// Which tools may or have to be called, as the client wrote it.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(super) enum ToolChoice {
    Given(Box<RawValue>),
    Default(&'static str),
}

/// The tools, as the client wrote them.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(super) enum AskedTools {
    Given(Box<RawValue>),
    Default([(); 0]),
}

/// What becomes of a conversation that is longer than the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Truncation {
    /// It is refused.
    Disabled,
    /// Its beginning is left out.
    Auto,
}

/// How to reason.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Reasoning {
    pub(super) effort: Option<String>,
    /// Asked for: the thought goes into `summary` then, since it is the best summary of itself that there is.
    pub(super) summary: Option<&'static str>,
}

/// What the text has to be.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Text {
    pub(super) format: Format,
    pub(super) verbosity: &'static str,
}

/// The format of a text, as the client wrote it and as a worker takes it.
#[derive(Debug, Clone, Default)]
pub(super) struct Format {
    pub(super) given: Option<Box<RawValue>>,
    pub(super) structure: Option<Structure>,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            background: false,
            instructions: None,
            max_output_tokens: None,
            max_tool_calls: None,
            metadata: Vec::new(),
            parallel_tool_calls: true,
            previous_response_id: None,
            prompt_cache_key: None,
            reasoning: Reasoning::default(),
            safety_identifier: None,
            service_tier: "default",
            store: true,
            temperature: 1.0,
            text: Text { format: Format::default(), verbosity: "medium" },
            tool_choice: ToolChoice::Default("auto"),
            tools: AskedTools::Default([]),
            top_logprobs: 0,
            top_p: 1.0,
            truncation: Truncation::Disabled,
            user: None,
        }
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(given) = &self.given {
            return given.serialize(serializer);
        }
        let mut text = serializer.serialize_map(Some(1))?;
        text.serialize_entry("type", "text")?;
        text.end()
    }
}

fn pairs<S: Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}

//! A request for a response, understood.

use impetus_proto::{
    Code, Error,
    worker::{Chat, GenerateRequest, Logprobs, Structure, generate_request::Input},
};

use super::{
    asked::{Asked, Truncation},
    item::Item,
    tool::Tools,
};
use crate::dialect::{
    field::{Fields, elements, kind, wrong_type},
    ignored::Ignored,
    keep_alive,
    openai::{
        bookkeeping,
        parameter::{self, Parameter},
        sampling, structure,
    },
};

mod chat;
mod include;
mod text;

pub(super) use include::Include;

/// The most items of an input.
const MAX_ITEMS: usize = 16_384;

/// The largest count of anything, since engines count in signed 32-bit integers.
const MAX_COUNT: i64 = i32::MAX as i64;

/// The most log probabilities of one place, as the API defines it.
const MAX_TOP_LOGPROBS: i64 = 20;

/// The field that says what the text has to be.
const FORMAT: &str = "text.format";

/// The longest name of a caller, of a cache or of a response, in characters.
const MAX_NAME: usize = 512;

/// What is defined, here or for chat completions, but not offered.
const UNOFFERED: &[Parameter] = &[
    ("conversation", &[]),
    ("prompt", &[]),
    ("messages", &[]),
    ("functions", &["[]"]),
    ("function_call", &[]),
    ("n", &["1"]),
    ("logprobs", &["false"]),
    ("modalities", &[r#"["text"]"#]),
    ("audio", &[]),
    ("prediction", &[]),
    ("verbosity", &[r#""medium""#]),
    ("web_search_options", &[]),
    ("chat_template", &[]),
    ("continue_final_message", &["false"]),
    ("add_generation_prompt", &["true"]),
];

/// A request for a response.
#[derive(Debug)]
pub(super) struct Params {
    /// What the client named; empty means the default model.
    pub(super) model: String,
    /// What the worker gets, but for the messages, which may have to be looked up.
    pub(super) generate: GenerateRequest,
    /// What the client has said, in order.
    pub(super) input: Vec<Item>,
    /// What the response repeats of its request.
    pub(super) asked: Asked,
    pub(super) tools: Tools,
    pub(super) include: Include,
    pub(super) is_streamed: bool,
    /// Whether lengths of deltas are to tell nothing of their texts.
    pub(super) is_obfuscated: bool,
    /// The field that asks for a structure of the output, by which errors name it.
    pub(super) structure_param: String,
    /// Seconds that the model is to stay loaded afterwards; negative: it stays; absent: as configured.
    pub(super) keep_alive: Option<i64>,
    pub(super) ignored: Ignored,
}

impl Params {
    /// Reads the body of a request.
    pub(super) fn read(body: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let mut ignored = Ignored::default();
        let model = fields.text("model")?.unwrap_or_default();
        let input = input(&mut fields, &mut ignored)?;
        let keep_alive = keep_alive::take(&mut fields)?;
        let is_streamed = fields.flag("stream")?.unwrap_or(false);
        let is_obfuscated = stream_options(&mut fields, &mut ignored)?;
        let include = Include::take(&mut fields, &mut ignored)?;
        let mut asked = Asked::default();
        let (tools, chat) = chat::take(&mut fields, &mut asked, &mut ignored)?;
        text::take(&mut fields, &mut asked, &mut ignored)?;
        let (structure, structure_param) = constraint(&mut fields, &asked, &mut ignored)?;
        asked.top_logprobs = fields.integer("top_logprobs", 0..=MAX_TOP_LOGPROBS)?.unwrap_or(0) as u32;
        let logprobs = (include.logprobs || asked.top_logprobs > 0).then_some(asked.top_logprobs);
        let generate = GenerateRequest {
            input: Some(Input::Chat(chat)),
            stopping: Some(stopping(&mut fields, &mut asked)?),
            sampling: Some(sampling::sampling(&mut fields)?),
            logprobs: logprobs.map(|top| Logprobs { top }),
            structure,
            ..GenerateRequest::default()
        };
        if let Some(sampling) = &generate.sampling {
            (asked.temperature, asked.top_p) = (sampling.temperature, sampling.top_p.unwrap_or(1.0));
        }
        bookkeeping(&mut fields, &mut asked)?;
        parameter::refuse(&mut fields, UNOFFERED)?;
        parameter::refuse(&mut fields, parameter::COMMON)?;
        ignored.add("", &fields);
        Ok(Self {
            model,
            generate,
            input,
            asked,
            tools,
            include,
            is_streamed,
            is_obfuscated,
            structure_param,
            keep_alive,
            ignored,
        })
    }

    /// The chat of the request.
    pub(super) fn chat(&mut self) -> Result<&mut Chat, Error> {
        match &mut self.generate.input {
            Some(Input::Chat(chat)) => Ok(chat),
            _ => Err(Error::internal("the request of a response has no chat")),
        }
    }
}

/// Takes `input`: a text, or items.
fn input(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Vec<Item>, Error> {
    let expected = "a string or an array of items";
    let Some(value) = fields.raw("input") else { return Ok(Vec::new()) };
    match kind(value) {
        "a string" => match serde_json::from_str(value.get()) {
            Ok(text) => Ok(vec![Item::of_text(text)]),
            Err(_) => Err(wrong_type("input", "a string of Unicode text", value)),
        },
        "an array" => elements(value, "input", expected, MAX_ITEMS)?
            .into_iter()
            .enumerate()
            .map(|(i, item)| Item::read(item, format!("input[{i}]"), ignored))
            .collect(),
        _ => Err(wrong_type("input", expected, value)),
    }
}

/// What the output has to be, by `text.format` or by an extension that other servers have, and the field that says so.
fn constraint(
    fields: &mut Fields<'_>,
    asked: &Asked,
    ignored: &mut Ignored,
) -> Result<(Option<Structure>, String), Error> {
    let extension = structure::structure(fields, ignored)?;
    match (asked.text.format.structure.clone(), extension) {
        (Some(_), Some(other)) => {
            let message =
                format!("{} and {FORMAT} exclude each other: an output has one structure", other.param);
            Err(Error::invalid(other.param, message))
        }
        (None, Some(other)) => Ok((Some(other.structure), other.param)),
        (structure, None) => Ok((structure, FORMAT.to_owned())),
    }
}

fn stopping(fields: &mut Fields<'_>, asked: &mut Asked) -> Result<impetus_proto::worker::Stopping, Error> {
    let mut stopping = sampling::stopping(fields, None)?;
    if let Some(limit) = fields.integer("max_output_tokens", 1..=MAX_COUNT)? {
        let limit = limit as u32;
        asked.max_output_tokens = Some(limit);
        stopping.max_tokens = Some(stopping.max_tokens.map_or(limit, |other| other.min(limit)));
    }
    Ok(stopping)
}

/// Takes what is about the caller, and how the response is kept.
fn bookkeeping(fields: &mut Fields<'_>, asked: &mut Asked) -> Result<(), Error> {
    asked.metadata = bookkeeping::metadata(fields)?;
    asked.user = short(fields, "user")?;
    asked.safety_identifier = short(fields, "safety_identifier")?;
    asked.prompt_cache_key = short(fields, "prompt_cache_key")?;
    // How long OpenAI keeps a prefix; here it is kept as long as its slot is.
    fields.word("prompt_cache_retention", &["in_memory", "in-memory", "24h"])?;
    bookkeeping::service_tier(fields)?;
    // Only OpenAI's own tools would be counted, and none of them is called.
    asked.max_tool_calls = fields.integer("max_tool_calls", 1..=MAX_COUNT)?.map(|count| count as u32);
    if fields.word("truncation", &["disabled", "auto"])? == Some("auto") {
        asked.truncation = Truncation::Auto;
    }
    asked.store = fields.flag("store")?.unwrap_or(true);
    asked.background = fields.flag("background")?.unwrap_or(false);
    if asked.background && !asked.store {
        let message = "background needs store: what runs in the background is fetched from where it is kept";
        return Err(Error::invalid("background", message));
    }
    Ok(())
}

/// Takes `stream_options`; true when deltas are to be obfuscated.
fn stream_options(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<bool, Error> {
    let Some(mut options) = fields.object("stream_options")? else { return Ok(false) };
    let is_obfuscated = options.flag("include_obfuscation")?.unwrap_or(false);
    // Of chat completions; the end of a response has its usage in any case.
    options.flag("include_usage")?;
    ignored.add("stream_options.", &options);
    Ok(is_obfuscated)
}

/// Takes a name of somebody or something.
fn short(fields: &mut Fields<'_>, name: &str) -> Result<Option<String>, Error> {
    let text = fields.text(name)?;
    if text.as_ref().is_some_and(|text| text.chars().count() > MAX_NAME) {
        return Err(Error::invalid(name, format!("{name} must have at most {MAX_NAME} characters")));
    }
    Ok(text)
}

/// The error for a request that says nothing.
pub(super) fn nothing_said() -> Error {
    let message = "input is missing; it must be a string or an array of items, or there must be instructions or \
                   previous_response_id";
    Error::new(Code::InvalidRequest, message).with_param("input")
}

#[cfg(test)]
mod tests;

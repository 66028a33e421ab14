//! A request's body, understood.

use std::time::Duration;

use impetus_proto::{
    Error,
    worker::{GenerateRequest, Infill, InfillFile, generate_request::Input},
};
use serde_json::{Map, Value, value::RawValue};

use super::{
    answer::Answer,
    settings::{self, Settings},
    watch::Bounds,
};
use crate::dialect::{
    field::Fields,
    ignored::Ignored,
    keep_alive,
    names::Names,
    openai::{parameter, prompt, structure},
};

/// The most files of context, and fields of an answer.
const MAX_FILES: usize = 256;
const MAX_FIELDS: usize = 64;

/// The longest indentation and the longest time, in milliseconds, that can be asked for.
const MAX_INDENT: i64 = 4096;
const MAX_MS: i64 = 24 * 3600 * 1000;

/// Which endpoint it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Infill,
    Completion,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Params {
    /// What the client named; empty means the default model.
    pub(super) model: String,
    pub(super) generate: GenerateRequest,
    /// What the client gave as its prompt.
    pub(super) prompt: String,
    pub(super) settings: Settings,
    pub(super) bounds: Bounds,
    pub(super) is_streamed: bool,
    /// The fields of the answer that are wanted, as paths; absent: all.
    response_fields: Option<Vec<String>>,
    pub(super) keep_alive: Option<i64>,
    names: Names,
    pub(super) ignored: Ignored,
}

impl Params {
    /// Reads a body.
    pub(super) fn read(body: &[u8], kind: Kind) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let mut ignored = Ignored::default();
        let model = fields.text("model")?.unwrap_or_default();
        let (input, prompt) = match kind {
            Kind::Infill => hole(&mut fields, &mut ignored)?,
            Kind::Completion => single_prompt(&mut fields)?,
        };
        let bounds = bounds(&mut fields, &mut ignored)?;
        let is_streamed = fields.flag("stream")?.unwrap_or(false);
        let structure = structure::structure(&mut fields, &mut ignored)?;
        let response_fields = response_fields(&mut fields)?;
        let keep_alive = keep_alive::take(&mut fields)?;
        let (sampling, stopping) = settings::take(&mut fields, &mut ignored)?;
        parameter::refuse(&mut fields, parameter::NATIVE)?;
        ignored.add("", &fields);
        let names = Names {
            input: if kind == Kind::Infill { "input_prefix" } else { "prompt" },
            structure: structure.as_ref().map(|structure| structure.param.clone()),
            ..Names::default()
        };
        let settings = Settings::of(&sampling, &stopping, is_streamed);
        let generate = GenerateRequest {
            input: Some(input),
            sampling: Some(sampling),
            stopping: Some(stopping),
            structure: structure.map(|structure| structure.structure),
            ..GenerateRequest::default()
        };
        Ok(Self {
            model,
            generate,
            prompt,
            settings,
            bounds,
            is_streamed,
            response_fields,
            keep_alive,
            names,
            ignored,
        })
    }

    /// The error in the client's words.
    pub(super) fn named(&self, mut error: Error) -> Error {
        if error.param == "suffix" {
            "input_suffix".clone_into(&mut error.param);
        }
        self.names.of(error)
    }

    /// The fields of the answer that the client wants, those within others by their last name.
    pub(super) fn chosen(&self, answer: &Answer) -> Result<Value, Error> {
        let whole = serde_json::to_value(answer).map_err(|error| Error::internal(error.to_string()))?;
        let Some(paths) = &self.response_fields else { return Ok(whole) };
        let mut chosen = Map::new();
        for path in paths {
            let mut steps = path.split('/');
            let value = steps.try_fold(&whole, |value, step| value.get(step));
            if let (Some(value), Some(name)) = (value, path.rsplit('/').next()) {
                chosen.insert(name.to_owned(), value.clone());
            }
        }
        Ok(Value::Object(chosen))
    }
}

/// Takes the text around a hole, and what else there is to know.
fn hole(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<(Input, String), Error> {
    let (prefix, suffix) = (fields.text("input_prefix")?, fields.text("input_suffix")?);
    if prefix.is_none() && suffix.is_none() {
        let message = "input_prefix and input_suffix are missing; the hole is between them";
        return Err(Error::invalid("input_prefix", message));
    }
    let mut files = Vec::new();
    let expected = "an array of objects with a filename and a text";
    for (idx, item) in
        fields.array("input_extra", expected, MAX_FILES)?.unwrap_or_default().iter().enumerate()
    {
        files.push(file(item, format!("input_extra[{idx}]"), ignored)?);
    }
    let continuation = fields.text("prompt")?.unwrap_or_default();
    let prompt = continuation.clone();
    let (prefix, suffix) = (prefix.unwrap_or_default(), suffix.unwrap_or_default());
    Ok((Input::Infill(Infill { prefix, suffix, files, continuation }), prompt))
}

fn file(value: &RawValue, path: String, ignored: &mut Ignored) -> Result<InfillFile, Error> {
    let mut fields = Fields::of(value, path)?;
    let name = fields.text("filename")?.unwrap_or_default();
    let path = fields.path_of("text");
    let Some(text) = fields.text("text")? else {
        return Err(Error::invalid(path.as_str(), format!("{path} is missing; it must be a string")));
    };
    ignored.add("input_extra.", &fields);
    Ok(InfillFile { name, text })
}

/// Takes `prompt`, of which there is one.
fn single_prompt(fields: &mut Fields<'_>) -> Result<(Input, String), Error> {
    let mut prompts = prompt::prompts(fields)?;
    if let (Some(input), true) = (prompts.pop(), prompts.is_empty()) {
        let text = if let Input::Text(text) = &input { text.clone() } else { String::new() };
        return Ok((input, text));
    }
    let message = "prompt must be one prompt here; POST /v1/completions takes several";
    Err(Error::invalid("prompt", message))
}

fn bounds(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Bounds, Error> {
    let n_indent = fields.integer("n_indent", 0..=MAX_INDENT)?.unwrap_or(0) as usize;
    let time = fields.integer("t_max_predict_ms", -1..=MAX_MS)?.filter(|&ms| ms > 0);
    // llama.cpp takes no notice of it either.
    if fields.integer("t_max_prompt_ms", -1..=MAX_MS)?.is_some_and(|ms| ms > 0) {
        ignored.name("", "t_max_prompt_ms");
    }
    // Slots are found by what they hold, so that a wish for one brings nothing.
    if fields.integer("id_slot", -1..=i64::from(i32::MAX))?.is_some_and(|slot| slot >= 0) {
        ignored.name("", "id_slot");
    }
    Ok(Bounds { n_indent, time: time.map(|ms| Duration::from_millis(ms as u64)) })
}

fn response_fields(fields: &mut Fields<'_>) -> Result<Option<Vec<String>>, Error> {
    let names = fields.take::<Vec<String>>("response_fields", "an array of strings")?;
    if names.as_ref().is_some_and(|names| names.len() > MAX_FIELDS) {
        let message = format!("response_fields must have at most {MAX_FIELDS} names");
        return Err(Error::invalid("response_fields", message));
    }
    Ok(names)
}

//! The parameters of a Modelfile: the `options` of requests, written as text.

use impetus_proto::Error;
use serde_json::{Map, Value, json};

use super::option;
use crate::dialect::{field::Fields, ignored::Ignored};

/// What a parameter's text has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Whole,
    Flag,
    Text,
}

/// The parameters that Ollama knows or knew. Which of them this server honours, and within which bounds, is said by
/// whoever reads the options of requests.
const KNOWN: [(&str, Kind); 34] = [
    ("embedding_only", Kind::Flag),
    ("f16_kv", Kind::Flag),
    ("frequency_penalty", Kind::Number),
    ("logits_all", Kind::Flag),
    ("low_vram", Kind::Flag),
    ("main_gpu", Kind::Whole),
    ("min_p", Kind::Number),
    ("mirostat", Kind::Whole),
    ("mirostat_eta", Kind::Number),
    ("mirostat_tau", Kind::Number),
    ("num_batch", Kind::Whole),
    ("num_ctx", Kind::Whole),
    ("num_gpu", Kind::Whole),
    ("num_gqa", Kind::Whole),
    ("num_keep", Kind::Whole),
    ("num_predict", Kind::Whole),
    ("num_thread", Kind::Whole),
    ("numa", Kind::Flag),
    ("penalize_newline", Kind::Flag),
    ("presence_penalty", Kind::Number),
    ("repeat_last_n", Kind::Whole),
    ("repeat_penalty", Kind::Number),
    ("rope_frequency_base", Kind::Number),
    ("rope_frequency_scale", Kind::Number),
    ("seed", Kind::Whole),
    (STOP, Kind::Text),
    ("temperature", Kind::Number),
    ("tfs_z", Kind::Number),
    ("top_k", Kind::Whole),
    ("top_p", Kind::Number),
    ("typical_p", Kind::Number),
    ("use_mlock", Kind::Flag),
    ("use_mmap", Kind::Flag),
    ("vocab_only", Kind::Flag),
];

/// The one that may be there several times.
const STOP: &str = "stop";

/// Adds the parameter `name`, whose value is `text`.
pub(super) fn set(options: &mut Map<String, Value>, name: &str, text: &str) -> Result<(), Error> {
    let kind = kind_of(name)?;
    let value = kind.read(text).ok_or_else(|| {
        let given: String = text.chars().take(32).collect();
        Error::invalid(name, format!("the parameter {name} must be {}, not {given:?}", kind.words()))
    })?;
    check(&Map::from_iter([(name.to_owned(), value.clone())]))?;
    if name != STOP {
        options.insert(name.to_owned(), value);
        return Ok(());
    }
    match options.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
        Value::Array(texts) => texts.push(value),
        one => *one = Value::Array(vec![one.take(), value]),
    }
    Ok(())
}

/// Refuses names that are none, and values with which every request would be refused.
pub(super) fn check(options: &Map<String, Value>) -> Result<(), Error> {
    options.keys().try_for_each(|name| kind_of(name).map(drop))?;
    let body = json!({ "options": options }).to_string();
    let read = option::take(&mut Fields::of_body(body.as_bytes())?, None, &mut Ignored::default());
    read.map(drop).map_err(|error| {
        let (param, message) = (error.param.replacen("options", "parameters", 1), error.message.clone());
        Error { message: message.replacen("options.", "", 1), ..error }.with_param(param)
    })
}

fn kind_of(name: &str) -> Result<Kind, Error> {
    let known = KNOWN.iter().find(|(known, _)| *known == name);
    known.map(|(_, kind)| *kind).ok_or_else(|| {
        let given: String = name.chars().take(32).collect();
        let names: Vec<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
        Error::invalid(
            "parameters",
            format!("there is no parameter {given:?}; there are {}", names.join(", ")),
        )
    })
}

impl Kind {
    fn read(self, text: &str) -> Option<Value> {
        match self {
            Self::Number => {
                text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number)
            }
            Self::Whole => text.parse::<i64>().ok().map(Value::from),
            Self::Flag => text.parse::<bool>().ok().map(Value::Bool),
            Self::Text => Some(Value::from(text)),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Whole => "a whole number",
            Self::Flag => "true or false",
            Self::Text => "a text",
        }
    }
}

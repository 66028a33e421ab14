//! `options`: how tokens are chosen, when a completion ends, and in how large a context. Those of a preset come before
//! those of the request, which come before the defaults that Ollama documents.

use impetus_proto::{
    Error,
    worker::{Mirostat, Sampling, Stopping},
};
use serde_json::{Map, Value, value::RawValue};

use super::preset::Preset;
use crate::dialect::{
    field::{Fields, kind, wrong_type},
    ignored::Ignored,
    parameter::{Parameter, refuse},
};

#[cfg(test)]
mod tests;

/// The largest count of anything, since engines count in signed 32-bit integers.
const MAX_COUNT: i64 = i32::MAX as i64;

const TEMPERATURE: f32 = 0.8;
const TOP_K: u32 = 40;
const TOP_P: f32 = 0.9;
const REPEAT_PENALTY: f32 = 1.1;
const REPEAT_LAST_N: i64 = 64;

/// A seed that stands for any.
const ANY_SEED: i64 = -1;

/// What changes the answer and is not offered.
const UNOFFERED: &[Parameter] = &[
    ("tfs_z", &["1"]),
    // Line ends are penalized like all that was said.
    ("penalize_newline", &["true"]),
    ("logits_all", &["false"]),
    ("vocab_only", &["false"]),
    ("embedding_only", &["false"]),
    ("rope_frequency_base", &["0"]),
    ("rope_frequency_scale", &["0"]),
];

/// What is about the machine or about contexts that are shifted: it has no meaning for an answer here.
const WITHOUT_EFFECT: [&str; 11] = [
    "num_keep",
    "num_batch",
    "num_gpu",
    "main_gpu",
    "num_thread",
    "num_gqa",
    "numa",
    "low_vram",
    "use_mmap",
    "use_mlock",
    "f16_kv",
];

/// The options of a request, understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Options {
    pub(super) sampling: Sampling,
    pub(super) stopping: Stopping,
    /// Tokens of the context that is asked for; absent: as many as there are.
    pub(super) num_ctx: Option<u32>,
}

/// Takes `options`.
pub(super) fn take(
    fields: &mut Fields<'_>,
    preset: Option<&Preset>,
    ignored: &mut Ignored,
) -> Result<Options, Error> {
    let merged = merged(fields, preset)?;
    let mut options = Fields::of(&merged, "options".to_owned())?;
    let read = Options {
        sampling: sampling(&mut options)?,
        stopping: stopping(&mut options)?,
        num_ctx: options.integer("num_ctx", 1..=MAX_COUNT)?.map(|tokens| tokens as u32),
    };
    leave_aside(&mut options, ignored)?;
    ignored.add("options.", &options);
    Ok(read)
}

/// Takes `options` of a request for vectors, for which the context alone has a meaning.
pub(super) fn take_context(
    fields: &mut Fields<'_>,
    preset: Option<&Preset>,
    ignored: &mut Ignored,
) -> Result<Option<u32>, Error> {
    let merged = merged(fields, preset)?;
    let mut options = Fields::of(&merged, "options".to_owned())?;
    let num_ctx = options.integer("num_ctx", 1..=MAX_COUNT)?.map(|tokens| tokens as u32);
    leave_aside(&mut options, ignored)?;
    ignored.add("options.", &options);
    Ok(num_ctx)
}

/// The options of the preset, and instead of each the one of the request that is called so.
fn merged(fields: &mut Fields<'_>, preset: Option<&Preset>) -> Result<Box<RawValue>, Error> {
    let mut options: Map<String, Value> = preset.map(|preset| preset.options.clone()).unwrap_or_default();
    if let Some(given) = fields.raw("options") {
        let wrong = || wrong_type("options", "an object", given);
        if kind(given) != "an object" {
            return Err(wrong());
        }
        let given: Map<String, Value> = serde_json::from_str(given.get()).map_err(|_| wrong())?;
        // `null` is the same as absent.
        options.extend(given.into_iter().filter(|(_, value)| !value.is_null()));
    }
    serde_json::value::to_raw_value(&options).map_err(|error| Error::internal(error.to_string()))
}

fn sampling(options: &mut Fields<'_>) -> Result<Sampling, Error> {
    let seed = options.integer("seed", i64::MIN..=i64::MAX)?.filter(|seed| *seed != ANY_SEED);
    let last_tokens = options.integer("repeat_last_n", -1..=MAX_COUNT)?.unwrap_or(REPEAT_LAST_N);
    Ok(Sampling {
        // Chosen here, so that a request that is tried again on another worker is the same request.
        seed: seed.map_or_else(rand::random, |seed| seed as u64),
        temperature: options.number("temperature", 0.0..=100.0)?.unwrap_or(TEMPERATURE),
        top_k: options.integer("top_k", -1..=MAX_COUNT)?.map_or(TOP_K, |top_k| top_k.max(0) as u32),
        top_p: Some(options.number("top_p", 0.0..=1.0)?.unwrap_or(TOP_P)),
        min_p: options.number("min_p", 0.0..=1.0)?,
        typical_p: options.number("typical_p", 0.0..=1.0)?,
        repetition_penalty: Some(options.number("repeat_penalty", 0.01..=10.0)?.unwrap_or(REPEAT_PENALTY)),
        frequency_penalty: options.number("frequency_penalty", -2.0..=2.0)?.unwrap_or(0.0),
        presence_penalty: options.number("presence_penalty", -2.0..=2.0)?.unwrap_or(0.0),
        // -1 is all of the context.
        penalty_last_tokens: Some(u32::try_from(last_tokens).unwrap_or(MAX_COUNT as u32)),
        mirostat: mirostat(options)?,
        ..Sampling::default()
    })
}

fn mirostat(options: &mut Fields<'_>) -> Result<Option<Mirostat>, Error> {
    let mirostat = Mirostat {
        version: options.integer("mirostat", 0..=2)?.unwrap_or(0) as u32,
        tau: options.number("mirostat_tau", 0.0..=100.0)?.unwrap_or(5.0),
        eta: options.number("mirostat_eta", 0.0..=1.0)?.unwrap_or(0.1),
    };
    Ok((mirostat.version > 0).then_some(mirostat))
}

fn stopping(options: &mut Fields<'_>) -> Result<Stopping, Error> {
    // -1 is without bound, -2 as many as the context holds: here they are the same.
    let max_tokens = options.integer("num_predict", -2..=MAX_COUNT)?;
    options.note("stop", || serde_json::json!({"type": ["string", "array"], "items": {"type": "string"}}));
    let stop: Vec<String> = match options.raw("stop") {
        None => Vec::new(),
        Some(value) => {
            let one = serde_json::from_str::<String>(value.get()).map(|stop| vec![stop]);
            let stops = one.or_else(|_| serde_json::from_str(value.get()));
            stops
                .map_err(|_| wrong_type(options.path_of("stop"), "a string or an array of strings", value))?
        }
    };
    Ok(Stopping {
        max_tokens: max_tokens.and_then(|tokens| u32::try_from(tokens).ok()),
        stop,
        ..Stopping::default()
    })
}

/// Refuses what is not offered, and names what has no effect.
fn leave_aside(options: &mut Fields<'_>, ignored: &mut Ignored) -> Result<(), Error> {
    refuse(options, UNOFFERED)?;
    for name in WITHOUT_EFFECT {
        if options.raw(name).is_some() {
            ignored.name("options.", name);
        }
    }
    Ok(())
}

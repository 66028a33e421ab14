//! How tokens are chosen, with llama.cpp's defaults, and as its answers repeat it.

use impetus_proto::{
    Error,
    worker::{DynamicTemperature, Mirostat, Sampling, Stopping},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::dialect::{field::Fields, ignored::Ignored, openai::sampling};

/// llama.cpp's defaults where they differ from OpenAI's.
const TEMPERATURE: f32 = 0.8;
const TOP_K: u32 = 40;
const TOP_P: f32 = 0.95;
const MIN_P: f32 = 0.05;

/// The samplers that a request may list, by all their names.
const SAMPLERS: &[&str] = &[
    "penalties",
    "dry",
    "top_n_sigma",
    "top_k",
    "typ_p",
    "typical_p",
    "top_p",
    "min_p",
    "xtc",
    "temperature",
];

/// The seed that stands for a random one, and what it is as an unsigned 32-bit number.
const ANY_SEED: [u64; 2] = [u64::MAX, u32::MAX as u64];

/// What llama.cpp calls `generation_settings`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "GenerationSettings")]
pub(in crate::dialect::openai::llama) struct Settings {
    /// -1 is as many as the context holds.
    n_predict: i64,
    max_tokens: i64,
    seed: u64,
    temperature: f32,
    dynatemp_range: f32,
    dynatemp_exponent: f32,
    top_k: u32,
    top_p: f32,
    min_p: f32,
    top_n_sigma: f32,
    typical_p: f32,
    xtc_probability: f32,
    xtc_threshold: f32,
    repeat_last_n: i64,
    repeat_penalty: f32,
    presence_penalty: f32,
    frequency_penalty: f32,
    dry_multiplier: f32,
    dry_base: f32,
    dry_allowed_length: u32,
    mirostat: u32,
    mirostat_tau: f32,
    mirostat_eta: f32,
    stop: Vec<String>,
    ignore_eos: bool,
    n_probs: u32,
    stream: bool,
}

/// Takes what says how tokens are chosen and when a completion ends.
pub(super) fn take(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<(Sampling, Stopping), Error> {
    let [no_temperature, no_top_k, no_top_p, no_min_p] =
        ["temperature", "top_k", "top_p", "min_p"].map(|name| !fields.has(name));
    let mut sampling = sampling::sampling(fields)?;
    let stopping = sampling::stopping(fields, None)?;
    if no_temperature {
        sampling.temperature = TEMPERATURE;
    }
    if no_top_k {
        sampling.top_k = TOP_K;
    }
    if no_top_p {
        sampling.top_p = Some(TOP_P);
    }
    if no_min_p {
        sampling.min_p = Some(MIN_P);
    }
    if ANY_SEED.contains(&sampling.seed) {
        sampling.seed = rand::random();
    }
    if let Some(listed) = fields.take::<Vec<String>>("samplers", "an array of names of samplers")? {
        keep_listed(&listed, &mut sampling, ignored)?;
    }
    Ok((sampling, stopping))
}

/// Switches off the samplers that a request's list leaves out. Their order is always the same.
fn keep_listed(listed: &[String], sampling: &mut Sampling, ignored: &mut Ignored) -> Result<(), Error> {
    for name in listed {
        // It makes single tokens of several that begin alike, for which there is nothing here.
        if name == "infill" {
            ignored.name("samplers.", name);
        } else if !SAMPLERS.contains(&name.as_str()) {
            let name: String = name.chars().take(32).collect();
            let message =
                format!("samplers has the unknown name {name:?}; known are {}", SAMPLERS.join(", "));
            return Err(Error::invalid("samplers", message));
        }
    }
    let lacks = |names: &[&str]| !listed.iter().any(|listed| names.contains(&listed.as_str()));
    if lacks(&["penalties"]) {
        sampling.repetition_penalty = None;
        (sampling.presence_penalty, sampling.frequency_penalty) = (0.0, 0.0);
    }
    if lacks(&["dry"]) {
        sampling.dry = None;
    }
    if lacks(&["top_n_sigma"]) {
        sampling.top_n_sigma = None;
    }
    if lacks(&["top_k"]) {
        sampling.top_k = 0;
    }
    if lacks(&["typ_p", "typical_p"]) {
        sampling.typical_p = None;
    }
    if lacks(&["top_p"]) {
        sampling.top_p = None;
    }
    if lacks(&["min_p"]) {
        sampling.min_p = None;
    }
    if lacks(&["xtc"]) {
        sampling.xtc = None;
    }
    // Greedy is greedy whatever is listed.
    if lacks(&["temperature"]) && sampling.temperature > 0.0 {
        sampling.temperature = 1.0;
        sampling.dynamic_temperature = None;
    }
    Ok(())
}

/// The settings of a request that says nothing of them.
pub(in crate::dialect::openai::llama) fn default_settings() -> Settings {
    let sampling = Sampling {
        seed: u32::MAX.into(),
        temperature: TEMPERATURE,
        top_k: TOP_K,
        top_p: Some(TOP_P),
        min_p: Some(MIN_P),
        ..Sampling::default()
    };
    Settings::of(&sampling, &Stopping::default(), true)
}

impl Settings {
    /// The settings of a request.
    pub(super) fn of(sampling: &Sampling, stopping: &Stopping, stream: bool) -> Self {
        let n_predict = stopping.max_tokens.map_or(-1, i64::from);
        let (dry, xtc) = (sampling.dry.clone().unwrap_or_default(), sampling.xtc.unwrap_or_default());
        let Mirostat { version, tau, eta } = sampling.mirostat.unwrap_or_default();
        let DynamicTemperature { range, exponent } = sampling.dynamic_temperature.unwrap_or_default();
        Self {
            n_predict,
            max_tokens: n_predict,
            seed: sampling.seed,
            temperature: sampling.temperature,
            dynatemp_range: range,
            dynatemp_exponent: exponent,
            top_k: sampling.top_k,
            top_p: sampling.top_p.unwrap_or(1.0),
            min_p: sampling.min_p.unwrap_or(0.0),
            top_n_sigma: sampling.top_n_sigma.unwrap_or(-1.0),
            typical_p: sampling.typical_p.unwrap_or(1.0),
            xtc_probability: xtc.probability,
            xtc_threshold: xtc.threshold,
            repeat_last_n: sampling.penalty_last_tokens.map_or(64, i64::from),
            repeat_penalty: sampling.repetition_penalty.unwrap_or(1.0),
            presence_penalty: sampling.presence_penalty,
            frequency_penalty: sampling.frequency_penalty,
            dry_multiplier: dry.multiplier,
            dry_base: dry.base,
            dry_allowed_length: dry.allowed_length,
            mirostat: version,
            mirostat_tau: tau,
            mirostat_eta: eta,
            stop: stopping.stop.clone(),
            ignore_eos: stopping.ignore_end,
            n_probs: 0,
            stream,
        }
    }
}

//! The samplers that llama.cpp and text-generation-webui have beside OpenAI's parameters, under llama.cpp's names and
//! with its defaults.

use impetus_proto::{
    Error,
    worker::{Dry, DynamicTemperature, Mirostat, Xtc},
};

use super::MAX_COUNT;
use crate::dialect::field::Fields;

/// What no repetition goes across, if nothing is said of it.
const BREAKERS: [&str; 4] = ["\n", ":", "\"", "*"];

const MAX_BREAKERS: usize = 64;
const MAX_BREAKER_BYTES: usize = 64;

/// How many of the last tokens are looked at, where -1 means all.
pub(super) fn last_tokens(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(i32::MAX as u32)
}

/// Takes `dry_*`; absent when it is off.
pub(super) fn dry(fields: &mut Fields<'_>) -> Result<Option<Dry>, Error> {
    let dry = Dry {
        multiplier: fields.number("dry_multiplier", 0.0..=100.0)?.unwrap_or(0.0),
        base: fields.number("dry_base", 1.0..=100.0)?.unwrap_or(1.75),
        allowed_length: fields.integer("dry_allowed_length", 0..=MAX_COUNT)?.unwrap_or(2) as u32,
        last_tokens: fields
            .integer("dry_penalty_last_n", -1..=MAX_COUNT)?
            .and_then(|count| u32::try_from(count).ok()),
        breakers: breakers(fields)?,
    };
    Ok((dry.multiplier > 0.0).then_some(dry))
}

fn breakers(fields: &mut Fields<'_>) -> Result<Vec<String>, Error> {
    let name = "dry_sequence_breakers";
    let Some(breakers) = fields.take::<Vec<String>>(name, "an array of strings")? else {
        return Ok(BREAKERS.map(str::to_owned).to_vec());
    };
    let is_fit = |breaker: &String| (1..=MAX_BREAKER_BYTES).contains(&breaker.len());
    if breakers.len() > MAX_BREAKERS || !breakers.iter().all(is_fit) {
        let message =
            format!("{name} must have at most {MAX_BREAKERS} strings of 1 to {MAX_BREAKER_BYTES} bytes");
        return Err(Error::invalid(name, message));
    }
    Ok(breakers)
}

/// Takes `xtc_*`; absent when it is off.
pub(super) fn xtc(fields: &mut Fields<'_>) -> Result<Option<Xtc>, Error> {
    let xtc = Xtc {
        probability: fields.number("xtc_probability", 0.0..=1.0)?.unwrap_or(0.0),
        threshold: fields.number("xtc_threshold", 0.0..=1.0)?.unwrap_or(0.1),
    };
    Ok((xtc.probability > 0.0).then_some(xtc))
}

/// Takes `mirostat*`; absent when it is off.
pub(super) fn mirostat(fields: &mut Fields<'_>) -> Result<Option<Mirostat>, Error> {
    let mirostat = Mirostat {
        version: fields.integer("mirostat", 0..=2)?.unwrap_or(0) as u32,
        tau: fields.number("mirostat_tau", 0.0..=100.0)?.unwrap_or(5.0),
        eta: fields.number("mirostat_eta", 0.0..=1.0)?.unwrap_or(0.1),
    };
    Ok((mirostat.version > 0).then_some(mirostat))
}

/// Takes `dynatemp_*`; absent when it is off.
pub(super) fn dynamic_temperature(fields: &mut Fields<'_>) -> Result<Option<DynamicTemperature>, Error> {
    let dynamic = DynamicTemperature {
        range: fields.number("dynatemp_range", 0.0..=2.0)?.unwrap_or(0.0),
        exponent: fields.number("dynatemp_exponent", 0.0..=10.0)?.unwrap_or(1.0),
    };
    Ok((dynamic.range > 0.0).then_some(dynamic))
}

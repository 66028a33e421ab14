//! The parameters that both completion endpoints share: how tokens are chosen and when to stop.

use std::collections::HashMap;

use impetus_proto::{
    Error,
    worker::{LogitBias, Sampling, Stopping},
};
use serde_json::value::RawValue;

use super::field::{self, Fields, kind, wrong_type};

/// The largest count of anything, since engines count in signed 32-bit integers.
const MAX_COUNT: i64 = i32::MAX as i64;

const MAX_STOPS: usize = 16;
const MAX_STOP_BYTES: usize = 1024;
const MAX_BIASES: usize = 4096;

/// Takes the sampling parameters; what is absent has the API's default, and the seed is random, so that a request
/// that is tried again on another worker is the same request.
pub(super) fn sampling(fields: &mut Fields<'_>) -> Result<Sampling, Error> {
    let repeat_penalty = fields.number("repeat_penalty", 0.01..=10.0)?;
    Ok(Sampling {
        seed: fields.integer("seed", i64::MIN..=i64::MAX)?.map_or_else(rand::random, |seed| seed as u64),
        temperature: fields.number("temperature", 0.0..=2.0)?.unwrap_or(1.0),
        top_k: fields.integer("top_k", 0..=MAX_COUNT)?.unwrap_or(0) as u32,
        top_p: Some(fields.number("top_p", 0.0..=1.0)?.unwrap_or(1.0)),
        min_p: fields.number("min_p", 0.0..=1.0)?,
        typical_p: fields.number("typical_p", 0.0..=1.0)?,
        repetition_penalty: fields.number("repetition_penalty", 0.01..=10.0)?.or(repeat_penalty),
        frequency_penalty: fields.number("frequency_penalty", -2.0..=2.0)?.unwrap_or(0.0),
        presence_penalty: fields.number("presence_penalty", -2.0..=2.0)?.unwrap_or(0.0),
        logit_bias: logit_bias(fields)?,
        ..Sampling::default()
    })
}

/// Takes the stopping parameters; without `default_max_tokens` it is as many as the context holds.
pub(super) fn stopping(fields: &mut Fields<'_>, default_max_tokens: Option<u32>) -> Result<Stopping, Error> {
    let limits = [
        fields.integer("max_tokens", 1..=MAX_COUNT)?,
        // The newer name of the same thing; where both are given, both are kept to.
        fields.integer("max_completion_tokens", 1..=MAX_COUNT)?,
    ];
    Ok(Stopping {
        max_tokens: limits.into_iter().flatten().min().map(|limit| limit as u32).or(default_max_tokens),
        stop: stop(fields)?,
        ignore_end: fields.flag("ignore_eos")?.unwrap_or(false),
        ..Stopping::default()
    })
}

fn logit_bias(fields: &mut Fields<'_>) -> Result<Vec<LogitBias>, Error> {
    let Some(value) = fields.raw("logit_bias") else { return Ok(Vec::new()) };
    let expected = "an object of token ids and numbers";
    let entries: HashMap<String, &RawValue> =
        serde_json::from_str(value.get()).map_err(|_| wrong_type("logit_bias", expected, value))?;
    if entries.len() > MAX_BIASES {
        return Err(Error::invalid(
            "logit_bias",
            format!("logit_bias must have at most {MAX_BIASES} entries"),
        ));
    }
    let mut biases = entries
        .into_iter()
        .map(|(token, bias)| {
            let id = token.parse().ok().filter(|id| i64::from(*id) <= MAX_COUNT).ok_or_else(|| {
                let token: String = token.chars().take(32).collect();
                Error::invalid(
                    "logit_bias",
                    format!("logit_bias has the key {token:?}, which is no token id"),
                )
            })?;
            let bias = field::number(bias, &format!("logit_bias.{id}"), -100.0..=100.0)?;
            Ok(LogitBias { token: id, bias })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    biases.sort_unstable_by_key(|bias| bias.token);
    Ok(biases)
}

fn stop(fields: &mut Fields<'_>) -> Result<Vec<String>, Error> {
    let Some(value) = fields.raw("stop") else { return Ok(Vec::new()) };
    let stops: Vec<String> = if kind(value) == "a string" {
        serde_json::from_str(value.get()).map(|stop| vec![stop])
    } else {
        serde_json::from_str(value.get())
    }
    .map_err(|_| wrong_type("stop", "a string or an array of strings", value))?;
    if stops.len() > MAX_STOPS {
        let given = stops.len();
        return Err(Error::invalid(
            "stop",
            format!("stop must have at most {MAX_STOPS} strings, not {given}"),
        ));
    }
    if stops.iter().any(|stop| !(1..=MAX_STOP_BYTES).contains(&stop.len())) {
        let message = format!("each string of stop must have 1 to {MAX_STOP_BYTES} bytes");
        return Err(Error::invalid("stop", message));
    }
    Ok(stops)
}

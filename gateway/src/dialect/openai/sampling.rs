//! How tokens are chosen: the parameters that both completion endpoints share.

use std::collections::HashMap;

use impetus_proto::{
    Error,
    worker::{LogitBias, Sampling},
};
use serde_json::value::RawValue;

use crate::dialect::field::{self, Fields, wrong_type};

mod chain;
mod stopping;

pub(super) use stopping::stopping;

/// The largest count of anything, since engines count in signed 32-bit integers.
const MAX_COUNT: i64 = i32::MAX as i64;

const MAX_BIASES: usize = 4096;

/// Takes the sampling parameters; what is absent has the API's default, and the seed is random, so that a request
/// that is tried again on another worker is the same request.
pub(super) fn sampling(fields: &mut Fields<'_>) -> Result<Sampling, Error> {
    let repeat_penalty = fields.number("repeat_penalty", 0.01..=10.0)?;
    let typ_p = fields.number("typ_p", 0.0..=1.0)?;
    Ok(Sampling {
        seed: fields.integer("seed", i64::MIN..=i64::MAX)?.map_or_else(rand::random, |seed| seed as u64),
        temperature: fields.number("temperature", 0.0..=2.0)?.unwrap_or(1.0),
        // -1 is vLLM's way to switch it off.
        top_k: fields.integer("top_k", -1..=MAX_COUNT)?.unwrap_or(0).max(0) as u32,
        top_p: Some(fields.number("top_p", 0.0..=1.0)?.unwrap_or(1.0)),
        min_p: fields.number("min_p", 0.0..=1.0)?,
        typical_p: fields.number("typical_p", 0.0..=1.0)?.or(typ_p),
        repetition_penalty: fields.number("repetition_penalty", 0.01..=10.0)?.or(repeat_penalty),
        frequency_penalty: fields.number("frequency_penalty", -2.0..=2.0)?.unwrap_or(0.0),
        presence_penalty: fields.number("presence_penalty", -2.0..=2.0)?.unwrap_or(0.0),
        // -1 is llama.cpp's way to say all of the context.
        penalty_last_tokens: fields.integer("repeat_last_n", -1..=MAX_COUNT)?.map(chain::last_tokens),
        logit_bias: logit_bias(fields)?,
        dry: chain::dry(fields)?,
        xtc: chain::xtc(fields)?,
        mirostat: chain::mirostat(fields)?,
        dynamic_temperature: chain::dynamic_temperature(fields)?,
        // Below nothing it is off.
        top_n_sigma: fields.number("top_n_sigma", -1.0..=100.0)?.filter(|sigma| *sigma > 0.0),
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

#[cfg(test)]
mod tests;

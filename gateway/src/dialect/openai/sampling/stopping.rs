//! When a completion ends.

use impetus_proto::{Error, worker::Stopping};

use super::MAX_COUNT;
use crate::dialect::field::{Fields, kind, wrong_type};

const MAX_STOPS: usize = 16;
const MAX_STOP_BYTES: usize = 1024;
const MAX_STOP_TOKENS: usize = 256;

/// Takes the stopping parameters; without `default_max_tokens` it is as many as the context holds.
pub(in crate::dialect::openai) fn stopping(
    fields: &mut Fields<'_>,
    default_max_tokens: Option<u32>,
) -> Result<Stopping, Error> {
    let limits = [
        limit(fields, "max_tokens")?,
        // The newer name of the same thing, and llama.cpp's; where several are given, all are kept to.
        limit(fields, "max_completion_tokens")?,
        limit(fields, "n_predict")?,
    ];
    let least = limits.into_iter().flatten().min();
    Ok(Stopping {
        max_tokens: match least {
            Some(NO_LIMIT) => None,
            Some(limit) => Some(limit as u32),
            None => default_max_tokens,
        },
        stop: stop(fields)?,
        ignore_end: fields.flag("ignore_eos")?.unwrap_or(false),
        min_tokens: fields.integer("min_tokens", 0..=MAX_COUNT)?.unwrap_or(0) as u32,
        stop_tokens: stop_tokens(fields)?,
    })
}

/// Stands for -1 where the least of several is looked for.
const NO_LIMIT: i64 = i64::MAX;

/// Takes a number of tokens; -1 is as many as the context holds.
fn limit(fields: &mut Fields<'_>, name: &str) -> Result<Option<i64>, Error> {
    let limit = fields.integer(name, -1..=MAX_COUNT)?;
    Ok(limit.map(|limit| if limit < 0 { NO_LIMIT } else { limit }))
}

fn stop_tokens(fields: &mut Fields<'_>) -> Result<Vec<u32>, Error> {
    let name = "stop_token_ids";
    let ids = fields.take::<Vec<u32>>(name, "an array of token ids")?.unwrap_or_default();
    if ids.len() > MAX_STOP_TOKENS || ids.iter().any(|id| i64::from(*id) > MAX_COUNT) {
        let message = format!("{name} must have at most {MAX_STOP_TOKENS} token ids, each of the vocabulary");
        return Err(Error::invalid(name, message));
    }
    Ok(ids)
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

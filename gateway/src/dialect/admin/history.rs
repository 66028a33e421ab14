//! `GET /admin/history`: the last minutes and hours.

use axum::{Json, extract::State};
use impetus_proto::Error;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ask::Asked;
use crate::{
    clock,
    dialect::Refusal,
    overview::{Sample, Step},
    server::Gateway,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Span {
    since_s: Option<u64>,
    step_s: Option<u64>,
}

/// Samples, the oldest first. Where the gateway did not run there are none.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct History {
    step_s: u64,
    samples: Vec<Sample>,
}

/// The samples of so many seconds up to now.
pub(super) async fn read(
    State(gateway): State<Gateway>,
    Asked(Span { since_s, step_s }): Asked<Span>,
) -> Result<Json<History>, Refusal> {
    let since_s = since_s.unwrap_or(Step::Second.kept_s());
    let step = match step_s {
        None if since_s <= Step::Second.kept_s() => Step::Second,
        None => Step::Minute,
        Some(seconds) => {
            let wrong = || Error::invalid("step_s", "samples are 1 or 60 seconds apart");
            Step::ALL.into_iter().find(|step| step.seconds() == seconds).ok_or_else(wrong)?
        }
    };
    let samples = gateway.overview.samples(step, clock::unix_now().saturating_sub(since_s));
    let samples = samples.iter().map(|sample| Sample::clone(sample)).collect();
    Ok(Json(History { step_s: step.seconds(), samples }))
}

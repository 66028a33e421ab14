//! `GET /slots`: which of a worker's slots are busy.

use axum::{
    Extension, Json,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use impetus_proto::{Code, Error, worker::Stats};
use schemars::JsonSchema;
use serde::Serialize;

use super::props::Asked;
use crate::{
    dialect::openai::{error::Refusal, responses::query::Query},
    record::Record,
    server::Gateway,
    upstream::{self, Caller},
};

/// A place for a sequence. Which sequence is in which slot is not told: the busy ones come first.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(in crate::dialect::openai) struct Slot {
    id: u32,
    /// Tokens of context.
    n_ctx: u32,
    speculative: bool,
    is_processing: bool,
}

/// Lists the slots of a model's worker. A model that is not loaded has none, and is loaded only where the query says
/// `autoload=true`.
pub(super) async fn read(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let mut query = Query::read(query.as_deref())?;
    let mut asked = Asked::read(&mut query, false)?;
    let fails_when_busy = query.flag("fail_on_no_slot")?.unwrap_or(false);
    gateway.permit(&record.caller(), &mut asked.model).await?;
    let slots = match asked.status(&gateway).await? {
        Some(status) => {
            let caller = Caller { id: record.id().clone(), model: asked.model, keep_alive: None };
            slots(&upstream::stats(&gateway.upstream, caller).await?, status.context_tokens)
        }
        None => Vec::new(),
    };
    if fails_when_busy && slots.iter().all(|slot| slot.is_processing) {
        return Err(Error::new(Code::NoCapacity, "no slot is idle").into());
    }
    let mut response = Json(slots).into_response();
    query.rest().write(response.headers_mut());
    Ok(response)
}

fn slots(stats: &Stats, n_ctx: u32) -> Vec<Slot> {
    let slot = |id| Slot { id, n_ctx, speculative: false, is_processing: id < stats.slots_busy };
    (0..stats.slots_total).map(slot).collect()
}

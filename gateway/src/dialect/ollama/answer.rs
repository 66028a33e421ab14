//! From a request's body to its answer, streamed or whole; what chats and completions share.

use std::time::Duration;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderValue, Request, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use impetus_proto::{Error, worker::GenerateRequest};
use tokio::time::{Instant, timeout};

use super::{
    context,
    line::{Line, Piece, ToolCall, Totals, done_reason},
    load,
    logprob::Logprob,
    named::Named,
    params::{self, Endpoint, Params},
    stream::{Head, body},
};
use crate::{
    dialect::{
        Refusal,
        choices::{self, ChoiceEvents, Count},
        field::Fields,
        fold::{Completed, fold},
    },
    record::Record,
    server::{self, Gateway},
    upstream,
};

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) gateway: Gateway,
    pub(super) record: Record,
    pub(super) named: Named,
    pub(super) begun: Instant,
}

/// Answers a request to the endpoint `E`, in the form it asks for.
pub(super) async fn create<E: Endpoint>(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let begun = Instant::now();
    let body = server::read_body(request, gateway.limits).await?;
    let mut fields = Fields::of_body(&body)?;
    let name = fields.text("model")?.unwrap_or_default();
    let named = Named::find(&gateway, &record.caller(), &name).await?;
    let mut params = params::read::<E>(&mut fields, named.preset.as_ref())?;
    drop(fields);
    drop(body);
    let ignored = std::mem::take(&mut params.ignored);
    let asking = Asking { gateway, record, named, begun };
    let mut response = asking.answer::<E>(params).await.map_err(|error| asking.named.worded(error))?;
    ignored.write(response.headers_mut());
    Ok(response)
}

/// Reads a body and leaves it at that.
pub(in crate::dialect) fn check<E: Endpoint>(body: &[u8]) -> Result<(), Error> {
    let mut fields = Fields::of_body(body)?;
    fields.text("model")?;
    params::read::<E>(&mut fields, None).map(drop)
}

impl Asking {
    async fn answer<E: Endpoint>(&self, mut params: Params) -> Result<Response, Error> {
        if params.asked.input.is_none() {
            let reason = load::load(self, params.keep_alive).await?;
            let said = E::said(Piece::default());
            return Ok(Json(Line::end(&self.named.shown, said, reason, None)).into_response());
        }
        let loading = context::settle(self, &mut params).await?;
        let is_streamed = params.is_streamed;
        let events = self.events(params);
        if is_streamed {
            self.streamed::<E>(events, loading).await
        } else {
            self.whole::<E>(events, loading).await
        }
    }

    /// What workers say of the request.
    fn events(&self, params: Params) -> ChoiceEvents {
        let Params { asked, generate, keep_alive, .. } = params;
        let request = upstream::Request {
            asked: self.record.asked(),
            model: self.named.model.clone(),
            generate: GenerateRequest { input: asked.input, ..generate },
            keep_alive,
        };
        choices::generate(self.gateway.upstream.clone(), self.record.clone(), vec![request], 1)
    }

    /// An answer whose head is sent when there is something to say or after `Limits::keep_alive`: an error has a status
    /// only before the head.
    async fn streamed<E: Endpoint>(
        &self,
        mut events: ChoiceEvents,
        loading: Duration,
    ) -> Result<Response, Error> {
        let keep_alive = self.gateway.limits.keep_alive;
        // An elapsed timeout means that a model is being loaded, or that others are in turn.
        let first = timeout(keep_alive, events.next()).await.ok().flatten().transpose()?;
        let head = Head { model: self.named.shown.clone(), begun: self.begun, loading, keep_alive };
        let events = stream::iter(first.map(Ok)).chain(events);
        let mut response = Response::new(Body::from_stream(body::<E>(head, events)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        Ok(response)
    }

    async fn whole<E: Endpoint>(&self, events: ChoiceEvents, loading: Duration) -> Result<Response, Error> {
        let completed = fold(events, Count { n_prompts: 1, n_each: 1 }).await?;
        let totals = Totals::of(&completed.cost, self.begun.elapsed(), loading);
        let choice = the_choice(completed)?;
        let calls = (0..).zip(choice.calls).filter_map(|(place, call)| ToolCall::of(place, call)).collect();
        let piece = Piece { text: choice.text, thinking: choice.reasoning, calls };
        let line = Line::end(&self.named.shown, E::said(piece), done_reason(choice.reason), Some(totals));
        let logprobs = choice.logprobs.into_iter().map(Logprob::from).collect();
        Ok(Json(line.with_logprobs(logprobs)).into_response())
    }
}

fn the_choice(completed: Completed) -> Result<crate::dialect::fold::Choice, Error> {
    let choice = completed.choices.into_iter().next();
    choice.ok_or_else(|| Error::internal("the answer has no choice"))
}

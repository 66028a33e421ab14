//! From a request's body to its answer, streamed or whole; what chats and completions share.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::Request,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, TryStreamExt, stream};
use impetus_proto::{Error, worker::GenerateRequest};
use tokio::time::{Instant, timeout};

use super::{
    context,
    line::{Line, Piece, ToolCall, Totals, done_reason},
    load,
    logprob::Logprob,
    named::Named,
    params::{self, Endpoint, Params},
    stream::{Head, body, lines_of},
};
use crate::{
    dialect::{
        Refusal,
        choices::{self, ChoiceEvent, ChoiceEvents, Count},
        field::Fields,
        fold::{Completed, fold},
    },
    record::Record,
    server::{self, Gateway},
    upstream::{self, Event, Finished},
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
    let asking = Arc::new(Asking { gateway, record, named, begun });
    let mut response = asking.answer::<E>(params).await?;
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
    async fn answer<E: Endpoint>(self: &Arc<Self>, params: Params) -> Result<Response, Error> {
        if params.asked.input.is_none() {
            return load::answer::<E>(self, &params).await;
        }
        let is_streamed = params.is_streamed;
        let events = self.events(params);
        if is_streamed { self.streamed::<E>(events).await } else { self.whole::<E>(events).await }
    }

    /// What workers say of the request, once it is known that the model can do it; errors in the client's words.
    fn events(self: &Arc<Self>, mut params: Params) -> ChoiceEvents {
        let asking = self.clone();
        let begin = async move {
            let loading = context::settle(&asking, &mut params).await;
            let loading = loading.map_err(|error| asking.named.worded(error))?;
            let events = asking.generate(params);
            Ok::<_, Error>(events.map(move |said| match said {
                Ok(said) => Ok(ChoiceEvent { event: after(loading, said.event), ..said }),
                Err(error) => Err(asking.named.worded(error)),
            }))
        };
        Box::pin(stream::once(begin).try_flatten())
    }

    fn generate(&self, params: Params) -> ChoiceEvents {
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
    async fn streamed<E: Endpoint>(&self, mut events: ChoiceEvents) -> Result<Response, Error> {
        let keep_alive = self.gateway.limits.keep_alive;
        // An elapsed timeout means that a model is being loaded, or that others are in turn.
        let first = timeout(keep_alive, events.next()).await.ok().flatten().transpose()?;
        let head = Head { model: self.named.shown.clone(), begun: self.begun, keep_alive };
        let events = stream::iter(first.map(Ok)).chain(events);
        Ok(lines_of(Body::from_stream(body::<E>(head, events))))
    }

    async fn whole<E: Endpoint>(&self, events: ChoiceEvents) -> Result<Response, Error> {
        let completed = fold(events, Count { n_prompts: 1, n_each: 1 }).await?;
        let totals = Totals::of(&completed.cost, self.begun.elapsed());
        let choice = the_choice(completed)?;
        let calls = (0..).zip(choice.calls).filter_map(|(place, call)| ToolCall::of(place, call)).collect();
        let piece = Piece { text: choice.text, thinking: choice.reasoning, calls };
        let line = Line::end(&self.named.shown, E::said(piece), done_reason(choice.reason), Some(totals));
        let logprobs = choice.logprobs.into_iter().map(Logprob::from).collect();
        Ok(Json(line.with_logprobs(logprobs)).into_response())
    }
}

/// The event, which came after the request had waited `loading` for its model already.
fn after(loading: Duration, event: Event) -> Event {
    match event {
        Event::Finished(finished) => {
            Event::Finished(Finished { lease: finished.lease.saturating_add(loading), ..finished })
        }
        event => event,
    }
}

fn the_choice(completed: Completed) -> Result<crate::dialect::fold::Choice, Error> {
    let choice = completed.choices.into_iter().next();
    choice.ok_or_else(|| Error::internal("the answer has no choice"))
}

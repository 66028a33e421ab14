//! The fake's gRPC side.

use std::{collections::VecDeque, pin::Pin, sync::Arc, time::Duration};

use async_stream::stream;
use futures::Stream;
use impetus_proto::{Code, Error, REQUEST_ID, supervisor as s, worker as w};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::{
    ALIAS, Call, MODEL, State, Step, broken, call,
    embedding::{self, Embed},
    ended,
};

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
type Answer<T> = Result<Response<T>, Status>;

#[derive(Clone)]
pub(super) struct Service(pub(super) Arc<State>);

/// Counts itself, from its making until it is dropped.
struct Open(watch::Sender<u32>);

impl Open {
    fn new(count: &watch::Sender<u32>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Service {
    fn note_id<T>(&self, request: &Request<T>) -> String {
        let id = request.metadata().get(REQUEST_ID).map(|id| id.to_str().unwrap().to_owned());
        let id = id.unwrap_or_default();
        self.0.request_ids.lock().unwrap().push(id.clone());
        id
    }

    /// Does what the script says next, or answers.
    async fn perform<R>(&self, id: &str, next: Option<Call<R>>, mut reply: R) -> Answer<R> {
        let _open = Open::new(&self.0.streams);
        match next.unwrap_or(Call::Answer) {
            Call::Answer => {}
            Call::Lie(lie) => lie(&mut reply),
            Call::Fail(error) => return Err(error.into()),
            Call::Die => {
                self.0.end("", ended("killed by SIGKILL", false));
                return Err(broken());
            }
            Call::Crash => {
                let (name, _) = self.0.held_by(id);
                self.0.end(&name, ended("killed by SIGSEGV", true));
                return Err(broken());
            }
            Call::Stall => std::future::pending().await,
        }
        Ok(Response::new(reply))
    }
}

#[tonic::async_trait]
impl w::worker_server::Worker for Service {
    type GenerateStream = Streamed<w::GenerateEvent>;

    async fn generate(&self, request: Request<w::GenerateRequest>) -> Answer<Self::GenerateStream> {
        let id = self.note_id(&request);
        let state = self.0.clone();
        let (name, number) = state.held_by(&id);
        let mut life = state.worker(&name);
        if life.borrow().number != number {
            return Err(broken());
        }
        let request = request.into_inner();
        let script = state.scripts.lock().unwrap().pop_front();
        let steps = script.unwrap_or_else(|| {
            let answering = state.answering.lock().unwrap().clone();
            answering(&request)
        });
        state.requests.lock().unwrap().push(request);
        let open = Open::new(&state.streams);
        Ok(Response::new(Box::pin(stream! {
            let _open = open;
            for step in steps {
                let pause = match step {
                    Step::Send(event) => {
                        yield Ok(event);
                        Duration::ZERO
                    }
                    Step::Fail(error) => {
                        yield Err(error.into());
                        return;
                    }
                    Step::Die => {
                        state.end(&name, ended("killed by SIGKILL", false));
                        Duration::MAX
                    }
                    Step::Crash => {
                        state.end(&name, ended("killed by SIGSEGV", true));
                        Duration::MAX
                    }
                    Step::End => return,
                    Step::Wait(delay) => delay,
                    Step::Stall => Duration::MAX,
                    Step::Hang => std::future::pending().await,
                };
                let over = tokio::select! {
                    biased;
                    _ = life.changed() => true,
                    () = tokio::time::sleep(pause) => false,
                };
                if over {
                    yield Err(broken());
                    return;
                }
            }
        })))
    }

    async fn embed(&self, request: Request<w::EmbedRequest>) -> Answer<w::EmbedReply> {
        let id = self.note_id(&request);
        let request = request.into_inner();
        let reply = embedding::reply(&request);
        let script = |embeds: &mut VecDeque<Embed>| embeds.pop_front();
        let next = self.0.embeds.lock().unwrap().get_mut(&request.first_input).and_then(script);
        self.0.embed_requests.lock().unwrap().push(request);
        self.perform(&id, next, reply).await
    }

    async fn rerank(&self, request: Request<w::RerankRequest>) -> Answer<w::RerankReply> {
        let id = self.note_id(&request);
        let request = request.into_inner();
        let reply = call::ranked(&request);
        let next = self.0.reranks.lock().unwrap().pop_front();
        self.0.rerank_requests.lock().unwrap().push(request);
        self.perform(&id, next, reply).await
    }

    async fn tokenize(&self, request: Request<w::TokenizeRequest>) -> Answer<w::TokenizeReply> {
        let id = self.note_id(&request);
        let request = request.into_inner();
        let reply = call::tokenized(&request);
        let next = self.0.tokenizes.lock().unwrap().pop_front();
        self.0.tokenize_requests.lock().unwrap().push(request);
        self.perform(&id, next, reply).await
    }

    async fn detokenize(&self, request: Request<w::DetokenizeRequest>) -> Answer<w::DetokenizeReply> {
        let id = self.note_id(&request);
        self.perform(&id, None, call::detokenized(request.get_ref())).await
    }

    async fn describe(&self, request: Request<w::DescribeRequest>) -> Answer<w::Description> {
        let id = self.note_id(&request);
        self.perform(&id, None, call::description()).await
    }

    async fn stats(&self, request: Request<w::StatsRequest>) -> Answer<w::Stats> {
        let id = self.note_id(&request);
        self.perform(&id, None, call::stats()).await
    }

    async fn drain(&self, _: Request<w::DrainRequest>) -> Answer<w::DrainReply> {
        Err(Status::unimplemented("fake"))
    }
}

#[tonic::async_trait]
impl s::supervisor_server::Supervisor for Service {
    type AcquireStream = Streamed<s::AcquireEvent>;
    type WatchStream = Streamed<s::StatusReply>;
    type LogsStream = Streamed<s::LogLines>;

    async fn acquire(&self, request: Request<s::AcquireRequest>) -> Answer<Self::AcquireStream> {
        let id = self.note_id(&request);
        let request = request.into_inner();
        let state = self.0.clone();
        state.acquire_requests.lock().unwrap().push(request.clone());
        if *state.away.borrow() {
            return Err(Status::unavailable("nobody listens"));
        }
        if let Some(error) = state.refusals.lock().unwrap().pop_front() {
            return Err(error.into());
        }
        if ![MODEL, ALIAS, ""].contains(&request.model.as_str()) {
            return Err(Error::new(Code::ModelNotFound, "no such model").with_param("model").into());
        }
        let (delay, slots) = (*state.acquire_delay.lock().unwrap(), *state.slots.lock().unwrap());
        let name = if request.alone { id.clone() } else { String::new() };
        let (mut away, mut retired) = (state.away.subscribe(), state.retired.subscribe());
        let waits = request.alone && state.lonely.lock().unwrap().as_ref().is_some_and(|only| *only != id);
        let open = Open::new(&state.leases);
        let event = |event| Ok(s::AcquireEvent { event: Some(event) });
        Ok(Response::new(Box::pin(stream! {
            let _open = open;
            if request.worker_id.is_empty() {
                yield event(s::acquire_event::Event::Queued(s::Queued { reason: "test".into() }));
                tokio::time::sleep(if waits { Duration::MAX } else { delay }).await;
                yield event(s::acquire_event::Event::Loading(s::Loading { progress: 0.5 }));
            }
            let mut life = state.worker(&name);
            let number = life.borrow_and_update().number;
            let worker_id = format!("gguf-{name}{number}");
            if !request.worker_id.is_empty() && request.worker_id != worker_id {
                yield event(s::acquire_event::Event::Ended(ended("ended for an unknown reason", false)));
                return;
            }
            state.held.lock().unwrap().insert(id, (name, number));
            let endpoint = state.worker_uri.clone();
            yield event(s::acquire_event::Event::Ready(s::Ready { endpoint, model: MODEL.into(), worker_id, slots }));
            loop {
                tokio::select! {
                    _ = life.changed() => {
                        let former = life.borrow().former.clone();
                        yield event(s::acquire_event::Event::Ended(former));
                        return;
                    }
                    _ = retired.changed() => yield event(s::acquire_event::Event::Retired(s::Retired {})),
                    () = async { drop(away.wait_for(|away| *away).await) } => {
                        yield Err(broken());
                        return;
                    }
                }
            }
        })))
    }

    async fn status(&self, _: Request<s::StatusRequest>) -> Answer<s::StatusReply> {
        Ok(Response::new(self.0.status.lock().unwrap().clone()))
    }

    async fn watch(&self, _: Request<s::WatchRequest>) -> Answer<Self::WatchStream> {
        Err(Status::unimplemented("fake"))
    }

    async fn models(&self, _: Request<s::ModelsRequest>) -> Answer<s::ModelsReply> {
        Ok(Response::new(s::ModelsReply { models: self.0.models.lock().unwrap().clone() }))
    }

    async fn load(&self, _: Request<s::LoadRequest>) -> Answer<s::LoadReply> {
        Err(Status::unimplemented("fake"))
    }

    async fn swap(&self, _: Request<s::SwapRequest>) -> Answer<s::SwapReply> {
        Err(Status::unimplemented("not faked"))
    }

    async fn reload(&self, _: Request<s::ReloadRequest>) -> Answer<s::ReloadReply> {
        Err(Status::unimplemented("not faked"))
    }

    async fn unload(&self, _: Request<s::UnloadRequest>) -> Answer<s::UnloadReply> {
        Err(Status::unimplemented("fake"))
    }

    async fn restart(&self, _: Request<s::RestartRequest>) -> Answer<s::RestartReply> {
        Err(Status::unimplemented("fake"))
    }

    async fn logs(&self, _: Request<s::LogsRequest>) -> Answer<Self::LogsStream> {
        Err(Status::unimplemented("fake"))
    }

    async fn version(&self, _: Request<s::VersionRequest>) -> Answer<s::VersionReply> {
        Err(Status::unimplemented("fake"))
    }
}

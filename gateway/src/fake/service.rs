//! The fake's gRPC side.

use std::{collections::VecDeque, pin::Pin, sync::Arc};

use async_stream::stream;
use futures::Stream;
use impetus_proto::{Code, Error, REQUEST_ID, supervisor as s, worker as w};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::{
    ALIAS, MODEL, State, Step, broken, completion,
    embedding::{self, Embed},
};

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
type Answer<T> = Result<Response<T>, Status>;

#[derive(Debug, Clone)]
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
    fn note_id<T>(&self, request: &Request<T>) {
        let id = request.metadata().get(REQUEST_ID).map(|id| id.to_str().unwrap().to_owned());
        self.0.request_ids.lock().unwrap().push(id.unwrap_or_default());
    }
}

#[tonic::async_trait]
impl w::worker_server::Worker for Service {
    type GenerateStream = Streamed<w::GenerateEvent>;

    async fn generate(&self, request: Request<w::GenerateRequest>) -> Answer<Self::GenerateStream> {
        self.note_id(&request);
        let state = self.0.clone();
        state.requests.lock().unwrap().push(request.into_inner());
        let steps = state.scripts.lock().unwrap().pop_front().unwrap_or_else(|| completion("ok"));
        let open = Open::new(&state.streams);
        Ok(Response::new(Box::pin(stream! {
            let _open = open;
            for step in steps {
                match step {
                    Step::Send(event) => yield Ok(event),
                    Step::Fail(error) => {
                        yield Err(error.into());
                        return;
                    }
                    Step::Die => {
                        state.deaths.send_modify(|deaths| *deaths += 1);
                        yield Err(broken());
                        return;
                    }
                    Step::End => return,
                    Step::Wait(delay) => tokio::time::sleep(delay).await,
                    Step::Stall => std::future::pending().await,
                }
            }
        })))
    }

    async fn embed(&self, request: Request<w::EmbedRequest>) -> Answer<w::EmbedReply> {
        self.note_id(&request);
        let _open = Open::new(&self.0.streams);
        let request = request.into_inner();
        let mut reply = embedding::reply(&request);
        let script = |embeds: &mut VecDeque<Embed>| embeds.pop_front();
        let next = self.0.embeds.lock().unwrap().get_mut(&request.first_input).and_then(script);
        self.0.embed_requests.lock().unwrap().push(request);
        match next.unwrap_or(Embed::Answer) {
            Embed::Answer => {}
            Embed::Lie(lie) => lie(&mut reply),
            Embed::Fail(error) => return Err(error.into()),
            Embed::Die => {
                self.0.deaths.send_modify(|deaths| *deaths += 1);
                return Err(broken());
            }
            Embed::Stall => std::future::pending().await,
        }
        Ok(Response::new(reply))
    }

    async fn tokenize(&self, _: Request<w::TokenizeRequest>) -> Answer<w::TokenizeReply> {
        Err(Status::unimplemented("fake"))
    }

    async fn describe(&self, _: Request<w::DescribeRequest>) -> Answer<w::Description> {
        Err(Status::unimplemented("fake"))
    }

    async fn stats(&self, _: Request<w::StatsRequest>) -> Answer<w::Stats> {
        Err(Status::unimplemented("fake"))
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
        self.note_id(&request);
        let name = request.into_inner().model;
        let state = self.0.clone();
        if let Some(error) = state.refusals.lock().unwrap().pop_front() {
            return Err(error.into());
        }
        if ![MODEL, ALIAS, ""].contains(&name.as_str()) {
            return Err(Error::new(Code::ModelNotFound, "no such model").with_param("model").into());
        }
        let delay = *state.acquire_delay.lock().unwrap();
        let mut deaths = state.deaths.subscribe();
        let open = Open::new(&state.leases);
        let event = |event| Ok(s::AcquireEvent { event: Some(event) });
        Ok(Response::new(Box::pin(stream! {
            let _open = open;
            yield event(s::acquire_event::Event::Queued(s::Queued { reason: "test".into() }));
            tokio::time::sleep(delay).await;
            yield event(s::acquire_event::Event::Loading(s::Loading { progress: 0.5 }));
            let endpoint = state.worker_uri.clone();
            let ready = s::Ready { endpoint, model: MODEL.into(), worker_id: "gguf-1".into(), slots: 4 };
            yield event(s::acquire_event::Event::Ready(ready));
            deaths.changed().await.ok();
            yield Err(Error::new(Code::Unavailable, "the worker is gone").into());
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

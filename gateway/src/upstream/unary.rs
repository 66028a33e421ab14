//! A single question to a worker: what it would read, what tokens say, what it is and what it does. It takes none of the
//! model's slots, so it waits for no turn.

use std::{future::Future, sync::Arc};

use impetus_proto::{
    Error, MAX_MESSAGE_BYTES,
    worker::{
        DescribeRequest, Description, DetokenizeReply, DetokenizeRequest, Stats, StatsRequest, TokenizeReply,
        TokenizeRequest, worker_client::WorkerClient,
    },
};
use prost::Message;
use tonic::{Response, Status, transport::Channel};

use super::{
    Upstream,
    course::{Course, Errand},
    deadline,
    failure::Failure,
    lease::{Lease, with_id},
};
use crate::trace::RequestId;

/// Who asks, and of which model.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// Follows the request through every process.
    pub(crate) id: RequestId,
    /// What the client named; empty means the default model.
    pub(crate) model: String,
    /// Seconds that the model stays loaded after its last request, as the supervisor takes them; absent: as
    /// configured.
    pub(crate) keep_alive: Option<i64>,
}

/// A question that one message answers.
trait Question: Message + Clone + 'static {
    type Reply: Send;

    /// The call, as traces name it.
    const RPC: &'static str;

    /// The same question to the worker of `model`.
    fn to(&self, model: &str) -> Self;

    fn ask(
        client: WorkerClient<Channel>,
        question: tonic::Request<Self>,
    ) -> impl Future<Output = Result<Response<Self::Reply>, Status>> + Send;

    /// The model that the reply is of.
    fn model(reply: &Self::Reply) -> &str;
}

/// The tokens of a text, of a conversation or of a text with a hole.
pub(crate) async fn tokenize(
    upstream: &Arc<Upstream>,
    caller: Caller,
    request: TokenizeRequest,
) -> Result<TokenizeReply, Error> {
    answer(upstream, caller, request).await
}

/// The text of tokens.
pub(crate) async fn detokenize(
    upstream: &Arc<Upstream>,
    caller: Caller,
    request: DetokenizeRequest,
) -> Result<DetokenizeReply, Error> {
    answer(upstream, caller, request).await
}

/// What a worker says of itself and its model.
pub(crate) async fn describe(upstream: &Arc<Upstream>, caller: Caller) -> Result<Description, Error> {
    answer(upstream, caller, DescribeRequest {}).await
}

/// What a worker does now and has done.
pub(crate) async fn stats(upstream: &Arc<Upstream>, caller: Caller) -> Result<Stats, Error> {
    answer(upstream, caller, StatsRequest {}).await
}

impl Question for TokenizeRequest {
    type Reply = TokenizeReply;

    const RPC: &'static str = "impetus.worker.v1.Worker/Tokenize";

    fn to(&self, model: &str) -> Self {
        Self { model: model.to_owned(), ..self.clone() }
    }

    async fn ask(
        mut client: WorkerClient<Channel>,
        question: tonic::Request<Self>,
    ) -> Result<Response<TokenizeReply>, Status> {
        client.tokenize(question).await
    }

    fn model(reply: &TokenizeReply) -> &str {
        &reply.model
    }
}

impl Question for DetokenizeRequest {
    type Reply = DetokenizeReply;

    const RPC: &'static str = "impetus.worker.v1.Worker/Detokenize";

    fn to(&self, model: &str) -> Self {
        Self { model: model.to_owned(), ..self.clone() }
    }

    async fn ask(
        mut client: WorkerClient<Channel>,
        question: tonic::Request<Self>,
    ) -> Result<Response<DetokenizeReply>, Status> {
        client.detokenize(question).await
    }

    fn model(reply: &DetokenizeReply) -> &str {
        &reply.model
    }
}

impl Question for DescribeRequest {
    type Reply = Description;

    const RPC: &'static str = "impetus.worker.v1.Worker/Describe";

    fn to(&self, _model: &str) -> Self {
        Self {}
    }

    async fn ask(
        mut client: WorkerClient<Channel>,
        question: tonic::Request<Self>,
    ) -> Result<Response<Description>, Status> {
        client.describe(question).await
    }

    fn model(reply: &Description) -> &str {
        &reply.model
    }
}

impl Question for StatsRequest {
    type Reply = Stats;

    const RPC: &'static str = "impetus.worker.v1.Worker/Stats";

    fn to(&self, _model: &str) -> Self {
        Self {}
    }

    async fn ask(
        mut client: WorkerClient<Channel>,
        question: tonic::Request<Self>,
    ) -> Result<Response<Stats>, Status> {
        client.stats(question).await
    }

    fn model(reply: &Stats) -> &str {
        &reply.model
    }
}

/// The answer to `question`, from as many workers as it takes. Dropping it cancels.
async fn answer<Q: Question>(
    upstream: &Arc<Upstream>,
    caller: Caller,
    question: Q,
) -> Result<Q::Reply, Error> {
    let limit = upstream.limits.request_timeout;
    deadline::within(Box::pin(run(upstream, caller, question)), limit).await
}

async fn run<Q: Question>(upstream: &Arc<Upstream>, caller: Caller, question: Q) -> Result<Q::Reply, Error> {
    let errand = Errand {
        id: caller.id.clone(),
        model: caller.model,
        keep_alive: caller.keep_alive,
        is_part: false,
        needs_turn: false,
        fingerprint: upstream.poison.of_message(&question),
        rpc: Q::RPC,
    };
    let mut course = Course::begin(upstream, errand)?;
    loop {
        let mut lease = course.lease().await?;
        match ask(upstream, &mut course, &mut lease, &question, &caller.id).await {
            Ok(reply) => return Ok(reply),
            Err(failure) => course.lost(lease, failure, 0).await?,
        }
    }
}

async fn ask<Q: Question>(
    upstream: &Upstream,
    course: &mut Course,
    lease: &mut Lease,
    question: &Q,
    id: &str,
) -> Result<Q::Reply, Failure> {
    let channel = upstream.connections.get(&lease.endpoint, "the worker").await.map_err(Failure::Broken)?;
    course.dispatched(&lease.worker_id, 0);
    let client = WorkerClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let question = with_id(question.to(&lease.model), id);
    let reply = tokio::select! {
        biased;
        reply = Q::ask(client, question) => reply.map_err(|status| Failure::of(&status))?.into_inner(),
        () = lease.silence() => return Err(Failure::broken("it is gone")),
    };
    let (model, said) = (&lease.model, Q::model(&reply));
    if said != &**model {
        return Err(Failure::untrue(format!("the worker of {model:?} answered for {said:?}")));
    }
    course.went_on();
    Ok(reply)
}

#[cfg(test)]
mod tests;

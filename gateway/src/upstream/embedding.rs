//! The vectors of one request, across as many workers as it takes.
//!
//! A large request goes to its worker in parts, so that no message is larger than the processes take. What a lost
//! worker has answered is kept; its unanswered parts are asked of its successor.

use std::sync::Arc;

use futures::{StreamExt, stream::FuturesOrdered};
use impetus_proto::{
    Error, MAX_MESSAGE_BYTES,
    worker::{EmbedInput, EmbedReply, EmbedRequest, Embedding, embed_input, worker_client::WorkerClient},
};
use tonic::transport::Channel;

use super::{
    Upstream,
    course::{Course, Errand},
    deadline,
    failure::Failure,
    lease::{Lease, with_id},
};

/// Inputs of one part. Their vectors, of at most tens of thousands of numbers, fit a message.
const MAX_PART_INPUTS: usize = 256;

/// Bytes of the inputs of one part that has more than one.
const MAX_PART_BYTES: usize = 4 << 20;

/// Parts that the worker has at once: it tokenizes the next while it computes one.
const PARTS_AT_ONCE: usize = 2;

/// Inputs on their way to a worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct EmbeddingRequest {
    /// Follows the request through every process.
    pub(crate) id: Arc<str>,
    /// What the client named; empty means the default model.
    pub(crate) model: String,
    pub(crate) inputs: Vec<EmbedInput>,
    /// Numbers wanted of each vector; 0 means all.
    pub(crate) dimensions: u32,
    /// Cut what is too long instead of refusing it.
    pub(crate) truncate: bool,
    /// Seconds that the model stays loaded after its last request, as the supervisor takes them; absent: as
    /// configured.
    pub(crate) keep_alive: Option<i64>,
}

/// The vectors of all inputs, in their order.
#[derive(Debug)]
pub(crate) struct Embedded {
    /// The canonical name of the model that made them.
    pub(crate) model: Arc<str>,
    pub(crate) embeddings: Vec<Embedding>,
}

/// What is known of a request, whichever worker answers it.
struct Progress {
    request: EmbeddingRequest,
    parts: Vec<Part>,
    /// Parts whose vectors have been received.
    n_done: usize,
    embeddings: Vec<Embedding>,
}

/// Inputs that travel together.
#[derive(Debug, PartialEq)]
struct Part {
    /// Place of the first of them in the request.
    first: usize,
    inputs: Vec<EmbedInput>,
}

/// Embeds all inputs of `request`. Dropping it cancels.
pub(crate) async fn embed(upstream: &Arc<Upstream>, request: EmbeddingRequest) -> Result<Embedded, Error> {
    deadline::within(Box::pin(run(upstream, request)), upstream.limits.request_timeout).await
}

async fn run(upstream: &Arc<Upstream>, mut request: EmbeddingRequest) -> Result<Embedded, Error> {
    let inputs = std::mem::take(&mut request.inputs);
    let errand = Errand {
        id: request.id.clone(),
        model: request.model.clone(),
        keep_alive: request.keep_alive,
        is_part: false,
        needs_turn: true,
        fingerprint: upstream.poison.of_inputs(&inputs),
    };
    let mut course = Course::begin(upstream, errand)?;
    let mut progress = Progress { request, parts: split(inputs), n_done: 0, embeddings: Vec::new() };
    loop {
        let mut lease = course.lease().await?;
        match progress.go_on(upstream, &mut course, &mut lease).await {
            Ok(()) => return Ok(Embedded { model: lease.model.clone(), embeddings: progress.embeddings }),
            Err(failure) => course.lost(lease, failure, progress.n_done).await?,
        }
    }
}

impl Embedded {
    /// Tokens of all inputs, as many as were embedded.
    pub(crate) fn tokens(&self) -> u64 {
        self.embeddings.iter().map(|embedding| u64::from(embedding.tokens)).sum()
    }
}

impl Progress {
    /// Asks the leased worker for every part that is not done.
    async fn go_on(
        &mut self,
        upstream: &Upstream,
        course: &mut Course,
        lease: &mut Lease,
    ) -> Result<(), Failure> {
        let channel =
            upstream.connections.get(&lease.endpoint, "the worker").await.map_err(Failure::Broken)?;
        course.dispatched(self.n_done);
        let client = WorkerClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let mut asked = FuturesOrdered::new();
        let mut next = self.n_done;
        loop {
            while asked.len() < PARTS_AT_ONCE
                && let Some(part) = self.parts.get(next)
            {
                asked.push_back(ask(client.clone(), self.message(part, lease)));
                next += 1;
            }
            let reply = tokio::select! {
                biased;
                reply = asked.next() => reply,
                () = lease.silence() => return Err(Failure::broken("it is gone")),
            };
            match reply {
                Some(reply) => self.take(reply?, &lease.model)?,
                None => return Ok(()),
            }
            course.went_on();
        }
    }

    fn message(&self, part: &Part, lease: &Lease) -> tonic::Request<EmbedRequest> {
        let message = EmbedRequest {
            model: lease.model.to_string(),
            inputs: part.inputs.clone(),
            dimensions: self.request.dimensions,
            truncate: self.request.truncate,
            first_input: part.first as u32,
        };
        with_id(message, &self.request.id)
    }

    /// Checks that the reply is that of the next part, and takes in its vectors.
    fn take(&mut self, reply: EmbedReply, model: &Arc<str>) -> Result<(), Failure> {
        let untrue = |message| Err(Failure::untrue(message));
        let n_vectors = reply.embeddings.len();
        if reply.model != **model {
            return untrue(format!("the worker of {model:?} answered for {:?}", reply.model));
        }
        let n_inputs = self.parts[self.n_done].inputs.len();
        if n_vectors != n_inputs {
            return untrue(format!("the worker of {model:?} made {n_vectors} vectors of {n_inputs} inputs"));
        }
        let known = self.embeddings.first().or(reply.embeddings.first());
        let width = match self.request.dimensions {
            0 => known.map_or(0, |embedding| embedding.values.len()),
            asked => asked as usize,
        };
        let is_other =
            |embedding: &&Embedding| embedding.values.is_empty() || embedding.values.len() != width;
        if let Some(other) = reply.embeddings.iter().find(is_other) {
            let n_values = other.values.len();
            return untrue(format!(
                "the worker of {model:?} made a vector of {n_values} numbers, not {width}"
            ));
        }
        self.embeddings.extend(reply.embeddings);
        self.n_done += 1;
        Ok(())
    }
}

async fn ask(
    mut client: WorkerClient<Channel>,
    request: tonic::Request<EmbedRequest>,
) -> Result<EmbedReply, Failure> {
    client.embed(request).await.map(tonic::Response::into_inner).map_err(|status| Failure::of(&status))
}

/// Cuts the inputs into parts of bounded size, each of at least one input.
fn split(inputs: Vec<EmbedInput>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut n_bytes = 0;
    for (idx, input) in inputs.into_iter().enumerate() {
        let input_bytes = size_bytes(&input);
        n_bytes += input_bytes;
        match parts.last_mut() {
            Some(part) if part.inputs.len() < MAX_PART_INPUTS && n_bytes <= MAX_PART_BYTES => {
                part.inputs.push(input);
            }
            _ => {
                parts.push(Part { first: idx, inputs: vec![input] });
                n_bytes = input_bytes;
            }
        }
    }
    parts
}

/// What an input takes in a message, at most and but for a few bytes.
fn size_bytes(input: &EmbedInput) -> usize {
    match &input.input {
        Some(embed_input::Input::Text(text)) => text.len(),
        Some(embed_input::Input::Tokens(tokens)) => tokens.ids.len() * 5,
        None => 0,
    }
}

#[cfg(test)]
mod tests;

//! The vectors of one request.

use std::sync::Arc;

use impetus_proto::{
    Error,
    worker::{EmbedInput, EmbedReply, EmbedRequest, Embedding, embed_input, worker_client::WorkerClient},
};
use tonic::{Response, Status, transport::Channel};

use super::{
    Upstream,
    course::Errand,
    parts::{self, Job},
};
use crate::trace::RequestId;

const RPC: &str = "impetus.worker.v1.Worker/Embed";

/// Inputs on their way to a worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct EmbeddingRequest {
    /// Follows the request through every process.
    pub(crate) id: RequestId,
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

/// What holds for all inputs.
struct Embed {
    dimensions: u32,
    truncate: bool,
}

impl Embedded {
    /// Tokens of all inputs, as many as were embedded.
    pub(crate) fn tokens(&self) -> u64 {
        self.embeddings.iter().map(|embedding| u64::from(embedding.tokens)).sum()
    }
}

impl Job for Embed {
    type Item = EmbedInput;
    type Message = EmbedRequest;
    type Reply = EmbedReply;
    type Output = Embedding;

    fn size_bytes(input: &EmbedInput) -> usize {
        match &input.input {
            Some(embed_input::Input::Text(text)) => text.len(),
            Some(embed_input::Input::Tokens(tokens)) => tokens.ids.len() * 5,
            None => 0,
        }
    }

    fn message(&self, model: &str, inputs: &[EmbedInput], first_input: u32) -> EmbedRequest {
        EmbedRequest {
            model: model.to_owned(),
            inputs: inputs.to_vec(),
            dimensions: self.dimensions,
            truncate: self.truncate,
            first_input,
        }
    }

    async fn ask(
        mut client: WorkerClient<Channel>,
        message: tonic::Request<EmbedRequest>,
    ) -> Result<Response<EmbedReply>, Status> {
        client.embed(message).await
    }

    fn open(reply: EmbedReply) -> (String, Vec<Embedding>) {
        (reply.model, reply.embeddings)
    }

    fn doubt(&self, model: &str, embeddings: &[Embedding], before: &[Embedding]) -> Option<String> {
        let known = before.first().or(embeddings.first());
        let width = match self.dimensions {
            0 => known.map_or(0, |embedding| embedding.values.len()),
            asked => asked as usize,
        };
        let is_other =
            |embedding: &&Embedding| embedding.values.is_empty() || embedding.values.len() != width;
        embeddings.iter().find(is_other).map(|other| {
            let n_values = other.values.len();
            format!("the worker of {model:?} made a vector of {n_values} numbers, not {width}")
        })
    }
}

/// Embeds all inputs of `request`. Dropping it cancels.
pub(crate) async fn embed(upstream: &Arc<Upstream>, request: EmbeddingRequest) -> Result<Embedded, Error> {
    let EmbeddingRequest { id, model, inputs, dimensions, truncate, keep_alive } = request;
    let fingerprint = upstream.poison.of_inputs(&inputs);
    let errand = Errand { id, model, keep_alive, is_part: false, needs_turn: true, fingerprint, rpc: RPC };
    let job = Embed { dimensions, truncate };
    let (model, embeddings) = parts::work(upstream, errand, job, inputs).await?;
    Ok(Embedded { model, embeddings })
}

#[cfg(test)]
mod tests;

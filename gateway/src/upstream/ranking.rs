//! The scores of one request's documents.

use std::sync::Arc;

use impetus_proto::{
    Error,
    worker::{RerankReply, RerankRequest, Score, worker_client::WorkerClient},
};
use tonic::{Response, Status, transport::Channel};

use super::{
    Upstream,
    course::Errand,
    parts::{self, Job},
};
use crate::trace::RequestId;

const RPC: &str = "impetus.worker.v1.Worker/Rerank";

/// Documents on their way to a worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct RankingRequest {
    /// Follows the request through every process.
    pub(crate) id: RequestId,
    /// What the client named; empty means the default model.
    pub(crate) model: String,
    pub(crate) query: String,
    pub(crate) documents: Vec<String>,
    /// Cut documents that are too long instead of refusing them.
    pub(crate) truncate: bool,
    /// Logits instead of shares.
    pub(crate) raw: bool,
    /// Seconds that the model stays loaded after its last request, as the supervisor takes them; absent: as
    /// configured.
    pub(crate) keep_alive: Option<i64>,
}

/// The scores of all documents, in their order.
#[derive(Debug)]
pub(crate) struct Ranked {
    /// The canonical name of the model that made them.
    pub(crate) model: Arc<str>,
    pub(crate) scores: Vec<Score>,
}

/// What holds for all documents.
struct Rank {
    query: String,
    truncate: bool,
    raw: bool,
}

impl Ranked {
    /// Tokens of all documents with the query, as many as were computed.
    pub(crate) fn tokens(&self) -> u64 {
        self.scores.iter().map(|score| u64::from(score.tokens)).sum()
    }
}

impl Job for Rank {
    type Item = String;
    type Message = RerankRequest;
    type Reply = RerankReply;
    type Output = Score;

    fn size_bytes(document: &String) -> usize {
        document.len()
    }

    fn message(&self, model: &str, documents: &[String], first_document: u32) -> RerankRequest {
        RerankRequest {
            model: model.to_owned(),
            query: self.query.clone(),
            documents: documents.to_vec(),
            truncate: self.truncate,
            first_document,
            raw: self.raw,
        }
    }

    async fn ask(
        mut client: WorkerClient<Channel>,
        message: tonic::Request<RerankRequest>,
    ) -> Result<Response<RerankReply>, Status> {
        client.rerank(message).await
    }

    fn open(reply: RerankReply) -> (String, Vec<Score>) {
        (reply.model, reply.scores)
    }

    fn doubt(&self, model: &str, scores: &[Score], _before: &[Score]) -> Option<String> {
        let is_none = |score: &&Score| !score.value.is_finite();
        let none = scores.iter().find(is_none)?;
        Some(format!("the worker of {model:?} gave the score {}", none.value))
    }
}

/// Ranks all documents of `request`. Dropping it cancels.
pub(crate) async fn rerank(upstream: &Arc<Upstream>, request: RankingRequest) -> Result<Ranked, Error> {
    let RankingRequest { id, model, query, documents, truncate, raw, keep_alive } = request;
    let fingerprint = upstream.poison.of_documents(&query, &documents);
    let errand = Errand { id, model, keep_alive, is_part: false, needs_turn: true, fingerprint, rpc: RPC };
    let (model, scores) = parts::work(upstream, errand, Rank { query, truncate, raw }, documents).await?;
    Ok(Ranked { model, scores })
}

#[cfg(test)]
mod tests;

//! `Rerank`: each document is joined with the query, tokenized off the async threads, queued, and its score answered.

use impetus_proto::{
    Code, Error,
    worker::{RerankReply, RerankRequest, Score},
};

use super::{
    Service, TOKENIZE_DEADLINE, blocking,
    embed::{Tokens, cut, enqueue, too_long},
};
use crate::{
    engine::{EmbeddingLimits, TokenId, Vocabulary},
    run::engine_thread::Work,
};

/// Documents of one request.
const MAX_DOCUMENTS: usize = 2048;

/// What a request may not exceed, and what happens where it does.
#[derive(Debug, Clone, Copy)]
struct Rules {
    limits: EmbeddingLimits,
    truncate: bool,
    /// Place of the first document in the caller's own list.
    first: usize,
}

impl Service {
    pub(super) async fn rerank(&self, request: RerankRequest) -> Result<RerankReply, Error> {
        let _in_progress = self.enter(&request.model)?;
        let Work::Rerank { limits, inputs } = &self.shared.work else {
            return Err(self.wrong_task("is no cross-encoder: it ranks nothing"));
        };
        let RerankRequest { model, query, documents, truncate, first_document, raw } = request;
        let rules = Rules { limits: *limits, truncate, first: first_document as usize };
        let tokenized = self.pairs(query, documents, rules).await?;
        let waiting = tokenized.into_iter().map(|tokens| enqueue(inputs, tokens));
        let waiting = waiting.collect::<Result<Vec<_>, _>>()?;
        let mut scores = Vec::with_capacity(waiting.len());
        for (idx, waiting) in waiting.into_iter().enumerate() {
            let (tokens, truncated) = (waiting.n_tokens, waiting.truncated);
            let logits = waiting.answer().await.map_err(|error| rules.about(idx, error))?;
            let logit = logits.first().copied().unwrap_or_default();
            scores.push(Score { value: if raw { logit } else { sigmoid(logit) }, tokens, truncated });
        }
        Ok(RerankReply { model, scores })
    }

    async fn pairs(&self, query: String, documents: Vec<String>, rules: Rules) -> Result<Vec<Tokens>, Error> {
        if query.is_empty() {
            return Err(Error::invalid("query", "the query is empty: there is nothing to rank by"));
        }
        if !(1..=MAX_DOCUMENTS).contains(&documents.len()) {
            let n = documents.len();
            let message = format!("{n} documents were given; 1 to {MAX_DOCUMENTS} are possible");
            return Err(Error::invalid("documents", message));
        }
        let vocabulary = std::sync::Arc::clone(&self.shared.vocabulary);
        let work = blocking(move || {
            let frame = rules.frame(&query, &*vocabulary)?;
            let pairs = documents.iter().enumerate();
            pairs.map(|(idx, document)| rules.pair(&query, document, idx, &frame, &*vocabulary)).collect()
        });
        match tokio::time::timeout(TOKENIZE_DEADLINE, work).await {
            Ok(tokens) => tokens?,
            Err(_) => {
                Err(Error::invalid("documents", "the texts take too long to tokenize: make them shorter"))
            }
        }
    }
}

impl Rules {
    /// What the caller calls document `idx`.
    fn name(self, idx: usize) -> String {
        format!("documents[{}]", self.first.saturating_add(idx))
    }

    /// The engine's refusal of document `idx`, by name; other errors are about the worker.
    fn about(self, idx: usize, error: Error) -> Error {
        if error.param.is_empty() { error } else { error.with_param(self.name(idx)) }
    }

    /// The query's tokens with what stands around it and an empty document.
    fn frame(self, query: &str, vocabulary: &dyn Vocabulary) -> Result<Vec<TokenId>, Error> {
        let frame = vocabulary.encode_pair(query, "");
        let (frame, _) = frame.map_err(|error| Error::invalid("query", error.to_string()))?;
        let limit = self.limits.context_tokens as usize;
        if frame.len() < limit {
            return Ok(frame);
        }
        let message = format!(
            "This model's maximum context length is {limit} tokens. However, query has {} tokens, which leaves no room \
             for a document. Please shorten it.",
            frame.len()
        );
        Err(Error::new(Code::ContextLengthExceeded, message).with_param("query"))
    }

    /// The tokens of the query with document `idx`. It is the document that is cut.
    fn pair(
        self,
        query: &str,
        document: &str,
        idx: usize,
        frame: &[TokenId],
        vocabulary: &dyn Vocabulary,
    ) -> Result<Tokens, Error> {
        let param = self.name(idx);
        let limit = self.limits.context_tokens as usize;
        let tokens = vocabulary.encode_pair(query, document);
        let (ids, first_tokens) = tokens.map_err(|error| Error::invalid(&param, error.to_string()))?;
        match ids.len() {
            n if n <= limit => Ok(Tokens { ids, first_tokens, truncated: false }),
            n if !self.truncate => Err(too_long(&param, limit, n)),
            _ => {
                let ids = cut(ids, limit, frame);
                Ok(Tokens { first_tokens: first_tokens.min(ids.len()), ids, truncated: true })
            }
        }
    }
}

/// The logistic function.
fn sigmoid(logit: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32
}

#[cfg(test)]
mod tests;

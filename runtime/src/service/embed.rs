//! `Embed`: inputs checked, tokenized off the async threads, queued, and answered in their order.

use std::sync::mpsc::{SyncSender, TrySendError};

use impetus_proto::{
    Code, Error,
    worker::{EmbedInput, EmbedReply, EmbedRequest, Embedding, embed_input},
};
use tokio::sync::oneshot;

use super::{Service, TOKENIZE_DEADLINE, blocking};
use crate::{
    embedding::Input,
    engine::{EmbeddingLimits, TokenId, Vocabulary, embedding::normalise},
    run::engine_thread::Work,
};

/// Inputs of one request, as OpenAI's API limits them.
const MAX_INPUTS: usize = 2048;

/// What a request may not exceed, and what happens where it does.
#[derive(Debug, Clone, Copy)]
struct Rules {
    limits: EmbeddingLimits,
    truncate: bool,
    /// Place of the first input in the caller's own list.
    first: usize,
}

/// An input's tokens, as many as are computed.
pub(super) struct Tokens {
    pub(super) ids: Vec<TokenId>,
    /// How many of them are of the first segment.
    pub(super) first_tokens: usize,
    pub(super) truncated: bool,
}

/// An input in the engine's queue.
pub(super) struct Waiting {
    pub(super) n_tokens: u32,
    pub(super) truncated: bool,
    answer: oneshot::Receiver<Result<Vec<f32>, Error>>,
}

impl Service {
    pub(super) async fn embed(&self, request: EmbedRequest) -> Result<EmbedReply, Error> {
        let _in_progress = self.enter(&request.model)?;
        let Work::Embed { limits, inputs } = &self.shared.work else {
            let what = match self.shared.work {
                Work::Rerank { .. } => "ranks documents: it is not an embedding model",
                _ => "generates texts: it is not an embedding model",
            };
            return Err(self.wrong_task(what));
        };
        let dimensions = dimensions(request.dimensions, limits.dimensions)?;
        let rules =
            Rules { limits: *limits, truncate: request.truncate, first: request.first_input as usize };
        let tokenized = self.inputs(request.inputs, rules).await?;

        let waiting = tokenized.into_iter().map(|tokens| enqueue(inputs, tokens));
        let waiting = waiting.collect::<Result<Vec<_>, _>>()?;
        let mut embeddings = Vec::with_capacity(waiting.len());
        for (idx, waiting) in waiting.into_iter().enumerate() {
            let (tokens, truncated) = (waiting.n_tokens, waiting.truncated);
            let mut values = waiting.answer().await.map_err(|error| rules.about(idx, error))?;
            if (dimensions as usize) < values.len() {
                values.truncate(dimensions as usize);
                normalise(&mut values);
            }
            embeddings.push(Embedding { values, tokens, truncated });
        }
        Ok(EmbedReply { model: request.model, embeddings })
    }

    async fn inputs(&self, inputs: Vec<EmbedInput>, rules: Rules) -> Result<Vec<Tokens>, Error> {
        if !(1..=MAX_INPUTS).contains(&inputs.len()) {
            let message = format!("{} inputs were given; 1 to {MAX_INPUTS} are possible", inputs.len());
            return Err(Error::invalid("input", message));
        }
        let vocabulary = std::sync::Arc::clone(&self.shared.vocabulary);
        let work = blocking(move || {
            let frame = vocabulary.encode_input("").unwrap_or_default();
            inputs
                .into_iter()
                .zip(0..)
                .map(|(input, idx)| rules.tokens(input, idx, &frame, &*vocabulary))
                .collect()
        });
        match tokio::time::timeout(TOKENIZE_DEADLINE, work).await {
            Ok(tokens) => tokens?,
            Err(_) => Err(Error::invalid("input", "the inputs take too long to tokenize: make them shorter")),
        }
    }
}

impl Waiting {
    /// What the engine made of it.
    pub(super) async fn answer(self) -> Result<Vec<f32>, Error> {
        self.answer.await.map_err(|_| Error::new(Code::WorkerCrashed, "the engine failed"))?
    }
}

impl Rules {
    /// What the caller calls input `idx`.
    fn name(self, idx: usize) -> String {
        format!("input[{}]", self.first.saturating_add(idx))
    }

    /// The engine's refusal of input `idx`, by name; other errors are about the worker.
    fn about(self, idx: usize, error: Error) -> Error {
        if error.param.is_empty() { error } else { error.with_param(self.name(idx)) }
    }

    /// The tokens of input `idx`; `frame` is what the vocabulary puts around every text.
    fn tokens(
        self,
        input: EmbedInput,
        idx: usize,
        frame: &[TokenId],
        vocabulary: &dyn Vocabulary,
    ) -> Result<Tokens, Error> {
        let param = self.name(idx);
        let limit = self.limits.context_tokens as usize;
        let (ids, frame) = match input.input {
            // Its bytes are no measure: these tokenizers drop characters, and make one unknown token of a long word.
            Some(embed_input::Input::Text(text)) => {
                let tokens = vocabulary.encode_input(&text);
                (tokens.map_err(|error| Error::invalid(&param, error.to_string()))?, frame)
            }
            Some(embed_input::Input::Tokens(tokens)) => {
                if let Some(id) = tokens.ids.iter().find(|&&id| id >= self.limits.vocabulary) {
                    let size = self.limits.vocabulary;
                    let message = format!("token id {id} is not in the vocabulary: ids are below {size}");
                    return Err(Error::invalid(&param, message));
                }
                (tokens.ids.into_iter().map(TokenId).collect(), &[][..])
            }
            None => return Err(Error::invalid(&param, "it is neither a text nor tokens")),
        };
        match ids.len() {
            0 => Err(Error::invalid(&param, "it is empty: there is nothing to embed")),
            n if n <= limit => Ok(Tokens { ids, first_tokens: n, truncated: false }),
            n if !self.truncate => Err(too_long(&param, limit, n)),
            _ => Ok(Tokens { ids: cut(ids, limit, frame), first_tokens: limit, truncated: true }),
        }
    }
}

/// Puts an input into the engine's queue.
pub(super) fn enqueue(inputs: &SyncSender<Input>, tokens: Tokens) -> Result<Waiting, Error> {
    let Tokens { ids, first_tokens, truncated } = tokens;
    let (reply, answer) = oneshot::channel();
    let waiting = Waiting { n_tokens: ids.len() as u32, truncated, answer };
    inputs.try_send(Input { tokens: ids, first_tokens, reply }).map_err(|error| match error {
        TrySendError::Full(_) => {
            Error::new(Code::NoCapacity, "too many inputs wait for this model: try again soon")
                .with_retry_after(1)
        }
        TrySendError::Disconnected(_) => Error::new(Code::Unavailable, "the engine has stopped"),
    })?;
    Ok(waiting)
}

/// The first tokens of `ids` up to `limit` of them, with the same end as before: `frame` is what stands around every
/// text, and what of it is not at the beginning is at the end.
pub(super) fn cut(mut ids: Vec<TokenId>, limit: usize, frame: &[TokenId]) -> Vec<TokenId> {
    let at_start = ids.iter().zip(frame).take_while(|(id, edge)| id == edge).count();
    let end = &frame[at_start..];
    let end = if ids.ends_with(end) && end.len() < limit { end } else { &[] };
    ids.truncate(limit - end.len());
    ids.extend_from_slice(end);
    ids
}

/// Numbers of a vector that are wanted.
fn dimensions(asked: u32, full: u32) -> Result<u32, Error> {
    match asked {
        0 => Ok(full),
        asked if asked <= full => Ok(asked),
        asked => {
            let message = format!("{asked} dimensions are asked for, but the model's vectors have {full}");
            Err(Error::invalid("dimensions", message))
        }
    }
}

/// The words are those that OpenAI's clients look for.
pub(super) fn too_long(param: &str, limit: usize, n_tokens: usize) -> Error {
    let message = format!(
        "This model's maximum context length is {limit} tokens. However, {param} has {n_tokens} tokens. \
         Please shorten it, or set gateway.truncate_inputs to have it cut."
    );
    Error::new(Code::ContextLengthExceeded, message).with_param(param)
}

#[cfg(test)]
mod tests;

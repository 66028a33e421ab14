//! Embedding and ranking: the inputs of all requests in one queue, taken in their order and batched by tokens.
//!
//! The way of batching is that of text-embeddings-inference: as many waiting inputs as the step's tokens allow, and
//! never a wait for more.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::{Arc, mpsc::Receiver},
    time::Instant,
};

use impetus_proto::{Code, Error};
use tokio::sync::oneshot;
use tracing::{error, warn};

use crate::{
    engine::{EmbeddingEngine, EmbeddingLimits, Pair, RankingEngine, StepError, TokenId, Vectors},
    scheduler::Counters,
};

/// Inputs that may wait at once; the channel to this thread holds some more.
const MAX_WAITING: usize = 4096;

/// One text to embed, or a pair of texts to rank, and where its numbers go. Whoever drops the other end cancels it.
#[derive(Debug)]
pub struct Input {
    /// Its tokens, at least one and no more than the model takes.
    pub tokens: Vec<TokenId>,
    /// How many of them are of the first segment: all, but for a pair.
    pub first_tokens: usize,
    /// Gets the vector, or why there is none.
    pub reply: oneshot::Sender<Result<Vec<f32>, Error>>,
}

/// The queue before an engine.
struct Queue {
    limits: EmbeddingLimits,
    waiting: VecDeque<Input>,
    counters: Arc<Counters>,
}

/// What computes inputs.
enum Engine<'a> {
    Embedding(&'a mut dyn EmbeddingEngine),
    Ranking(&'a mut dyn RankingEngine),
}

/// Embeds what `inputs` brings until the service is gone or the engine fails.
pub fn drive(engine: &mut dyn EmbeddingEngine, inputs: &Receiver<Input>, counters: Arc<Counters>) {
    let limits = engine.limits();
    run(&mut Engine::Embedding(engine), limits, inputs, counters);
}

/// Ranks what `inputs` brings until the service is gone or the engine fails.
pub fn drive_ranking(engine: &mut dyn RankingEngine, inputs: &Receiver<Input>, counters: Arc<Counters>) {
    let limits = engine.limits();
    run(&mut Engine::Ranking(engine), limits, inputs, counters);
}

impl Engine<'_> {
    /// Pushes the numbers of each of `batch` to `vectors`.
    fn compute(&mut self, batch: &[Input], vectors: &mut Vectors) -> Result<(), StepError> {
        match self {
            Self::Embedding(engine) => {
                let inputs: Vec<&[TokenId]> = batch.iter().map(|input| input.tokens.as_slice()).collect();
                engine.embed(&inputs, vectors)
            }
            Self::Ranking(engine) => {
                let pair = |input| {
                    let Input { tokens, first_tokens, .. }: &Input = input;
                    Pair { tokens, first_tokens: *first_tokens }
                };
                engine.rank(&batch.iter().map(pair).collect::<Vec<_>>(), vectors)
            }
        }
    }
}

fn run(engine: &mut Engine<'_>, limits: EmbeddingLimits, inputs: &Receiver<Input>, counters: Arc<Counters>) {
    counters.slots_total(limits.inputs_per_step);
    let mut queue = Queue { limits, waiting: VecDeque::new(), counters };
    let mut vectors = Vectors::new(limits.dimensions);
    loop {
        while queue.waiting.len() < MAX_WAITING
            && let Ok(input) = inputs.try_recv()
        {
            queue.waiting.push_back(input);
        }
        if queue.waiting.is_empty() {
            queue.counters.load(0, 0, 0);
            match inputs.recv() {
                Ok(input) => queue.waiting.push_back(input),
                Err(_) => return,
            }
            continue;
        }
        let batch = queue.take();
        if let Err(reason) = queue.step(engine, batch, &mut vectors) {
            return error!(reason, "the worker ends");
        }
    }
}

impl Queue {
    /// The next inputs that fit one step, in the order in which they came; those that nobody waits for are dropped.
    fn take(&mut self) -> Vec<Input> {
        let n_before = self.waiting.len();
        self.waiting.retain(|input| !input.reply.is_closed());
        self.counters.cancelled((n_before - self.waiting.len()) as u64);
        let (mut batch, mut longest, mut n_tokens) = (Vec::new(), 0, 0);
        while let Some(input) = self.waiting.front() {
            longest = longest.max(input.tokens.len());
            n_tokens += input.tokens.len();
            let cost = self.limits.cost(batch.len() + 1, longest, n_tokens);
            let is_full = batch.len() >= self.limits.inputs_per_step as usize
                || cost > self.limits.tokens_per_step as usize;
            // The first is taken in any case, so that every input gets its turn.
            if is_full && !batch.is_empty() {
                break;
            }
            batch.extend(self.waiting.pop_front());
        }
        batch
    }

    /// Embeds one batch. What the engine rejects is tried input by input, so that only the culprit fails.
    fn step(
        &mut self,
        engine: &mut Engine<'_>,
        batch: Vec<Input>,
        vectors: &mut Vectors,
    ) -> Result<(), String> {
        if batch.is_empty() {
            return Ok(());
        }
        self.counters.load(batch.len(), self.waiting.len(), 0);
        vectors.clear();
        let n_tokens = batch.iter().map(|input| input.tokens.len()).sum();
        self.counters.begun(n_tokens);
        let started = Instant::now();
        let result = engine.compute(&batch, vectors);
        self.counters.ticked(started.elapsed());
        match result {
            Ok(()) => {
                assert_eq!(vectors.len(), batch.len(), "the engine gave another number of vectors");
                self.counters.stepped();
                self.counters.prefilled(n_tokens as u64);
                for (input, vector) in batch.into_iter().zip(vectors.iter()) {
                    self.counters.finished();
                    answer(input, finite(vector));
                }
            }
            Err(StepError::Fatal { reason }) => return Err(reason),
            Err(error) if batch.len() == 1 => {
                warn!(%error, "an input was rejected");
                for input in batch {
                    let message = format!("the engine cannot compute this input: {error}");
                    answer(input, Err(Error::invalid("input", message)));
                }
            }
            Err(_) => {
                for input in batch {
                    self.step(engine, vec![input], vectors)?;
                }
            }
        }
        Ok(())
    }
}

/// A vector without infinities and NaN, which no API can say.
fn finite(vector: &[f32]) -> Result<Vec<f32>, Error> {
    if vector.iter().all(|value| value.is_finite()) {
        return Ok(vector.to_vec());
    }
    Err(Error::new(
        Code::Internal,
        "the model computed a vector that is not finite: its weights may be damaged",
    ))
}

/// Nobody may be waiting any more, which is no error.
fn answer(input: Input, result: Result<Vec<f32>, Error>) {
    drop(input.reply.send(result));
}

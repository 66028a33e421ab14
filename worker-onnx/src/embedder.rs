//! Embedding models: hidden states or finished vectors come out of the graph.

use impetus_runtime::{
    engine::{EmbeddingEngine, EmbeddingLimits, Pair, SlotId, StepError, TokenId, Vectors},
    huggingface::{Pooling, PoolingMode},
};

use crate::{
    error::ModelError,
    graph::{FLOATS, Graph},
    padded::{Padded, longest},
};

/// Outputs with one vector for each input.
const FINISHED: &str = "sentence_embedding";
/// Outputs with one vector for each token.
const HIDDEN: [&str; 2] = ["last_hidden_state", "token_embeddings"];

/// A graph that embeds.
pub(crate) struct Embedder {
    graph: Padded,
    is_finished: bool,
    pooling: Pooling,
    limits: EmbeddingLimits,
}

/// How an embedder is set up.
pub(crate) struct Setup {
    /// What the files say of pooling, if anything.
    pub(crate) pooling: Option<Pooling>,
    /// What the user says of it.
    pub(crate) mode: Option<PoolingMode>,
    /// Tokens of one input.
    pub(crate) context_tokens: u32,
    /// Positions that no token can have.
    pub(crate) skipped_positions: u32,
    pub(crate) vocabulary: u32,
}

impl Embedder {
    /// Whether `graph` gives vectors and not logits.
    pub(crate) fn is_for(graph: &Graph) -> bool {
        let gives = |name: &str| graph.outputs.iter().any(|port| port.name == name);
        !gives("logits") && (gives(FINISHED) || HIDDEN.iter().any(|name| gives(name)))
    }

    /// Wires the graph and tries it out.
    pub(crate) fn new(graph: Graph, setup: &Setup) -> Result<Self, ModelError> {
        let gives = |name: &str| graph.outputs.iter().find(|port| port.name == name);
        // Whoever says how to pool wants that done.
        let hidden = HIDDEN.iter().find_map(|name| gives(name));
        let finished = gives(FINISHED).filter(|_| setup.mode.is_none() || hidden.is_none());
        let output = finished.or(hidden).ok_or_else(|| no_output(&graph))?;
        output.expect(&graph.file, &FLOATS, if finished.is_some() { 2 } else { 3 })?;
        let pooling = match (finished, setup.pooling) {
            // A vector is its own pool; it is scaled where the files say so.
            (Some(_), said) => {
                let normalise = said.is_some_and(|pooling| pooling.normalise);
                Pooling { mode: PoolingMode::Cls, normalise, max_tokens: None }
            }
            (None, said) => {
                let said = said.unwrap_or_default();
                Pooling { mode: setup.mode.unwrap_or(said.mode), ..said }
            }
        };
        let limits = Padded::limits(setup.context_tokens, 0, setup.vocabulary);
        let is_finished = finished.is_some();
        let output = output.name.clone();
        let graph = Padded::new(graph, setup.skipped_positions, output)?;
        let mut embedder = Self { graph, is_finished, pooling, limits };
        embedder.measure()?;
        Ok(embedder)
    }

    /// Bytes of all weights.
    pub(crate) fn bytes(&self) -> u64 {
        self.graph.bytes()
    }

    /// Finds out how long vectors are.
    fn measure(&mut self) -> Result<(), ModelError> {
        let result = self.run(&[&[TokenId(0), TokenId(0)], &[TokenId(0)]]);
        let (_, dimensions) = result.map_err(|words| self.graph.refused(words))?;
        self.limits.dimensions = dimensions as u32;
        Ok(())
    }

    /// The output for `inputs`: vectors, or hidden states of as many tokens as the longest has; and their width.
    fn run(&mut self, inputs: &[&[TokenId]]) -> Result<(Vec<f32>, usize), String> {
        let whole = inputs.iter().map(|&tokens| Pair { tokens, first_tokens: tokens.len() });
        let inputs: Vec<Pair> = whole.collect();
        let (values, shape) = self.graph.run(&inputs)?;
        let (n_inputs, n_tokens) = (inputs.len() as i64, longest(&inputs) as i64);
        let width = match shape[..] {
            [rows, width] if self.is_finished && rows == n_inputs => width,
            [rows, tokens, width] if !self.is_finished && rows == n_inputs && tokens == n_tokens => width,
            _ => 0,
        };
        if width <= 0 {
            return Err(format!("`{}` of {n_inputs} inputs has the shape {shape:?}", self.graph.output()));
        }
        Ok((values, width as usize))
    }
}

impl EmbeddingEngine for Embedder {
    fn limits(&self) -> EmbeddingLimits {
        self.limits
    }

    fn embed(&mut self, inputs: &[&[TokenId]], vectors: &mut Vectors) -> Result<(), StepError> {
        let rejected = |reason| StepError::Rejected { slots: Vec::<SlotId>::new(), reason };
        let unknown = inputs.iter().copied().flatten().find(|token| token.0 >= self.limits.vocabulary);
        if let Some(token) = unknown {
            return Err(rejected(format!("token {} is not of the vocabulary", token.0)));
        }
        let longest = inputs.iter().map(|input| input.len()).max().unwrap_or(0);
        let (values, width) = self.run(inputs).map_err(rejected)?;
        let dimensions = self.limits.dimensions as usize;
        if width != dimensions {
            return Err(rejected(format!("vectors of {width} numbers instead of {dimensions}")));
        }
        let n_rows = if self.is_finished { 1 } else { longest };
        let mut vector = vec![0.0; width];
        for (input, rows) in inputs.iter().zip(values.chunks_exact(n_rows * width)) {
            let n_real = if self.is_finished { 1 } else { input.len() };
            self.pooling.pool(&rows[..n_real * width], &mut vector);
            vectors.push(&vector);
        }
        Ok(())
    }
}

fn no_output(graph: &Graph) -> ModelError {
    let unknown: Vec<String> = graph.outputs.iter().map(|port| port.name.clone()).collect();
    ModelError::ports(&graph.file, &[FINISHED.to_owned()], &unknown)
}

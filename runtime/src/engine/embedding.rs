//! The seam to an engine that turns texts into vectors: a ragged batch of whole inputs in, a pooled vector for each
//! out. Nothing is kept between calls.

use super::{StepError, TokenId};

/// The numbers that bind whoever composes a batch of inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbeddingLimits {
    /// Tokens of one input.
    pub context_tokens: u32,
    /// Tokens of all inputs of one call together, counted as `padded` says; at least `context_tokens`.
    pub tokens_per_step: u32,
    /// Inputs of one call.
    pub inputs_per_step: u32,
    /// Whether every input of a call costs as much as the longest one.
    pub padded: bool,
    /// Numbers of one vector.
    pub dimensions: u32,
    /// Token ids are below it.
    pub vocabulary: u32,
}

/// An embedding model on an engine. Calls come from one thread, one at a time.
pub trait EmbeddingEngine {
    /// The numbers that bind; constant for the engine's life.
    fn limits(&self) -> EmbeddingLimits;

    /// Pushes to `vectors` the pooled vector of each of `inputs`, none of them empty, in their order, normalised
    /// where the model's files say so.
    fn embed(&mut self, inputs: &[&[TokenId]], vectors: &mut Vectors) -> Result<(), StepError>;
}

/// Vectors of one length, one behind the other.
#[derive(Debug)]
pub struct Vectors {
    width: usize,
    values: Vec<f32>,
}

impl EmbeddingLimits {
    /// What `n_inputs` of which the longest has `longest_tokens` and all together `n_tokens` count for.
    pub fn cost(&self, n_inputs: usize, longest_tokens: usize, n_tokens: usize) -> usize {
        if self.padded { n_inputs.saturating_mul(longest_tokens) } else { n_tokens }
    }
}

impl Vectors {
    /// An empty buffer for vectors of `dimensions` numbers.
    pub fn new(dimensions: u32) -> Self {
        Self { width: dimensions as usize, values: Vec::new() }
    }

    /// Removes all vectors and keeps their room.
    pub fn clear(&mut self) {
        self.values.clear();
    }

    /// Copies one vector in. It must be as long as the model says.
    pub fn push(&mut self, vector: &[f32]) {
        assert_eq!(vector.len(), self.width, "a vector is as long as the model says");
        self.values.extend_from_slice(vector);
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there is no vector.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The vectors in the order in which they were pushed.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.width)
    }
}

/// Scales `vector` to the length one; one of length zero stays.
pub fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if length > 0.0 {
        for x in vector {
            *x = (f64::from(*x) / length) as f32;
        }
    }
}

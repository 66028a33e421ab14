//! One sequence in a stock model: the model's weights, shared by all sequences, and what this one has seen.

use candle_core::{Device, Result, Tensor};

/// A model that keeps the state of one sequence.
pub(super) trait Sequence {
    /// Appends `tokens` at `position`, and returns the logits behind the last of them.
    fn append(&mut self, tokens: &[u32], position: usize) -> Result<Vec<f32>>;

    /// Another sequence that has seen the same.
    fn fork(&self) -> Box<dyn Sequence>;
}

/// A model whose clones share weights and have states of their own.
#[derive(Clone)]
pub(super) struct Stock<M> {
    model: M,
    forward: Forward<M>,
}

/// How a model takes a row of tokens at a position.
pub(super) type Forward<M> = fn(&mut M, &Tensor, usize) -> Result<Tensor>;

impl<M> Stock<M> {
    pub(super) fn new(model: M, forward: Forward<M>) -> Self {
        Self { model, forward }
    }
}

impl<M: Clone + 'static> Sequence for Stock<M> {
    fn append(&mut self, tokens: &[u32], position: usize) -> Result<Vec<f32>> {
        let tokens = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        (self.forward)(&mut self.model, &tokens, position)?.flatten_all()?.to_vec1()
    }

    fn fork(&self) -> Box<dyn Sequence> {
        Box::new(self.clone())
    }
}

//! What goes into an engine step and what comes out: a flat ragged batch, and rows of logits.

use std::ops::Range;

use super::{SlotId, TokenId};

/// The chunks of one step. Kept and refilled from step to step, so that a step allocates nothing.
#[derive(Debug, Default)]
pub struct Batch {
    tokens: Vec<TokenId>,
    chunks: Vec<Chunk>,
}

/// Consecutive tokens of one sequence: a long chunk is prefill, a chunk of one is decode.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Where the sequence lives.
    pub slot: SlotId,
    /// The position of the chunk's first token, which is the number of tokens that the slot holds.
    pub position: u32,
    /// The rows of logits that are wanted.
    pub want: Want,
    tokens: Range<usize>,
}

/// Which rows of a chunk are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// None: a part of a prompt.
    Nothing,
    /// The row behind the last token.
    Last,
    /// A row behind every token.
    All,
}

/// Rows of logits, each a buffer of its own for the sampler to work on in place. Kept and refilled from step to step.
#[derive(Debug)]
pub struct Rows {
    width: usize,
    /// Those of this step, and behind them what is left of larger ones.
    rows: Vec<Vec<f32>>,
    n_rows: usize,
}

impl Batch {
    /// Makes room for so many tokens.
    pub fn reserve(&mut self, tokens: usize) {
        self.tokens.reserve(tokens.saturating_sub(self.tokens.len()));
    }

    /// Removes all chunks.
    pub fn clear(&mut self) {
        self.tokens.clear();
        self.chunks.clear();
    }

    /// Adds a chunk; a slot may have one chunk in a batch.
    pub fn push(&mut self, slot: SlotId, position: u32, tokens: &[TokenId], want: Want) {
        debug_assert!(self.chunks.iter().all(|chunk| chunk.slot != slot), "{slot:?} has a chunk already");
        let start = self.tokens.len();
        self.tokens.extend_from_slice(tokens);
        self.chunks.push(Chunk { slot, position, want, tokens: start..self.tokens.len() });
    }

    /// Adds tokens to the end of the chunk that was pushed last.
    pub fn extend_last(&mut self, tokens: &[TokenId]) {
        if let Some(chunk) = self.chunks.last_mut() {
            self.tokens.extend_from_slice(tokens);
            chunk.tokens.end = self.tokens.len();
        }
    }

    /// The chunks in the order in which they were pushed.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// The tokens of one of this batch's chunks.
    pub fn tokens(&self, chunk: &Chunk) -> &[TokenId] {
        &self.tokens[chunk.tokens.clone()]
    }

    /// Tokens of all chunks together.
    pub fn n_tokens(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is nothing to compute.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Rows that all chunks together want.
    pub fn n_rows(&self) -> usize {
        self.chunks
            .iter()
            .map(|chunk| match chunk.want {
                Want::Nothing => 0,
                Want::Last => 1,
                Want::All => chunk.tokens.len(),
            })
            .sum()
    }
}

impl Rows {
    /// An empty buffer for rows of `width` logits.
    pub fn new(width: u32) -> Self {
        Self { width: width as usize, rows: Vec::new(), n_rows: 0 }
    }

    /// Makes room for so many rows, which takes memory as they come.
    pub fn reserve(&mut self, rows: usize) {
        let n_more = rows.saturating_sub(self.rows.len());
        self.rows.extend(std::iter::repeat_with(|| Vec::with_capacity(self.width)).take(n_more));
    }

    /// Removes all rows and keeps their room.
    pub fn clear(&mut self) {
        self.n_rows = 0;
    }

    /// Copies one row in. The row must be as wide as the vocabulary.
    pub fn push(&mut self, row: &[f32]) {
        assert_eq!(row.len(), self.width, "a row is as wide as the vocabulary");
        self.reserve(self.n_rows + 1);
        let room = &mut self.rows[self.n_rows];
        room.clear();
        room.extend_from_slice(row);
        self.n_rows += 1;
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// Row `index`, to be sampled from in place.
    pub fn row_mut(&mut self, index: usize) -> &mut [f32] {
        &mut self.rows[..self.n_rows][index]
    }

    /// Row `index`.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.rows[..self.n_rows][index]
    }

    /// Lends row `index` to another thread.
    pub(crate) fn lend(&mut self, index: usize) -> Vec<f32> {
        std::mem::take(&mut self.rows[..self.n_rows][index])
    }

    /// Takes back what was lent.
    pub(crate) fn give_back(&mut self, index: usize, row: Vec<f32>) {
        self.rows[..self.n_rows][index] = row;
    }
}

//! The runtime's seam on this crate's models.

mod chunk;
mod embedding;
mod input;
mod ranking;
mod text;

pub(crate) use embedding::{Embedder, Network};
pub(crate) use ranking::Ranker;
pub(crate) use text::{CandleEngine, Decode, SlotCache};

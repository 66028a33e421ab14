//! The runtime's seam on this crate's models.

mod embedding;
mod text;

pub(crate) use embedding::{Embedder, Network};
pub(crate) use text::CandleEngine;

//! The parts that decoders and encoders are made of. All of them work on rows of F32, one behind the other.

mod activation;
mod feed_forward;
mod linear;
mod norm;
mod rope;

pub(crate) use activation::{activate, sigmoid};
pub(crate) use feed_forward::{FeedForward, FeedForwardParts};
pub(crate) use linear::{Linear, Part, packed, with_rows};
pub(crate) use norm::{LayerNorm, RmsNorm};
pub(crate) use rope::{Angles, Rope};

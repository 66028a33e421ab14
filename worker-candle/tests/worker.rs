//! The worker on real folders. One process serves all tests, since candle's threads are started once.

mod broken;
mod bundled;
mod conformance;
mod embedding;
mod ranking;
mod reference;

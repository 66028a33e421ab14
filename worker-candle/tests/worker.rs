//! The worker on real folders. One process serves all tests, since candle's threads are started once.

mod bundled;
mod conformance;
mod greedy;
mod reference;

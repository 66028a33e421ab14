//! The worker on real folders. One process serves all tests, since the library is loaded once.

mod bundled;
mod conformance;
mod greedy;

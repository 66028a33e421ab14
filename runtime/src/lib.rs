//! What all workers share: everything between a `Generate` request and an engine's `step`, and the life of the
//! worker process around it. A worker crate brings a [`Backend`](engine::Backend) and calls [`run`].

pub mod embedding;
pub mod engine;
pub mod huggingface;
pub mod output;
pub mod prompt;
mod run;
pub mod sampling;
pub mod scheduler;
mod service;
pub mod waiting;

pub use run::run;

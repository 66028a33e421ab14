//! What a generation says, with the wire's options resolved.

use std::sync::Arc;

use impetus_proto::worker::{FinishReason, Timings, Usage};

/// One event of a generation. The first is `Accepted`, the last `Finished`, whatever happened to the workers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// A worker has the request.
    Accepted {
        /// The canonical name of the model that answers.
        model: Arc<str>,
        prompt_tokens: u32,
    },
    /// Text for the client; empty while tokens add nothing yet.
    Delta { text: String, n_tokens: usize },
    /// The completion is whole.
    Finished(Finished),
}

/// The end of a completion.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Finished {
    pub(crate) reason: FinishReason,
    /// Text that was still held back.
    pub(crate) text: String,
    pub(crate) n_tokens: usize,
    pub(crate) usage: Usage,
    pub(crate) timings: Timings,
}

//! From tokens to an output: bytes become characters, stop strings end the text, end tokens end the sequence, and the
//! model's format tells text, reasoning and tool calls apart.

pub mod detokenize;
pub mod format;
pub mod part;
pub mod pipeline;
pub mod stop;

pub use format::{Beginning, Format, Rules, Tool};
pub use part::{Part, Parts};
pub use pipeline::{Output, Step, Stopped};
pub use stop::{StopError, StopParams};

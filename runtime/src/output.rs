//! From tokens to text: bytes become characters, stop strings end the text, end tokens end the sequence.

pub mod detokenize;
pub mod format;
pub mod part;
pub mod pipeline;
pub mod stop;

pub use part::Part;
pub use pipeline::{Output, Step, Stopped};
pub use stop::{StopError, StopParams};

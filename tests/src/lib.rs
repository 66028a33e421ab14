//! Programs that only tests and benchmarks run.

pub mod bench;
pub mod fake;

//! Programs that only tests and benchmarks run, and what they share with the tests.

pub mod bench;
pub mod chaos;
pub mod fake;
pub mod hub;
pub mod process;

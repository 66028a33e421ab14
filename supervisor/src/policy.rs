//! Decisions without side effects: no I/O, no clock, no source of random numbers; all of those are arguments.

pub mod eviction;
pub mod health;
pub mod power;
pub mod restart;
pub mod sizing;
pub mod slots;

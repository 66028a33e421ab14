//! What holds for the whole: one module a subject, one binary for all of them.

mod chat;
mod harness;
mod tree;

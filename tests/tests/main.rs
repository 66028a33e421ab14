//! What holds for the whole: one module a subject, one binary for all of them.

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

mod access;
mod adoption;
mod batching;
mod bench;
mod broken;
mod chaos;
mod chat;
mod choices;
mod convert;
mod crash;
mod ctl;
mod doctor;
mod embeddings;
mod errors;
mod examples;
mod footprint;
mod gateway;
mod harness;
mod infill;
mod limits;
mod links;
mod logprobs;
mod logs;
mod models;
mod observability;
mod openai_python;
mod parity;
mod patience;
mod plugin;
mod prefixes;
mod pull;
mod recorded;
mod rerank;
mod run;
mod sampling;
mod service;
mod shutdown;
mod startup;
mod tokenize;
mod tools;
mod tools_endpoints;
mod top;
mod traces;
mod tree;

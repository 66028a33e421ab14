//! What holds for the whole: one module a subject, one binary for all of them.

mod batching;
mod chat;
mod crash;
mod ctl;
mod errors;
mod examples;
mod gateway;
mod harness;
mod limits;
mod logs;
mod models;
mod openai_python;
mod plugin;
mod sampling;
mod shutdown;
mod startup;
mod tree;

//! Ollama's API.

#[allow(dead_code, unused_imports)] // for the endpoints beside it
mod preset;

pub(crate) use preset::Presets;

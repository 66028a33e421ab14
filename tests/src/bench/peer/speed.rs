//! How fast both servers prefill and decode: `supervisorctl bench --vs`.

use std::path::Path;

use serde_json::{Value, json};

use super::{Plan, Site, process::Peer};
use crate::bench::{
    MODEL, ctl,
    server::{Server, Setup},
};

/// Slots and tokens of each, of both servers.
const SLOTS: u32 = 16;
const CONTEXT_TOKENS: u32 = 1024;

/// One stream with a prompt worth its time, and as many streams as there are slots: streams, tokens of the prompt and of
/// the completion.
const LOADS: [[u32; 3]; 2] = [[1, 256, 33], [16, 32, 65]];

pub(super) fn measure(site: &Site<'_>, plan: &Plan, file: &Path) -> anyhow::Result<Value> {
    let shape = [SLOTS, CONTEXT_TOKENS, plan.threads];
    let models = [(MODEL, file)];
    let setup = Setup { models: &models, format: "gguf", shape, settings: &plan.settings };
    let server = Server::start_with(site.programs, &setup)?;
    let peer = Peer::start(file, shape)?;
    let mut cells = Vec::new();
    for [streams, prompt, tokens] in LOADS {
        let load = [
            "--streams",
            &streams.to_string(),
            "--prompt",
            &prompt.to_string(),
            "--tokens",
            &tokens.to_string(),
        ]
        .map(str::to_owned);
        let mut report = ctl::bench(
            site.programs,
            &server,
            plan.pairs,
            &[&load[..], &["--vs".into(), peer.url.clone()]].concat(),
        )?;
        cells.extend(report["cells"].as_array_mut().map(std::mem::take).unwrap_or_default());
    }
    let ours = json!({"slots": SLOTS, "context_tokens": CONTEXT_TOKENS, "threads": plan.threads, "further": plan.settings});
    Ok(json!({"ours": ours, "peer": peer.settings, "cells": cells}))
}

//! What a change of models costs: a request for the model that is not loaded, where memory holds only one, against the
//! time in which the peer starts with the same file and answers. The file is in the page cache of both.

use std::{path::Path, time::Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{Plan, Site, models::PeerModel, process::Peer};
use crate::bench::{
    ask::{ask, text},
    report::median,
    server::{Server, Setup},
};

const SHAPE: [u32; 2] = [2, 1024];

/// The names of the two models.
const NAMES: [&str; 2] = ["one", "other"];

/// Tokens of the answer, of which the first one counts.
const TOKENS: u32 = 2;
const PROMPT_WORDS: usize = 4;

pub(super) fn measure(site: &Site<'_>, plan: &Plan, file: &Path) -> anyhow::Result<Value> {
    let copy = PeerModel::copy(file)?;
    let shape = [SHAPE[0], SHAPE[1], plan.threads];
    let models = [(NAMES[0], file), (NAMES[1], copy.as_path())];
    let room = room_for_one(site, &models, shape)?;
    let settings = format!("{}budget.ram = \"{room}B\"\n", plan.settings);
    let mut server = Server::start_with(
        site.programs,
        &Setup { models: &models, format: "gguf", shape, settings: &settings },
    )?;
    let address = server.address()?.to_string();
    let ours =
        |name: &str| Ok::<f64, anyhow::Error>(millis(ask(&address, name, text(PROMPT_WORDS), TOKENS)?.first));
    let theirs = || {
        let begun = Instant::now();
        let peer = Peer::start(file, shape)?;
        let listens = millis(begun.elapsed());
        let first = millis(ask(peer.address(), NAMES[0], text(PROMPT_WORDS), TOKENS)?.first);
        Ok::<[f64; 2], anyhow::Error>([listens + first, peer.load_ms + first])
    };
    // Both files are read before anything counts.
    for name in NAMES {
        ours(name)?;
    }
    let (mut swaps, mut starts, mut loads) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..plan.pairs as usize {
        let name = NAMES[pair % 2];
        let before = if pair % 2 == 1 { Some(theirs()?) } else { None };
        swaps.push(ours(name)?);
        let [start, load] = before.map_or_else(theirs, Ok)?;
        starts.push(start);
        loads.push(load);
    }
    let ratio = |theirs: &[f64]| median(swaps.iter().zip(theirs).map(|(ours, theirs)| ours / theirs));
    Ok(json!({
        "ours_ms": median(swaps.iter().copied()),
        "peer_ms": median(starts.iter().copied()),
        "peer_without_python_ms": median(loads.iter().copied()),
        "ratio": ratio(&starts),
        "ratio_without_python": ratio(&loads),
    }))
}

/// Bytes that hold one of the two models but not both.
fn room_for_one(site: &Site<'_>, models: &[(&str, &Path); 2], shape: [u32; 3]) -> anyhow::Result<u64> {
    let setup = Setup { models, format: "gguf", shape, settings: "" };
    let mut server = Server::start_with(site.programs, &setup)?;
    let _worker = server.worker_of(NAMES[0])?;
    let workers = server.status()?.workers;
    let worker = workers.iter().find(|worker| worker.model == NAMES[0]).context("the model has no worker")?;
    let most = worker.footprint_bytes.max(worker.peak_bytes);
    ensure!(worker.footprint_bytes > 0, "the worker has no footprint");
    Ok(most + worker.footprint_bytes / 2)
}

fn millis(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

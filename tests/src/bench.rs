//! `make bench`: how fast the engine is alone, how fast it is through the gateway, and what the difference costs; what
//! the gateway adds to a request of an engine that takes no time; and how fast the engines of the three formats are beside each other; and what masks of grammars cost.
//!
//! Machines are noisy, so the two take turns within one run, and what is reported are medians, of the ratio too.
//! What the processes themselves count (time outside the engine, processor time) is the less noisy second opinion.

mod ask;
mod client;
mod ctl;
mod engine;
mod folder;
mod formats;
mod gguf;
mod lookup;
mod masks;
mod model;
mod overhead;
mod peer;
mod process;
mod quantize;
mod report;
mod server;
mod vocabulary;
mod weights;

use std::{path::Path, time::Instant};

use anyhow::{Context, ensure};

use self::{
    engine::EngineAlone,
    model::BenchModel,
    report::{Cost, Group, Report},
    server::{Pids, Server, Worker},
};
pub use self::{
    folder::write as write_folder, gguf::Element, model::write as write_gguf, peer::run as run_peer,
    weights::Shape,
};

/// The name that the model is served under.
const MODEL: &str = "bench";

const SLOTS: u32 = 4;
const CONTEXT_TOKENS: u32 = 1024;
/// Pairs of a measurement of each side.
const PAIRS: u32 = 5;

/// What is measured, each with its own prompts.
const LOADS: [Task; 2] = [
    Task { streams: 1, prompt_tokens: 512, completion_tokens: 97, seed: 0 },
    Task { streams: 4, prompt_tokens: 256, completion_tokens: 161, seed: 0 },
];
/// What goes before a measurement, so that it is of warm caches.
const WARM_UP: Task = Task { streams: 4, prompt_tokens: 32, completion_tokens: 33, seed: 0 };

/// What one run computes.
#[derive(Debug, Clone, Copy)]
struct Task {
    streams: u32,
    prompt_tokens: u32,
    completion_tokens: u32,
    /// Which prompts; each is used once.
    seed: u32,
}

/// Tokens per second of all streams together.
#[derive(Debug, Clone, Copy)]
struct Measured {
    prefill: f64,
    decode: f64,
}

/// What can be measured by itself, in the order in which it is.
const PARTS: [&str; 5] = ["gateway", "guesses", "overhead", "masks", "formats"];

/// Measures the `parts` that are named, or all, prints tables and writes `bench.json` beside the folder that cargo built
/// into.
pub fn run(parts: &[String]) -> anyhow::Result<()> {
    for part in parts {
        ensure!(
            PARTS.contains(&part.as_str()),
            "{part} is nothing to measure: there are peer, {}",
            PARTS.join(", ")
        );
    }
    let has = |part: &str| parts.is_empty() || parts.iter().any(|named| named == part);
    let program = std::env::current_exe().context("finding this program")?;
    let programs = program.parent().context("a program lies in a folder")?;
    let target = programs.parent().context("cargo builds into a folder of its target folder")?;
    let dir = target.join("bench");
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let mut report = Report::new();
    if has("gateway") {
        let model = model::prepare(&dir, Element::F16)?;
        report.model(&model);
        let mut threads = vec![1, cores];
        threads.dedup();
        for threads in threads {
            measure(programs, &model, threads, &mut report)
                .with_context(|| format!("measuring with {threads} engine threads"))?;
        }
    }
    if has("guesses") {
        report.lookup(lookup::measure(programs, &dir, cores).context("measuring guesses")?);
    }
    if has("overhead") {
        report.overhead(overhead::measure(programs).context("measuring what the gateway adds")?);
    }
    if has("masks") {
        report.masks(masks::measure().context("measuring masks")?);
    }
    if has("formats") {
        report.formats(formats::measure(programs, &dir, cores).context("measuring the formats")?);
    }
    report.finish(&target.join("bench.json"))
}

/// All loads with one number of engine threads.
fn measure(programs: &Path, model: &BenchModel, threads: u32, report: &mut Report) -> anyhow::Result<()> {
    let shape = [SLOTS, CONTEXT_TOKENS, threads];
    let mut server = Server::start(programs, model, shape)?;
    report.idle(server.idle_memory()?);
    let mut worker = server.worker()?;
    let mut alone = EngineAlone::start(programs, "gguf", &model.path, shape)?;
    alone.run(WARM_UP)?;
    through_gateway(&mut server, &mut worker, model, WARM_UP)?;
    for load in LOADS {
        let mut group = Group::new(threads, load);
        for pair in 1..=PAIRS {
            let task = Task { seed: load.streams * 100 + pair, ..load };
            // Whoever goes first may find the machine in another state, so they take turns at that too.
            let before = if pair % 2 == 0 { Some(alone.run(task)?.0) } else { None };
            let (through, cost) = through_gateway(&mut server, &mut worker, model, task)?;
            let alone = if let Some(before) = before { before } else { alone.run(task)?.0 };
            group.add(alone, through, cost);
        }
        report.add(group);
    }
    Ok(())
}

/// One task through the gateway, and what its processes say it cost.
fn through_gateway(
    server: &mut Server,
    worker: &mut Worker,
    model: &BenchModel,
    task: Task,
) -> anyhow::Result<(Measured, Cost)> {
    let (address, pids) = (server.address()?, server.pids()?);
    let (stats, cpu, begun) = (server.stats(worker)?, cpu(pids), Instant::now());
    let measured = client::run(address, model, task)?;
    let elapsed = begun.elapsed();
    let (cpu_after, stats_after) = (self::cpu(pids), server.stats(worker)?);
    let cost = Cost {
        tokens: f64::from(task.streams * task.completion_tokens),
        steps: (stats_after.steps - stats.steps) as f64,
        wall_us: elapsed.as_micros() as f64,
        step_us: (stats_after.step_us - stats.step_us) as f64,
        cpu_us: cpu.zip(cpu_after).map(|(before, after)| [0, 1, 2].map(|idx| after[idx] - before[idx])),
    };
    Ok((measured, cost))
}

/// Processor time of supervisor, gateway and worker, in microseconds.
fn cpu(pids: Pids) -> Option<[f64; 3]> {
    let micros = |pid| Some(process::cpu(pid)?.as_micros() as f64);
    Some([micros(pids.supervisor)?, micros(pids.gateway)?, micros(pids.worker)?])
}

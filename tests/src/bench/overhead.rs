//! What the gateway adds to a request: an engine that takes no time (`worker-fake`) is asked through the gateway and by
//! its own gRPC, in turns, at a rate that does not wait for answers. And how many tokens the gateway passes on for each
//! second of processor time.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use impetus_proto::worker::{
    GenerateRequest, Sampling, Stopping, generate_event::Event, generate_request::Input,
    worker_client::WorkerClient,
};
use rand::Rng;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep_until};
use tonic::transport::Channel;

use super::{
    MODEL, ask, ctl, process,
    report::{median, number},
    server::{Server, Setup},
};

/// Requests a second, and how many of them each time.
const RATE: f64 = 200.0;
const REQUESTS: u32 = 1000;
const PAIRS: u32 = 5;

/// Letters, which are the engine's tokens, of a prompt; and tokens of a completion.
const PROMPT: u32 = 32;
const TOKENS: u32 = 16;

/// What is passed on to measure how much can be.
const MANY_STREAMS: u32 = 16;
const MANY_TOKENS: u32 = 3000;

const SHAPE: [u32; 3] = [16, 4096, 1];

/// What the gateway may add, in milliseconds, to half of all requests and to 99 of a hundred.
const GOALS_MS: [f64; 2] = [0.2, 0.6];
/// Tokens that the gateway should pass on for each second of processor time.
const TOKENS_GOAL: f64 = 100_000.0;

/// The programs are those in `programs`.
pub(super) fn measure(programs: &Path) -> anyhow::Result<Value> {
    let folder = tempfile::tempdir().context("making a folder for the model")?;
    let model = folder.path().join("bench.fake");
    fs::write(&model, "fake\n").with_context(|| format!("writing {}", model.display()))?;
    let settings = format!(
        "workers.fake.command = '{}'\nworkers.fake.patterns = ['*.fake']\n",
        programs.join("worker-fake").display()
    );
    let models = [(MODEL, model.as_path())];
    let mut server = Server::start_with(
        programs,
        &Setup { models: &models, format: "fake", shape: SHAPE, settings: &settings },
    )?;
    let worker = server.worker()?;
    let client = worker.client();
    server.run(direct(&client))?;

    let (mut added, mut directs, mut gateways) = ([Vec::new(), Vec::new()], Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        let before = if pair % 2 == 0 { Some(server.run(direct(&client))?) } else { None };
        let through = through_gateway(programs, &server)?;
        let alone = before.map_or_else(|| server.run(direct(&client)), Ok)?;
        for (added, (through, alone)) in added.iter_mut().zip(through.into_iter().zip(alone)) {
            added.push(through - alone);
        }
        directs.push(alone);
        gateways.push(through);
    }
    let part = |side: &[[f64; 2]], idx: usize| median(side.iter().map(|times| times[idx]));
    let [p50, p99] = added.map(median);
    Ok(json!({
        "rate": RATE,
        "requests": REQUESTS,
        "pairs": PAIRS,
        "direct_ms": {"p50": part(&directs, 0), "p99": part(&directs, 1)},
        "gateway_ms": {"p50": part(&gateways, 0), "p99": part(&gateways, 1)},
        "added_ms": {"p50": p50, "p99": p99},
        "tokens_per_gateway_second": passed_on(programs, &mut server)?,
        "goals": {"added_ms": GOALS_MS, "tokens_per_gateway_second": TOKENS_GOAL},
    }))
}

/// The table of what [`measure`] gave.
pub(super) fn table(json: &Value) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(
        out,
        "an engine that takes no time, {} requests at {} a second; medians of {} pairs\n",
        json["requests"], json["rate"], json["pairs"]
    )?;
    for (name, times) in [
        ("worker itself", &json["direct_ms"]),
        ("gateway", &json["gateway_ms"]),
        ("added", &json["added_ms"]),
    ] {
        writeln!(
            out,
            "{name:>14}: {:>8.3} ms at half, {:>8.3} ms at 99 of 100",
            number(&times["p50"]),
            number(&times["p99"])
        )?;
    }
    let [p50, p99] = GOALS_MS;
    writeln!(out, "goal: at most {p50} ms and {p99} ms added")?;
    writeln!(
        out,
        "{:.0} tokens for each second of the gateway's processor time (goal: {TOKENS_GOAL})",
        number(&json["tokens_per_gateway_second"])
    )?;
    Ok(out)
}

/// Whole requests through the gateway: milliseconds of half and of 99 in a hundred.
fn through_gateway(programs: &Path, server: &Server) -> anyhow::Result<[f64; 2]> {
    let arguments = [
        "--rate".to_owned(),
        RATE.to_string(),
        "--requests".to_owned(),
        REQUESTS.to_string(),
        "--prompt".to_owned(),
        PROMPT.to_string(),
        "--tokens".to_owned(),
        TOKENS.to_string(),
    ];
    let report = ctl::bench(programs, server, 1, &arguments)?;
    let times = &report["cells"][0]["ours"]["request_ms"];
    let figure = |name: &str| times[name].as_f64().with_context(|| format!("no {name} in {report}"));
    Ok([figure("p50")?, figure("p99")?])
}

/// The same requests by the worker's own gRPC.
async fn direct(client: &WorkerClient<Channel>) -> anyhow::Result<[f64; 2]> {
    let begun = tokio::time::Instant::now();
    let (mut at, mut requests) = (0.0, JoinSet::new());
    for _ in 0..REQUESTS {
        // Independent arrivals, as `supervisorctl bench` has them.
        at -= (1.0 - rand::rng().random::<f64>()).ln() / RATE;
        let (due, mut client) = (begun + Duration::from_secs_f64(at), client.clone());
        requests.spawn(async move {
            sleep_until(due).await;
            let mut events = client.generate(request()).await?.into_inner();
            while let Some(event) = events.message().await? {
                if matches!(event.event, Some(Event::Finished(_))) {
                    return Ok(due.elapsed().as_secs_f64() * 1e3);
                }
            }
            Err(tonic::Status::unknown("a stream ended without its end"))
        });
    }
    let mut times = Vec::new();
    while let Some(outcome) = requests.join_next().await {
        times.push(outcome.context("a request panicked")?.context("asking the worker")?);
    }
    times.sort_unstable_by(f64::total_cmp);
    let rank = |share: f64| times.get((times.len() as f64 * share).ceil() as usize - 1).copied();
    Ok([rank(0.5).context("no request")?, rank(0.99).context("no request")?])
}

fn request() -> GenerateRequest {
    let prompt: String = ask::text(PROMPT as usize).chars().take(PROMPT as usize).collect();
    GenerateRequest {
        model: MODEL.into(),
        input: Some(Input::Text(prompt)),
        sampling: Some(Sampling::default()),
        stopping: Some(Stopping { max_tokens: Some(TOKENS), ignore_end: true, ..Stopping::default() }),
        ..GenerateRequest::default()
    }
}

/// Tokens that the gateway passes on for each second of its processor time, where the system tells that.
fn passed_on(programs: &Path, server: &mut Server) -> anyhow::Result<Option<f64>> {
    let gateway = server.pids()?.gateway;
    let before = process::cpu(gateway);
    let arguments = ["--streams", &MANY_STREAMS.to_string(), "--prompt", &PROMPT.to_string(), "--tokens"]
        .map(str::to_owned);
    let begun = Instant::now();
    let arguments = [&arguments[..], &[MANY_TOKENS.to_string()]].concat();
    let report = ctl::bench(programs, server, 1, &arguments)?;
    ensure!(report["cells"].as_array().is_some_and(|cells| cells.len() == 1), "one cell was asked for");
    let Some((before, after)) = before.zip(process::cpu(gateway)) else { return Ok(None) };
    let seconds = after.saturating_sub(before).as_secs_f64();
    ensure!(seconds > 0.0, "the gateway used no time of {:?}", begun.elapsed());
    Ok(Some(f64::from(MANY_STREAMS * MANY_TOKENS) / seconds))
}

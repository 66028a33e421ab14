//! `supervisorctl bench`: how fast the server serves a model, alone or against another server. It speaks HTTP to both
//! as any client does.

mod course;
mod edit;
mod error;
mod figures;
mod part;
mod plan;
mod prompt;
mod report;
mod round;
mod seen;
mod stages;
mod target;
mod worker;

use std::{process::ExitCode, sync::Arc};

use impetus_proto::supervisor::{ModelsRequest, StatusReply, StatusRequest};

pub(super) use self::error::BenchError;
use self::{
    course::Course,
    plan::Wish,
    report::{Memory, Peer, Report},
    round::Arrivals,
    target::Target,
    worker::Worker,
};
use super::{Server, connect::connect, entrance, failure::Failure, print};
use crate::memory::rss_bytes;

/// What is measured unless the arguments say.
const STREAMS: [u32; 4] = [1, 4, 16, 32];
const PROMPTS: [u32; 3] = [32, 512, 4096];

/// Requests that come at a rate come for so many seconds unless their number is given.
const OPEN_SECONDS: f64 = 10.0;
const LEAST_OPEN_REQUESTS: f64 = 20.0;
const MOST_REQUESTS: u32 = 100_000;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A model's name or alias.
    model: String,
    /// Measures another server beside this one, in turns: http://host:port. It has to know OpenAI's /v1/completions.
    #[arg(long, value_name = "URL")]
    vs: Option<String>,
    /// What the other server calls the model. Default: the same.
    #[arg(long, value_name = "NAME", requires = "vs")]
    vs_model: Option<String>,
    /// The other server's key.
    #[arg(long, value_name = "KEY", requires = "vs")]
    vs_key: Option<String>,
    /// A key of this server, where it asks for one.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Streams at once, several numbers one after another. Default: 1,4,16,32
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1024))]
    streams: Vec<u32>,
    /// Tokens of prompts, about. Default: 32,512,4096
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    prompt: Vec<u32>,
    /// Tokens of each completion.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..=1 << 20))]
    tokens: u32,
    /// Requests a second that come independently of each other and of their answers, instead of streams.
    #[arg(long, value_name = "R", conflicts_with = "streams", value_parser = parse_rate)]
    rate: Option<f64>,
    /// How many requests come at that rate in each round. Default: those of ten seconds, at least 20.
    #[arg(long, value_name = "N", requires = "rate", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_REQUESTS)))]
    requests: Option<u32>,
    /// Rounds of each cell; with --vs pairs of rounds, each server first in every other one.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pairs: u32,
    /// Measures a conversation of two turns, of which the second extends the first one's 4,000 tokens. Without --streams,
    /// --prompt and --rate nothing else but this and --edit.
    #[arg(long)]
    turns: bool,
    /// Measures a file of 300 lines being written again with small changes.
    #[arg(long)]
    edit: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(server: &Server, arguments: Arguments) -> Result<ExitCode, Failure> {
    let is_json = arguments.json;
    let report = measure(server, arguments).await?;
    let text = if is_json { format!("{}\n", serde_json::to_string_pretty(&report)?) } else { report.text() };
    print(&text)?;
    Ok(if report.has_failures() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn measure(server: &Server, arguments: Arguments) -> Result<Report, Failure> {
    let wish = arguments.wish();
    let mut supervisor = connect(server).await?;
    let status = supervisor.status(StatusRequest {}).await?.into_inner();
    let url = format!("http://{}", entrance::authority(status.gateway.as_ref())?);
    let mut theirs = match &arguments.vs {
        Some(url) => {
            let model = arguments.vs_model.unwrap_or_else(|| arguments.model.clone());
            Some(Target::new(url, model, arguments.vs_key)?)
        }
        None => None,
    };
    let worker = Worker::hold(&mut supervisor, &arguments.model).await?;
    let model = worker.model.clone();
    let mut ours = Target::new(&url, model.clone(), arguments.key)?;
    ours.try_out().await?;
    if let Some(theirs) = &mut theirs {
        theirs.try_out().await?;
    }
    let models = supervisor.models(ModelsRequest {}).await?.into_inner().models;
    let context_tokens =
        models.iter().find(|found| found.name == model).map_or(0, |found| found.context_tokens);
    let vs = theirs.as_ref().map(|theirs| Peer {
        url: theirs.url.clone(),
        model: theirs.model.clone(),
        ignores_end: theirs.ignores_end(),
    });
    let mut course = Course::new(Arc::new(ours), theirs.map(Arc::new), worker, arguments.pairs);
    let measure = course.count_words().await?;
    let (cells, skipped) = wish.cells(context_tokens, measure)?;
    let parts = course.run(&cells).await;
    let status = supervisor.status(StatusRequest {}).await?.into_inner();
    let slots =
        status.workers.iter().find(|worker| worker.model == model).map_or(0, |worker| worker.slots_total);
    Ok(Report {
        server: report::Server { url, version: status.version.clone(), slots, context_tokens },
        model,
        vs,
        pairs: arguments.pairs,
        cells: parts.iter().map(part::Part::figures).collect(),
        skipped,
        memory: memory(&status),
    })
}

impl Arguments {
    fn wish(&self) -> Wish {
        let is_plain = self.streams.is_empty() && self.prompt.is_empty() && self.rate.is_none();
        let has_completions = !is_plain || !(self.turns || self.edit);
        let or = |given: &[u32], usual: &[u32]| {
            if given.is_empty() { usual.to_vec() } else { given.to_vec() }
        };
        let closed = |streams| Arrivals::Closed { streams };
        let arrivals = match self.rate {
            Some(rate) => {
                vec![Arrivals::Open { rate, requests: self.requests.unwrap_or_else(|| during(rate)) }]
            }
            None => or(&self.streams, &STREAMS).into_iter().map(closed).collect(),
        };
        Wish {
            arrivals,
            prompts: if has_completions { or(&self.prompt, &PROMPTS) } else { Vec::new() },
            completion_tokens: self.tokens,
            turns: self.turns,
            edit: self.edit,
        }
    }
}

/// Requests of the time for which they come.
fn during(rate: f64) -> u32 {
    (rate * OPEN_SECONDS).clamp(LEAST_OPEN_REQUESTS, f64::from(MOST_REQUESTS)) as u32
}

fn parse_rate(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && (0.01..=10_000.0).contains(&rate) => Ok(rate),
        _ => Err("a number of requests a second from 0.01 to 10000 is expected"),
    }
}

/// What our processes hold now.
fn memory(status: &StatusReply) -> Vec<Memory> {
    let supervisor = (status.supervisor_pid, rss_bytes(status.supervisor_pid).unwrap_or_default());
    let mut processes = vec![("supervisor".to_owned(), supervisor)];
    if let Some(gateway) = &status.gateway {
        processes.push(("gateway".to_owned(), (gateway.pid, gateway.rss_bytes)));
    }
    for worker in &status.workers {
        let does =
            if worker.model.is_empty() { worker.state.clone() } else { format!("with {}", worker.model) };
        processes.push((format!("{} {does}", worker.id), (worker.pid, worker.rss_bytes)));
    }
    let memory = |(process, (pid, rss_bytes))| Memory { process, pid, rss_bytes };
    processes.into_iter().map(memory).filter(|memory| memory.pid != 0).collect()
}

#[cfg(test)]
mod tests;

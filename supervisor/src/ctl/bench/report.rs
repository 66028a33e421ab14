//! What a bench says in the end.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use super::{
    figures::Spread,
    part::{Figures, SideFigures},
    stages::StageFigures,
};
use crate::ctl::table::{Table, size};

/// Everything of one run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) model: String,
    pub(super) server: Server,
    pub(super) vs: Option<Peer>,
    /// Rounds of each server in each cell.
    pub(super) pairs: u32,
    pub(super) cells: Vec<Figures>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) memory: Vec<Memory>,
}

/// Our own server.
#[derive(Debug, Serialize)]
pub(super) struct Server {
    pub(super) url: String,
    pub(super) version: String,
    pub(super) slots: u32,
    pub(super) context_tokens: u32,
}

/// The other one.
#[derive(Debug, Serialize)]
pub(super) struct Peer {
    pub(super) url: String,
    pub(super) model: String,
    /// Whether its completions have their full length whatever the model says.
    pub(super) ignores_end: bool,
}

/// What was asked for and not measured.
#[derive(Debug, Serialize)]
pub(super) struct Skipped {
    pub(super) workload: &'static str,
    pub(super) prompt_tokens: u32,
    pub(super) completion_tokens: u32,
    pub(super) reason: String,
}

/// What a process of ours holds after the run.
#[derive(Debug, Serialize)]
pub(super) struct Memory {
    pub(super) process: String,
    pub(super) pid: u32,
    pub(super) rss_bytes: u64,
}

impl Report {
    pub(super) fn has_failures(&self) -> bool {
        let sides = self.cells.iter().flat_map(|cell| [Some(&cell.ours), cell.vs.as_ref()]);
        sides.flatten().any(|side| side.failed > 0)
    }

    /// The report for people.
    pub(super) fn text(&self) -> String {
        let Server { url, version, slots, context_tokens } = &self.server;
        let mut text = format!(
            "{} on {url}, impetus {version}, {slots} slots of {context_tokens} tokens; {} rounds of each cell\n",
            self.model, self.pairs
        );
        if let Some(peer) = &self.vs {
            let _ = writeln!(text, "vs {} on {}", peer.model, peer.url);
            if !peer.ignores_end {
                text.push_str("vs knows no ignore_eos: its completions may be shorter\n");
            }
        }
        let _ = writeln!(text, "\n{}\n{}", self.speeds(), self.stages());
        let _ = writeln!(text, "microseconds of a request, and of a token (/T)\n{}", self.counters());
        for memory in &self.memory {
            let Memory { process, pid, rss_bytes } = memory;
            let _ = writeln!(text, "memory of {process}, pid {pid}: {}", size(*rss_bytes));
        }
        for skipped in &self.skipped {
            let Skipped { workload, prompt_tokens, completion_tokens, reason } = skipped;
            let _ = writeln!(
                text,
                "not measured: {workload} of {prompt_tokens} and {completion_tokens} tokens: {reason}"
            );
        }
        for cell in &self.cells {
            let sides = [("", Some(&cell.ours)), ("vs, ", cell.vs.as_ref())];
            for (name, failure) in
                sides.into_iter().filter_map(|(name, side)| Some((name, side?.first_failure.as_ref()?)))
            {
                let _ = writeln!(text, "failed: {name}{}, {}: {failure}", cell.workload, cell.arrivals());
            }
        }
        text
    }

    fn speeds(&self) -> Table<11> {
        let mut table = Table::new(&[
            "WORKLOAD",
            "STREAMS",
            "PROMPT",
            "TOKENS",
            "SERVER",
            "FIRST TOKEN, MS",
            "BETWEEN TOKENS, MS",
            "PREFILL/S",
            "DECODE/S",
            "ALL/S",
            "FAILED",
        ]);
        for cell in &self.cells {
            let head = [
                cell.workload.to_owned(),
                cell.arrivals(),
                cell.prompt_tokens.to_string(),
                cell.completion_tokens.to_string(),
            ];
            table.row(side(head.clone(), "ours", &cell.ours));
            if let Some(theirs) = &cell.vs {
                table.row(side(head.clone(), "vs", theirs));
            }
            if let Some(ratios) = &cell.ratios {
                let [workload, streams, prompt, tokens] = head;
                let ratio = |value: Option<f64>| number(value, 3);
                table.row([
                    workload,
                    streams,
                    prompt,
                    tokens,
                    "ratio".into(),
                    ratio(ratios.first_token_ms),
                    ratio(ratios.inter_token_ms),
                    ratio(ratios.prefill_tokens_per_s),
                    ratio(ratios.decode_tokens_per_s),
                    ratio(ratios.tokens_per_s),
                    String::new(),
                ]);
            }
        }
        table
    }

    /// Where the time of requests to our own server goes.
    fn stages(&self) -> Table<10> {
        let mut table = Table::new(&[
            "WORKLOAD",
            "STREAMS",
            "PROMPT",
            "QUEUE, MS",
            "PREFILL, MS",
            "DECODE, MS",
            "OUTSIDE, MS",
            "ENGINE",
            "US/STEP",
            "GUESSED",
        ]);
        for cell in &self.cells {
            let stage = |value: Option<Option<f64>>| number(value.flatten(), 1);
            let stages = cell.ours.stages_ms.as_ref();
            let engine = |name: &str| cell.ours.engine.as_ref().and_then(|engine| engine.get(name));
            let share = engine("share_of_time").and_then(Value::as_f64);
            let guessed = engine("guessed_tokens").and_then(Value::as_u64).unwrap_or_default();
            let accepted = engine("accepted_tokens").and_then(Value::as_u64).unwrap_or_default();
            table.row([
                cell.workload.to_owned(),
                cell.arrivals(),
                cell.prompt_tokens.to_string(),
                stage(stages.map(|stages| stages.queue)),
                stage(stages.map(|stages| stages.prefill)),
                stage(stages.map(|stages| stages.decode)),
                stage(stages.map(|stages| stages.outside)),
                share.map_or_else(|| "-".into(), |share| format!("{:.1} %", share * 100.0)),
                number(engine("us_per_step").and_then(Value::as_f64), 0),
                if guessed > 0 { format!("{accepted} of {guessed}") } else { "-".into() },
            ]);
        }
        table
    }

    /// The same in detail, by the counters of our own processes.
    fn counters(&self) -> Table<15> {
        let mut table = Table::new(&[
            "WORKLOAD",
            "STREAMS",
            "PROMPT",
            "HTTP",
            "LEASE",
            "TOKENIZE",
            "QUEUE",
            "PREFILL",
            "KEEP",
            "COMPOSE/T",
            "DECODE/T",
            "SAMPLE/T",
            "DETOKENIZE/T",
            "EVENTS/T",
            "SSE/T",
        ]);
        for cell in &self.cells {
            let Some(StageFigures { per_request, per_token }) = &cell.ours.stages_us else { continue };
            let (once, each) = (|us| number(us, 0), |us| number(us, 2));
            table.row([
                cell.workload.to_owned(),
                cell.arrivals(),
                cell.prompt_tokens.to_string(),
                once(per_request.http),
                once(per_request.lease),
                once(per_request.tokenize),
                once(per_request.queue),
                once(per_request.prefill),
                once(per_request.keep),
                each(per_token.compose),
                each(per_token.decode),
                each(per_token.sample),
                each(per_token.detokenize),
                each(per_token.events),
                each(per_token.sse),
            ]);
        }
        table
    }
}

fn side(head: [String; 4], name: &str, side: &SideFigures) -> [String; 11] {
    let [workload, streams, prompt, tokens] = head;
    [
        workload,
        streams,
        prompt,
        tokens,
        name.to_owned(),
        spread(side.first_token_ms),
        spread(side.inter_token_ms),
        number(side.prefill_tokens_per_s, 1),
        number(side.decode_tokens_per_s, 1),
        number(side.tokens_per_s, 1),
        format!("{} of {}", side.failed, side.requests),
    ]
}

/// Half, 95 and 99 of a hundred: `1.0 / 2.0 / 3.0`.
fn spread(spread: Option<Spread>) -> String {
    let text = |Spread { p50, p95, p99 }| format!("{p50:.1} / {p95:.1} / {p99:.1}");
    spread.map_or_else(|| "-".into(), text)
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests;

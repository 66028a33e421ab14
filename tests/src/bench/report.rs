//! Medians of what was measured, as a table and as JSON.

use std::{fmt::Write as _, fs, io::Write as _, path::Path, time::Instant};

use anyhow::Context;
use serde_json::{Value, json};

use super::{
    Measured, PAIRS, Task, formats, lookup, masks,
    model::BenchModel,
    overhead,
    process::{self, Memory},
};

/// What decoding through the gateway may lose, as the least ratio of gateway to engine alone.
const DECODE_GOAL: f64 = 0.97;
/// What supervisor and gateway may keep resident together when idle, in bytes.
const IDLE_GOAL_BYTES: u64 = 40_000_000;

/// Everything of one run.
pub(super) struct Report {
    begun: Instant,
    load: Option<f64>,
    model: Value,
    groups: Vec<Group>,
    /// Supervisor and gateway, of each start.
    idle: Vec<[Memory; 2]>,
    /// The engines of all formats against each other.
    formats: Value,
    /// What it costs to hold an output to a grammar.
    masks: Value,
    /// What the gateway adds to a request.
    overhead: Value,
    /// What guessing brings.
    lookup: Value,
}

/// What was measured with one number of engine threads and of streams.
pub(super) struct Group {
    threads: u32,
    load: Task,
    alone: Vec<Measured>,
    gateway: Vec<Measured>,
    costs: Vec<Cost>,
}

/// What the processes say of one run through the gateway.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub(super) tokens: f64,
    pub(super) steps: f64,
    /// From the request to the end of its answer.
    pub(super) wall_us: f64,
    /// Of that, inside the engine.
    pub(super) step_us: f64,
    /// Processor time of supervisor, gateway and worker.
    pub(super) cpu_us: Option<[f64; 3]>,
}

/// Puts what a part has measured into words.
type Table = fn(&Value) -> Result<String, std::fmt::Error>;

impl Report {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            load: process::load(),
            model: Value::Null,
            groups: Vec::new(),
            idle: Vec::new(),
            formats: Value::Null,
            masks: Value::Null,
            overhead: Value::Null,
            lookup: Value::Null,
        }
    }

    /// What the gateway is measured with.
    pub(super) fn model(&mut self, model: &BenchModel) {
        let file = model.path.file_name().map(|name| name.to_string_lossy().into_owned());
        self.model = json!({"file": file, "parameters": model.parameters, "bytes": model.bytes});
    }

    pub(super) fn idle(&mut self, memory: Option<[Memory; 2]>) {
        self.idle.extend(memory);
    }

    pub(super) fn add(&mut self, group: Group) {
        self.groups.push(group);
    }

    pub(super) fn formats(&mut self, formats: Value) {
        self.formats = formats;
    }

    pub(super) fn masks(&mut self, masks: Value) {
        self.masks = masks;
    }

    pub(super) fn overhead(&mut self, overhead: Value) {
        self.overhead = overhead;
    }

    pub(super) fn lookup(&mut self, lookup: Value) {
        self.lookup = lookup;
    }

    /// Prints the tables of what was measured and writes `path`.
    pub(super) fn finish(self, path: &Path) -> anyhow::Result<()> {
        let json = self.json();
        let parts: [(&str, Table); 4] = [
            ("overhead", overhead::table),
            ("lookup", lookup::table),
            ("formats", formats::table),
            ("masks", masks::table),
        ];
        let mut tables = Vec::new();
        if !self.groups.is_empty() {
            tables.push(table(&json).context("writing the table")?);
        }
        for (part, table) in parts.into_iter().filter(|(part, _)| !json[part].is_null()) {
            tables.push(table(&json[part]).with_context(|| format!("writing the table of {part}"))?);
        }
        std::io::stdout().write_all(tables.join("\n").as_bytes()).context("printing the tables")?;
        fs::write(path, format!("{json:#}\n")).with_context(|| format!("writing {}", path.display()))
    }

    fn json(&self) -> Value {
        let memory = |of: fn(&Memory) -> u64| {
            let part = |idx: usize| median(self.idle.iter().map(|memory| of(&memory[idx]) as f64));
            let sum = self.idle.iter().map(|[supervisor, gateway]| (of(supervisor) + of(gateway)) as f64);
            json!({"supervisor": part(0), "gateway": part(1), "sum": median(sum)})
        };
        json!({
            "machine": process::processor(),
            "load_before": self.load,
            "load_after": process::load(),
            "seconds": self.begun.elapsed().as_secs(),
            "model": self.model,
            "pairs": PAIRS,
            "goals": {"decode_ratio": DECODE_GOAL, "idle_rss_bytes": IDLE_GOAL_BYTES},
            "measurements": self.groups.iter().map(Group::json).collect::<Vec<_>>(),
            "idle_rss_bytes": memory(|memory| memory.rss),
            "idle_pss_bytes": memory(|memory| memory.pss),
            "formats": self.formats,
            "masks": self.masks,
            "overhead": self.overhead,
            "lookup": self.lookup,
        })
    }
}

impl Group {
    pub(super) fn new(threads: u32, load: Task) -> Self {
        Self { threads, load, alone: Vec::new(), gateway: Vec::new(), costs: Vec::new() }
    }

    pub(super) fn add(&mut self, alone: Measured, gateway: Measured, cost: Cost) {
        self.alone.push(alone);
        self.gateway.push(gateway);
        self.costs.push(cost);
    }

    fn json(&self) -> Value {
        let compared = |of: fn(&Measured) -> f64| {
            let ratios: Vec<f64> = self
                .alone
                .iter()
                .zip(&self.gateway)
                .map(|(alone, through)| of(through) / of(alone))
                .collect();
            json!({
                "engine_alone": median(self.alone.iter().map(of)),
                "gateway": median(self.gateway.iter().map(of)),
                "ratio": median(ratios.iter().copied()),
                "ratios": ratios,
            })
        };
        let sum = |of: fn(&Cost) -> f64| self.costs.iter().map(of).sum::<f64>();
        let cpu =
            |idx: usize| self.costs.iter().map(|cost| cost.cpu_us.map(|cpu| cpu[idx])).sum::<Option<f64>>();
        let per_token = |idx| cpu(idx).map(|us| us / sum(|cost| cost.tokens));
        let of_worker = |idx| cpu(idx).zip(cpu(2)).map(|(us, worker)| us / worker);
        json!({
            "threads": self.threads,
            "streams": self.load.streams,
            "prompt_tokens": self.load.prompt_tokens,
            "completion_tokens": self.load.completion_tokens,
            "decode_tokens_per_s": compared(|measured| measured.decode),
            "prefill_tokens_per_s": compared(|measured| measured.prefill),
            "outside_engine_us_per_step":
                median(self.costs.iter().map(|cost| (cost.wall_us - cost.step_us) / cost.steps)),
            "engine_share_of_wall_time": median(self.costs.iter().map(|cost| cost.step_us / cost.wall_us)),
            "cpu_us_per_token":
                {"supervisor": per_token(0), "gateway": per_token(1), "worker": per_token(2)},
            "cpu_share_of_worker": {"supervisor": of_worker(0), "gateway": of_worker(1)},
        })
    }
}

fn table(json: &Value) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let percent = |value: &Value| number(value) * 100.0;
    writeln!(
        out,
        "{}, load {} before and {} after",
        json["machine"], json["load_before"], json["load_after"]
    )?;
    writeln!(
        out,
        "{}: {:.1} M parameters; medians of {} pairs; {} s\n",
        json["model"]["file"],
        number(&json["model"]["parameters"]) / 1e6,
        json["pairs"],
        json["seconds"],
    )?;
    writeln!(
        out,
        "{:>7} {:>7} | {:>28} | {:>28} | {:>20} | {:>26}",
        "engine", "", "decode, tokens/s", "prefill, tokens/s", "outside the engine", "CPU per token, µs"
    )?;
    writeln!(
        out,
        "{:>7} {:>7} | {:>10} {:>9} {:>7} | {:>10} {:>9} {:>7} | {:>11} {:>8} | {:>10} {:>7} {:>7}",
        "threads",
        "streams",
        "alone",
        "gateway",
        "ratio",
        "alone",
        "gateway",
        "ratio",
        "µs a step",
        "of time",
        "supervisor",
        "gateway",
        "worker"
    )?;
    for row in json["measurements"].as_array().into_iter().flatten() {
        let (decode, prefill) = (&row["decode_tokens_per_s"], &row["prefill_tokens_per_s"]);
        let cpu = &row["cpu_us_per_token"];
        writeln!(
            out,
            "{:>7} {:>7} | {:>10.1} {:>9.1} {:>7.3} | {:>10.1} {:>9.1} {:>7.3} | {:>11.0} {:>7.2}% | {:>10.0} \
             {:>7.0} {:>7.0}",
            row["threads"].to_string(),
            row["streams"].to_string(),
            number(&decode["engine_alone"]),
            number(&decode["gateway"]),
            number(&decode["ratio"]),
            number(&prefill["engine_alone"]),
            number(&prefill["gateway"]),
            number(&prefill["ratio"]),
            number(&row["outside_engine_us_per_step"]),
            100.0 - percent(&row["engine_share_of_wall_time"]),
            number(&cpu["supervisor"]),
            number(&cpu["gateway"]),
            number(&cpu["worker"]),
        )?;
    }
    writeln!(out)?;
    for (name, memory) in [("resident", &json["idle_rss_bytes"]), ("proportional", &json["idle_pss_bytes"])] {
        let megabytes = |part: &str| number(&memory[part]) / 1e6;
        writeln!(
            out,
            "idle, {name}: supervisor {:.1} MB + gateway {:.1} MB = {:.1} MB (goal: under {} MB resident)",
            megabytes("supervisor"),
            megabytes("gateway"),
            megabytes("sum"),
            IDLE_GOAL_BYTES / 1_000_000,
        )?;
    }
    writeln!(out, "goal for decode through the gateway: at least {DECODE_GOAL} of the engine alone")?;
    Ok(out)
}

/// A number of the report; none is not a number.
pub(super) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// The middle value, or the mean of the two in the middle; none of nothing.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let check =
            |values: &[f64], expected| assert_eq!(median(values.iter().copied()), expected, "{values:?}");
        check(&[], None);
        check(&[3.0], Some(3.0));
        check(&[9.0, 1.0, 2.0], Some(2.0));
        check(&[4.0, 1.0, 2.0, 9.0], Some(3.0));
    }
}

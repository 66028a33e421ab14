//! The engines of the three formats against each other: the same weights, the same tasks, in turns.

use std::{fmt::Write as _, path::Path};

use serde_json::{Value, json};

use super::{
    Measured, Task,
    engine::EngineAlone,
    folder,
    gguf::Element,
    model,
    report::{median, number},
};

/// The formats, the one that the others are compared with first.
const FORMATS: [&str; 3] = ["gguf", "candle", "onnx"];
const SLOTS: u32 = 8;
const CONTEXT_TOKENS: u32 = 512;
/// Turns of every engine.
const TURNS: u32 = 3;
/// What decoding and prefill should reach of worker-gguf's speed.
const GOAL: f64 = 0.8;

const LOADS: [Task; 2] = [
    Task { streams: 1, prompt_tokens: 256, completion_tokens: 49, seed: 0 },
    Task { streams: 8, prompt_tokens: 128, completion_tokens: 33, seed: 0 },
];
const WARM_UP: Task = Task { streams: 2, prompt_tokens: 32, completion_tokens: 5, seed: 0 };

/// What one engine did with one load.
struct Row {
    format: &'static str,
    measured: Vec<Measured>,
    /// Tokens of the first stream, of each turn.
    tokens: Vec<Vec<u32>>,
}

/// Measures all formats with `threads` engine threads; the models' files go to `dir`.
pub(super) fn measure(programs: &Path, dir: &Path, threads: u32) -> anyhow::Result<Value> {
    let mut groups = Vec::new();
    for element in [Element::F32, Element::F16] {
        let source = folder::hugging_face(dir, element)?;
        let paths =
            [model::prepare(dir, element)?.path, source.clone(), folder::onnx(dir, &source, element)?];
        let mut engines = Vec::new();
        for (format, path) in FORMATS.into_iter().zip(&paths) {
            let mut engine = EngineAlone::start(programs, format, path, [SLOTS, CONTEXT_TOKENS, threads])?;
            engine.run(WARM_UP)?;
            engines.push(engine);
        }
        for load in LOADS {
            let mut rows = FORMATS.map(|format| Row { format, measured: Vec::new(), tokens: Vec::new() });
            for turn in 0..TURNS {
                let task = Task { seed: load.streams * 100 + turn, ..load };
                // Whoever goes first may find the machine in another state, so they take turns at that too.
                for place in 0..FORMATS.len() {
                    let idx = (place + turn as usize) % FORMATS.len();
                    let (measured, tokens) = engines[idx].run(task)?;
                    rows[idx].measured.push(measured);
                    rows[idx].tokens.push(tokens);
                }
            }
            groups.push(group(element, load, threads, &rows));
        }
    }
    Ok(json!({"goal": GOAL, "turns": TURNS, "measurements": groups}))
}

fn group(element: Element, load: Task, threads: u32, rows: &[Row; 3]) -> Value {
    let first = &rows[0];
    let compared = |row: &Row, of: fn(&Measured) -> f64| {
        let ratios = row.measured.iter().zip(&first.measured).map(|(own, other)| of(own) / of(other));
        json!({"tokens_per_s": median(row.measured.iter().map(of)), "ratio": median(ratios)})
    };
    let engines: Vec<Value> = rows
        .iter()
        .map(|row| {
            let pairs = row.tokens.iter().zip(&first.tokens);
            let equal = pairs.clone().filter(|(own, other)| own == other).count();
            json!({
                "format": row.format,
                "decode": compared(row, |measured| measured.decode),
                "prefill": compared(row, |measured| measured.prefill),
                "equal_completions": equal,
            })
        })
        .collect();
    json!({
        "weights": element.name(),
        "threads": threads,
        "streams": load.streams,
        "prompt_tokens": load.prompt_tokens,
        "completion_tokens": load.completion_tokens,
        "engines": engines,
    })
}

/// The table of what [`measure`] gave.
pub(super) fn table(json: &Value) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(out, "engines alone, the same weights in each format; medians of {} turns\n", json["turns"])?;
    writeln!(
        out,
        "{:>7} {:>7} {:>7} {:>7} | {:>10} {:>7} | {:>10} {:>7} | {:>16}",
        "weights", "threads", "streams", "format", "decode", "ratio", "prefill", "ratio", "same completions"
    )?;
    for group in json["measurements"].as_array().into_iter().flatten() {
        for engine in group["engines"].as_array().into_iter().flatten() {
            writeln!(
                out,
                "{:>7} {:>7} {:>7} {:>7} | {:>10.1} {:>7.3} | {:>10.1} {:>7.3} | {:>11} of {:>1}",
                group["weights"].as_str().unwrap_or_default(),
                group["threads"].to_string(),
                group["streams"].to_string(),
                engine["format"].as_str().unwrap_or_default(),
                number(&engine["decode"]["tokens_per_s"]),
                number(&engine["decode"]["ratio"]),
                number(&engine["prefill"]["tokens_per_s"]),
                number(&engine["prefill"]["ratio"]),
                engine["equal_completions"].to_string(),
                json["turns"].to_string(),
            )?;
        }
    }
    writeln!(out, "\ngoal: at least {} of gguf", json["goal"])?;
    Ok(out)
}

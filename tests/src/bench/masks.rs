//! What it costs to hold an output to a grammar: the time from a token to the mask of the next one, over a vocabulary of
//! 128,000 tokens.

mod vocabulary;

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use impetus_proto::worker::{Choices, structure::Structure};
use impetus_runtime::{
    engine::{TokenId, Vocabulary},
    sampling::grammar::{Grammar, Grammars, Source, structure},
};
use serde_json::{Value, json};

use super::report::number;

/// What the 99th percentile is to stay under, in microseconds.
const GOAL_US: f64 = 100.0;

/// Documents of each kind, and runs over each. The work is the same in every run, so the least time counts: what is
/// above it is the machine's.
const DOCUMENTS: usize = 24;
const RUNS: usize = 5;

/// As long as a quick engine computes a token; masks are computed meanwhile.
const STEP: Duration = Duration::from_millis(4);

/// Measures masks of all kinds.
pub(super) fn measure() -> anyhow::Result<Value> {
    let vocabulary = vocabulary::large();
    let grammars = Grammars::new(Arc::clone(&vocabulary) as Arc<dyn Vocabulary>);
    let begun = Instant::now();
    grammars.prepare();
    let prepared = begun.elapsed();
    let mut rows = Vec::new();
    for (name, structure, documents) in cases() {
        let begun = Instant::now();
        let content = grammars.content(&structure).context("compiling")?;
        let grammar =
            grammars.compile(&structure::alone(&content), Source::of(&structure)).context("compiling")?;
        let compiled = begun.elapsed();
        let documents: Vec<Vec<TokenId>> = documents.iter().map(|text| vocabulary.greedy(text)).collect();
        let mut masks = Vec::new();
        for document in &documents {
            let mut least = vec![f64::INFINITY; document.len()];
            for _ in 0..RUNS {
                let times = inline(&grammar, document).with_context(|| format!("a document of `{name}`"))?;
                least.iter_mut().zip(times).for_each(|(least, time)| *least = least.min(time));
            }
            masks.extend(least);
        }
        let waits = overlapped(&grammar, &documents[0], vocabulary.size())?;
        rows.push(json!({
            "grammar": name,
            "compile_ms": compiled.as_secs_f64() * 1e3,
            "tokens": masks.len(),
            "p50_us": percentile(&mut masks, 0.5),
            "p99_us": percentile(&mut masks, 0.99),
            "wait_p99_us": percentile(&mut waits.clone(), 0.99),
        }));
    }
    Ok(json!({
        "vocabulary": vocabulary.source(),
        "tokens": vocabulary.size(),
        "prepare_ms": prepared.as_secs_f64() * 1e3,
        "goal_p99_us": GOAL_US,
        "grammars": rows,
    }))
}

/// Microseconds from each token to the next mask, where nothing else goes on.
fn inline(grammar: &Grammar, document: &[TokenId]) -> anyhow::Result<Vec<f64>> {
    let mut constraint = grammar.begin(false);
    let mut times = Vec::with_capacity(document.len());
    for &token in document {
        let begun = Instant::now();
        constraint.replay(&[token])?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    constraint.mask(&mut [0.0]).context("following the grammar")?;
    Ok(times)
}

/// Microseconds that sampling waits for each mask where it is computed during a step, its application included.
fn overlapped(grammar: &Grammar, document: &[TokenId], size: u32) -> anyhow::Result<Vec<f64>> {
    let mut constraint = grammar.begin(false);
    let mut logits = vec![0.0; size as usize];
    let mut times = Vec::with_capacity(document.len());
    for &token in document {
        constraint.accept(token);
        std::thread::sleep(STEP);
        let begun = Instant::now();
        constraint.mask(&mut logits).context("following the grammar")?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    Ok(times)
}

fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let idx = (values.len() as f64 * share) as usize;
    values.get(idx.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// Grammars, and texts that keep to them.
fn cases() -> Vec<(&'static str, Structure, Vec<String>)> {
    let order = json!({
        "type": "object",
        "properties": {
            "id": {"type": "integer", "minimum": 1},
            "customer": {"type": "string", "minLength": 1, "maxLength": 80},
            "created": {"type": "string", "format": "date-time"},
            "status": {"enum": ["open", "paid", "sent"]},
            "lines": {"type": "array", "minItems": 1, "items": {
                "type": "object",
                "properties": {
                    "article": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4}$"},
                    "count": {"type": "integer", "minimum": 1, "maximum": 999},
                    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                },
                "required": ["article", "count", "note"], "additionalProperties": false,
            }},
        },
        "required": ["id", "customer", "created", "status", "lines"], "additionalProperties": false,
    });
    let words =
        ["delivered", "to", "the", "back", "door", "of", "house", "before", "noon", "as", "agreed", "twice"];
    let prose = |n: usize, length: usize| {
        let words: Vec<_> = (0..length).map(|idx| words[(n * 7 + idx * 5 + idx / 3) % words.len()]).collect();
        words.join(" ")
    };
    let orders = (0..DOCUMENTS).map(|n| {
        let lines: Vec<_> = (0..=n % 3)
            .map(|idx| json!({"article": format!("AB-{:04}", n * 31 + idx), "count": 1 + n, "note": prose(n + idx, 12)}))
            .collect();
        let created = format!("2026-03-{:02}T10:{:02}:00Z", 1 + n, n);
        json!({"id": 1000 + n, "customer": prose(n, 4), "created": created, "status": "paid", "lines": lines}).to_string()
    });
    let objects = (0..DOCUMENTS).map(|n| {
        let value = json!({"title": prose(n, 6), "parts": [1, 2.5, null, {"text": prose(n + 1, 20)}], "done": n % 2 == 0});
        serde_json::to_string_pretty(&value).unwrap_or_default()
    });
    let labels = (0..DOCUMENTS).map(|n| format!("AB-{:06}: {}", n * 977, prose(n, 12)));
    let sums = (0..DOCUMENTS).map(|n| format!("({n} + 27) * (3 - {}) / 4", n * n));
    let lark = "start: sum\nsum: term ((\"+\" | \"-\") term)*\nterm: atom ((\"*\" | \"/\") atom)*\n\
                atom: NUMBER | \"(\" sum \")\"\nNUMBER: /[0-9]+/\n%ignore / /\n";
    let choices = Choices { texts: (0..500).map(|n| format!("label {n}")).collect() };
    vec![
        ("json_schema", Structure::JsonSchema(order.to_string()), orders.collect()),
        ("json_object", Structure::JsonObject(true), objects.collect()),
        ("regex", Structure::Regex(r"[A-Z]{2}-\d{4,8}(?:: [a-z ]+)?".to_owned()), labels.collect()),
        (
            "bounded text",
            Structure::Regex("[a-z ]{0,400}".to_owned()),
            (0..DOCUMENTS).map(|n| prose(n, 30)).collect(),
        ),
        ("lark", Structure::Lark(lark.to_owned()), sums.collect()),
        (
            "choices",
            Structure::Choices(choices),
            (0..DOCUMENTS).map(|n| format!("label {}", n * 17)).collect(),
        ),
    ]
}

/// The table of [`measure`]'s answer.
pub(super) fn table(json: &Value) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(
        out,
        "masks over {} tokens ({}), prepared in {:.0} ms; microseconds from a token to the next mask\n",
        json["tokens"],
        json["vocabulary"].as_str().unwrap_or_default(),
        number(&json["prepare_ms"]),
    )?;
    writeln!(
        out,
        "{:>12} {:>11} | {:>8} {:>8} {:>8} | {:>18}",
        "grammar", "compile, ms", "tokens", "p50", "p99", "wait in step, p99"
    )?;
    for row in json["grammars"].as_array().into_iter().flatten() {
        writeln!(
            out,
            "{:>12} {:>11.1} | {:>8} {:>8.1} {:>8.1} | {:>18.1}",
            row["grammar"].as_str().unwrap_or_default(),
            number(&row["compile_ms"]),
            row["tokens"].to_string(),
            number(&row["p50_us"]),
            number(&row["p99_us"]),
            number(&row["wait_p99_us"]),
        )?;
    }
    writeln!(out, "goal: p99 under {GOAL_US} µs")?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_keep_to_their_grammars() {
        let vocabulary = Arc::new(vocabulary::made_up(2000));
        let grammars = Grammars::new(Arc::clone(&vocabulary) as Arc<dyn Vocabulary>);
        for (name, structure, documents) in cases() {
            let content = grammars.content(&structure).unwrap();
            let grammar = grammars.compile(&structure::alone(&content), Source::of(&structure)).unwrap();
            for document in documents {
                assert!(grammar.accepts(&vocabulary.greedy(&document)), "{name}: {document}");
            }
        }
    }

    #[test]
    fn percentiles_are_of_sorted_values() {
        let mut values = [5.0, 1.0, 3.0];
        assert!((percentile(&mut values, 0.5) - 3.0).abs() < 1e-9);
        assert!((percentile(&mut values, 0.99) - 5.0).abs() < 1e-9);
    }
}

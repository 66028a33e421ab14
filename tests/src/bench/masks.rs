//! What it costs to hold an output to a grammar: the time from a token to the mask of the next one, over a vocabulary of
//! 128,000 tokens.

mod schemas;
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

/// Schemas put together at random, each with one document.
const SCHEMAS: u64 = 200;

/// A grammar, and texts that keep to it.
struct Case {
    structure: Structure,
    documents: Vec<String>,
}

/// Measures masks of all kinds.
pub(super) fn measure() -> anyhow::Result<Value> {
    let vocabulary = vocabulary::large();
    let grammars = Grammars::new(Arc::clone(&vocabulary) as Arc<dyn Vocabulary>);
    let begun = Instant::now();
    grammars.prepare();
    let prepared = begun.elapsed();
    let mut rows = Vec::new();
    for (name, cases) in kinds() {
        let (mut masks, mut waits, mut compiles) = (Vec::new(), Vec::new(), Vec::new());
        for (n, Case { structure, documents }) in cases.iter().enumerate() {
            let begun = Instant::now();
            let grammar = compile(&grammars, structure).with_context(|| format!("compiling `{name}`"))?;
            compiles.push(begun.elapsed().as_secs_f64() * 1e3);
            for document in documents {
                let tokens = vocabulary.greedy(document);
                let times = least(&grammar, &tokens).with_context(|| format!("a document of `{name}`"))?;
                masks.extend(times);
            }
            if n == 0 {
                waits = overlapped(&grammar, &vocabulary.greedy(&documents[0]), vocabulary.size())?;
            }
        }
        rows.push(json!({
            "grammar": name,
            "grammars": cases.len(),
            "compile_ms": percentile(&mut compiles, 0.5),
            "tokens": masks.len(),
            "p50_us": percentile(&mut masks, 0.5),
            "p99_us": percentile(&mut masks, 0.99),
            "max_us": percentile(&mut masks, 1.0),
            "wait_p99_us": percentile(&mut waits, 0.99),
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

fn compile(grammars: &Grammars, structure: &Structure) -> anyhow::Result<Grammar> {
    let content = grammars.content(structure)?;
    Ok(grammars.compile(&structure::alone(&content), Source::of(structure))?)
}

/// The least times of several runs over a document, each of which begins anew.
fn least(grammar: &Grammar, document: &[TokenId]) -> anyhow::Result<Vec<f64>> {
    let mut least = vec![f64::INFINITY; document.len()];
    for _ in 0..RUNS {
        let times = inline(grammar, document)?;
        least.iter_mut().zip(times).for_each(|(least, time)| *least = least.min(time));
    }
    Ok(least)
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

/// What is measured together, by name.
fn kinds() -> Vec<(&'static str, Vec<Case>)> {
    let schemas = schemas::pairs(SCHEMAS).into_iter().map(|(schema, document)| Case {
        structure: Structure::JsonSchema(schema.to_string()),
        documents: vec![document],
    });
    let single =
        cases().into_iter().map(|(name, structure, documents)| (name, vec![Case { structure, documents }]));
    std::iter::once(("schemas", schemas.collect())).chain(single).collect()
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
        ("one schema", Structure::JsonSchema(order.to_string()), orders.collect()),
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
        "{:>12} {:>8} {:>11} | {:>8} {:>8} {:>8} {:>8} | {:>18}",
        "grammar", "grammars", "compile, ms", "tokens", "p50", "p99", "most", "wait in step, p99"
    )?;
    for row in json["grammars"].as_array().into_iter().flatten() {
        writeln!(
            out,
            "{:>12} {:>8} {:>11.1} | {:>8} {:>8.1} {:>8.1} {:>8.1} | {:>18.1}",
            row["grammar"].as_str().unwrap_or_default(),
            row["grammars"].to_string(),
            number(&row["compile_ms"]),
            row["tokens"].to_string(),
            number(&row["p50_us"]),
            number(&row["p99_us"]),
            number(&row["max_us"]),
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
        for (name, cases) in kinds() {
            for Case { structure, documents } in cases {
                let grammar = compile(&grammars, &structure).unwrap();
                for document in documents {
                    assert!(grammar.accepts(&vocabulary.greedy(&document)), "{name}: {document}");
                }
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

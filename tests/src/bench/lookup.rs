//! What guessing by looking up brings where a text is said again with small changes, as an editor has a model write a
//! file again: a model that recites is asked with its text, of which some tokens were changed, before it.

use std::{fmt::Write as _, path::Path};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{
    MODEL,
    ask::ask,
    gguf::Element,
    model::{self, EDITION, made_once},
    report::{median, number},
    server::{Server, Setup, Worker},
    weights::Shape,
};

const SHAPE: Shape = Shape {
    vocabulary: 32_000,
    layers: 8,
    width: 768,
    heads: 12,
    kv_heads: 4,
    head_length: 64,
    feed_forward: 2560,
    context_tokens: 4096,
};

/// The tokens that are recited: all but bytes and the end.
const RECITED: std::ops::Range<u32> = 256..SHAPE.vocabulary as u32 - 1;

/// A file of 300 lines of so many tokens, of which one in ten was changed.
const LINES: u32 = 300;
const LINE_TOKENS: u32 = 8;
const CHANGED: u32 = 10;

/// Tokens of it that are said again.
const TOKENS: u32 = 400;
const PAIRS: u32 = 5;
const SLOTS: u32 = 2;

/// What guessing should make of the speed without.
const GOAL: f64 = 2.0;

/// Measures with so many engine threads; the model's file goes to `dir`.
pub(super) fn measure(programs: &Path, dir: &Path, threads: u32) -> anyhow::Result<Value> {
    let path = dir.join(format!("reciting-{}-{EDITION}.gguf", Element::Q8_0.name()));
    made_once(&path, |unfinished| model::write_reciting(unfinished, &SHAPE, Element::Q8_0, RECITED))?;
    let start = |speculation: &str| {
        let settings = format!("workers.gguf.speculation = \"{speculation}\"\n");
        let models = [(MODEL, path.as_path())];
        let shape = [SLOTS, SHAPE.context_tokens, threads];
        let mut server = Server::start_with(
            programs,
            &Setup { models: &models, format: "gguf", shape, settings: &settings },
        )?;
        let worker = server.worker()?;
        Ok::<(Server, Worker), anyhow::Error>((server, worker))
    };
    let (mut with, mut without) = (start("lookup")?, start("off")?);
    let (mut fast, mut plain) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        let order = if pair % 2 == 0 { [true, false] } else { [false, true] };
        for guesses in order {
            let (side, (server, _)) =
                if guesses { (&mut fast, &mut with) } else { (&mut plain, &mut without) };
            side.push(decode(server, pair)?);
        }
    }
    let (server, worker) = &mut with;
    let stats = server.stats(worker)?;
    ensure!(stats.accepted_tokens > 0, "no guess came true: nothing was measured");
    Ok(json!({
        "goal": GOAL,
        "pairs": PAIRS,
        "lookup_tokens_per_s": median(fast.iter().copied()),
        "off_tokens_per_s": median(plain.iter().copied()),
        "ratio": median(fast.iter().zip(&plain).map(|(fast, plain)| fast / plain)),
        "guessed_tokens": stats.guessed_tokens,
        "accepted_tokens": stats.accepted_tokens,
    }))
}

/// The table of what [`measure`] gave.
pub(super) fn table(json: &Value) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(
        out,
        "a file of {LINES} lines said again with small changes; medians of {} pairs\n",
        json["pairs"]
    )?;
    writeln!(
        out,
        "decode: {:.1} tokens/s with guesses looked up, {:.1} without, ratio {:.3} (goal: at least {GOAL}); {} of {} \
         guessed tokens came true",
        number(&json["lookup_tokens_per_s"]),
        number(&json["off_tokens_per_s"]),
        number(&json["ratio"]),
        json["accepted_tokens"],
        json["guessed_tokens"],
    )?;
    Ok(out)
}

/// Tokens of one answer for each second from its first text to its last.
fn decode(server: &mut Server, pair: u32) -> anyhow::Result<f64> {
    let address = server.address()?.to_string();
    let asked = ask(&address, MODEL, prompt(pair), TOKENS)?;
    ensure!(asked.cached_tokens == 0, "{} tokens of a prompt were cached", asked.cached_tokens);
    let seconds = asked.last.checked_sub(asked.first).context("there was no time between two texts")?;
    Ok(asked.completion_tokens.saturating_sub(1) as f64 / seconds.as_secs_f64())
}

/// The file as it was, then the token before its first one: what follows is the file as it is to be.
fn prompt(pair: u32) -> Vec<u32> {
    let (begin, n_tokens) = (RECITED.start + 1 + pair * LINES * LINE_TOKENS, LINES * LINE_TOKENS);
    let written = |place: u32| {
        let is_changed = place % (CHANGED * LINE_TOKENS) == LINE_TOKENS / 2;
        // Another token of those that are far away.
        begin + if is_changed { place + (RECITED.end - RECITED.start) / 2 } else { place }
    };
    (0..n_tokens).map(written).chain([begin - 1]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_what_is_recited_but_for_its_changes() {
        for pair in 0..PAIRS {
            let prompt = prompt(pair);
            let (last, file) = prompt.split_last().unwrap();
            assert_eq!(file.len() as u32, LINES * LINE_TOKENS);
            assert!(prompt.iter().all(|token| RECITED.contains(token)), "pair {pair}");
            let changed = file.iter().zip(last + 1..).filter(|(token, recited)| *token != recited).count();
            assert_eq!(changed as u32, LINES / CHANGED);
        }
        assert!(prompt(0)[0] != prompt(1)[0] && LINES * LINE_TOKENS + TOKENS < SHAPE.context_tokens);
    }
}

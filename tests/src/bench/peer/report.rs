//! The report of `make bench-peer`.

use std::{fmt::Write as _, fs, io::Write as _, path::Path};

use anyhow::Context;
use serde_json::Value;

use crate::bench::report::number;

/// Prints what was measured with one model.
pub(super) fn print(model: &Value) -> anyhow::Result<()> {
    let text = table(model).context("writing a table")?;
    write!(std::io::stdout(), "{text}").context("printing a table")
}

/// Writes everything to `path`.
pub(super) fn write(report: &Value, path: &Path) -> anyhow::Result<()> {
    fs::write(path, format!("{report:#}\n")).with_context(|| format!("writing {}", path.display()))
}

fn table(model: &Value) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(out, "{}: {}", text(&model["model"]), text(&model["file"]))?;
    let speed = &model["speed"];
    if speed.is_object() {
        writeln!(out, "  ours {}\n  peer {}", speed["ours"], speed["peer"])?;
        for cell in speed["cells"].as_array().into_iter().flatten() {
            writeln!(
                out,
                "  {} streams, prompts of {} tokens, completions of {}",
                cell["streams"], cell["prompt_tokens"], cell["completion_tokens"]
            )?;
            for name in ["prefill_tokens_per_s", "decode_tokens_per_s", "tokens_per_s"] {
                line(&mut out, name, [&cell["ours"][name], &cell["vs"][name], &cell["ratios"][name]])?;
            }
            for name in ["first_token_ms", "inter_token_ms"] {
                line(
                    &mut out,
                    name,
                    [&cell["ours"][name]["p50"], &cell["vs"][name]["p50"], &cell["ratios"][name]],
                )?;
            }
        }
    }
    let swap = &model["swap"];
    if swap.is_object() {
        writeln!(out, "  another model, from the request to the first token; the peer from its start")?;
        line(&mut out, "first_token_ms", [&swap["ours_ms"], &swap["peer_ms"], &swap["ratio"]])?;
        let without = [&swap["ours_ms"], &swap["peer_without_python_ms"], &swap["ratio_without_python"]];
        line(&mut out, "peer without Python", without)?;
    }
    let conversation = &model["conversation"];
    if conversation.is_object() {
        let (ours, peer, ratios) = (&conversation["ours"], &conversation["peer"], &conversation["ratios"]);
        writeln!(out, "  a conversation of {} words and its second turn", conversation["words"])?;
        line(
            &mut out,
            "first_turn_ms",
            [&ours["first_turn_ms"], &peer["first_turn_ms"], &ratios["first_turn"]],
        )?;
        line(
            &mut out,
            "second_turn_ms",
            [&ours["second_turn_ms"], &peer["second_turn_ms"], &ratios["second_turn"]],
        )?;
        line(&mut out, "cached_tokens", [&ours["cached_tokens"], &peer["cached_tokens"], &Value::Null])?;
        for (name, what) in
            [("after_kill", "kill -9 of the worker"), ("after_unload", "the model was unloaded")]
        {
            let after = &conversation[name];
            writeln!(
                out,
                "  after {what}: first turn {:.0} ms, second {:.0} ms of which loading {:.0} ms; the rest is {:.3} of \
                 the first turn; {} tokens cached",
                number(&after["first_turn_ms"]),
                number(&after["second_turn_ms"]),
                number(&after["load_ms"]),
                number(&after["share_beyond_load"]),
                after["cached_tokens"],
            )?;
        }
    }
    Ok(out)
}

fn line(out: &mut String, name: &str, [ours, peer, ratio]: [&Value; 3]) -> std::fmt::Result {
    let figure = |value: &Value, decimals: usize| {
        value.as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
    };
    let (ours, peer, ratio) = (figure(ours, 1), figure(peer, 1), figure(ratio, 3));
    writeln!(out, "    {name:<22} ours {ours:>9}  peer {peer:>9}  ratio {ratio:>6}")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_not_measured_is_not_shown() {
        let swap = json!({"ours_ms": 100.0, "peer_ms": 400.0, "ratio": 0.25, "peer_without_python_ms": 200.0,
            "ratio_without_python": 0.5});
        let text = table(&json!({"model": "1b", "file": "f.gguf", "swap": swap})).unwrap();
        let expected = "1b: f.gguf\n  another model, from the request to the first token; the peer from its start\n    \
                        first_token_ms         ours     100.0  peer     400.0  ratio  0.250\n    \
                        peer without Python    ours     100.0  peer     200.0  ratio  0.500\n";
        assert_eq!(text, expected);
    }
}

//! `make bench-peer`: this server and llama.cpp's own beside each other, with the same file and equal settings, in
//! turns. What is compared are requests of `supervisorctl bench`, and what a change of models and a crash cost.

mod conversation;
mod models;
mod process;
mod report;
mod speed;
mod swap;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use self::models::PeerModel;
use super::process as machine;

/// What is measured, by name.
const PARTS: [&str; 3] = ["speed", "swap", "conversation"];

/// How the run goes.
#[derive(Debug, Clone, PartialEq)]
struct Plan {
    models: Vec<PeerModel>,
    parts: Vec<&'static str>,
    pairs: u32,
    threads: u32,
    /// Tokens of the conversation.
    turn_tokens: u32,
    /// Further lines of our server's configuration.
    settings: String,
    /// Where our programs are; none: beside this one.
    programs: Option<PathBuf>,
}

/// Where things are.
struct Site<'a> {
    /// The folder of our programs.
    programs: &'a Path,
    /// The folder of the models.
    dir: &'a Path,
}

/// Measures what `arguments` name: parts (speed, swap, conversation), models (1b, 100m, small), `--pairs N`,
/// `--threads N`, `--turn-tokens N`, lines for our server's configuration after `--set`, the folder of our programs
/// after `--programs`; everything but the small model by default. Prints tables and writes `bench-peer.json` beside the folder that cargo built into.
pub fn run(arguments: &[String]) -> anyhow::Result<()> {
    let plan = Plan::parse(arguments)?;
    let program = std::env::current_exe().context("finding this program")?;
    let programs = program.parent().context("a program lies in a folder")?;
    let target = programs.parent().context("cargo builds into a folder of its target folder")?;
    let dir = target.join("bench");
    let site = Site { programs: plan.programs.as_deref().unwrap_or(programs), dir: &dir };
    let mut models = Vec::new();
    for &model in &plan.models {
        let measured = measure(&site, &plan, model).with_context(|| format!("measuring {}", model.name()))?;
        report::print(&measured)?;
        models.push(measured);
    }
    let report = json!({"machine": machine::processor(), "load": machine::load(), "pairs": plan.pairs, "models": models});
    report::write(&report, &target.join("bench-peer.json"))
}

fn measure(site: &Site<'_>, plan: &Plan, model: PeerModel) -> anyhow::Result<Value> {
    let file = model.prepare(site.dir)?;
    let mut measured =
        json!({"model": model.name(), "file": file.file_name().map(|name| name.to_string_lossy())});
    for &part in &plan.parts {
        let figures = match part {
            "speed" => speed::measure(site, plan, &file)?,
            "swap" => swap::measure(site, plan, &file)?,
            _ => conversation::measure(site, plan, &file)?,
        };
        measured[part] = figures;
    }
    Ok(measured)
}

impl Plan {
    fn parse(arguments: &[String]) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        let mut plan = Self {
            models: Vec::new(),
            parts: Vec::new(),
            pairs: 5,
            threads: cores,
            turn_tokens: 4000,
            settings: String::new(),
            programs: None,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            if let Some(part) = PARTS.into_iter().find(|part| part == argument) {
                plan.parts.push(part);
                continue;
            }
            if let Some(model) = PeerModel::named(argument) {
                plan.models.push(model);
                continue;
            }
            let value = arguments
                .next()
                .with_context(|| format!("{argument} is no part, no model and needs a value"));
            let number = |value: anyhow::Result<&String>| {
                let value = value?;
                let parsed = value.parse().ok().filter(|number| *number > 0);
                parsed.with_context(|| format!("{argument} takes a number above 0, not {value:?}"))
            };
            match argument.as_str() {
                "--pairs" => plan.pairs = number(value)?,
                "--threads" => plan.threads = number(value)?,
                "--turn-tokens" => plan.turn_tokens = number(value)?,
                "--set" => plan.settings.extend([value?.as_str(), "\n"]),
                "--programs" => plan.programs = Some(PathBuf::from(value?)),
                _ => bail!(
                    "{argument} is none of {PARTS:?}, 1b, 100m, small, --pairs, --threads, --turn-tokens, --set, \
                     --programs"
                ),
            }
        }
        if plan.parts.is_empty() {
            plan.parts = PARTS.to_vec();
        }
        if plan.models.is_empty() {
            plan.models = vec![PeerModel::Billion, PeerModel::HundredMillion];
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_narrow_what_is_measured() {
        let parse = |line: &str| Plan::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let all = parse("").unwrap();
        assert_eq!((all.parts, all.pairs), (PARTS.to_vec(), 5));
        assert_eq!(all.models, [PeerModel::Billion, PeerModel::HundredMillion]);
        let some = parse("swap 100m --pairs 2 --threads 3 --turn-tokens 500 --set a=1").unwrap();
        assert_eq!((some.parts, some.models), (vec!["swap"], vec![PeerModel::HundredMillion]));
        assert_eq!((some.pairs, some.threads, some.turn_tokens), (2, 3, 500));
        assert_eq!(some.settings, "a=1\n");
        for (line, expected) in [
            ("dance", "is none of"),
            ("dance 1", "is none of"),
            ("--pairs 0", "above 0"),
            ("--pairs", "needs a value"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}

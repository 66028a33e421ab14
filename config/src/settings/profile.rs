//! Sets of settings with a name, for those who do not want to choose each.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

/// The formats whose workers a profile is about.
const FORMATS: [&str; 3] = ["gguf", "candle", "onnx"];

/// A set of settings. Every profile has the same keys; null stands for the default.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// What it is good for.
    pub description: &'static str,
    /// The values.
    pub changes: BTreeMap<String, Json>,
}

/// All of them, for a machine with so many cores.
pub fn profiles(n_cores: usize) -> [Profile; 3] {
    let half = (n_cores / 2).max(1);
    [
        Profile {
            name: "quiet",
            description: "Leaves half of the cores and more memory to other programs, and lets models go on battery.",
            changes: changes(
                &[("threads", json!(half)), ("standby", json!(0))],
                &[("ram_reserve", json!("4GiB")), ("gpu_reserve", json!("1GiB"))],
                &json!("256MiB"),
                &json!("unload_idle"),
            ),
        },
        Profile {
            name: "balanced",
            description: "The defaults: all cores while something is generated, a worker ready for the next model.",
            changes: changes(
                &[("threads", Json::Null), ("standby", Json::Null)],
                &[("ram_reserve", Json::Null), ("gpu_reserve", Json::Null)],
                &Json::Null,
                &Json::Null,
            ),
        },
        Profile {
            name: "fast",
            description: "For a machine that does nothing else: little is left to others, and more prompts are kept.",
            changes: changes(
                &[("threads", Json::Null), ("standby", Json::Null)],
                &[("ram_reserve", json!("512MiB")), ("gpu_reserve", json!("256MiB"))],
                &json!("4GiB"),
                &Json::Null,
            ),
        },
    ]
}

fn changes(
    workers: &[(&str, Json)],
    budget: &[(&str, Json)],
    prefixes: &Json,
    battery: &Json,
) -> BTreeMap<String, Json> {
    let of_workers = FORMATS.iter().flat_map(|format| {
        workers.iter().map(move |(name, value)| (format!("workers.{format}.{name}"), value.clone()))
    });
    let of_budget = budget.iter().map(|(name, value)| (format!("budget.{name}"), value.clone()));
    let others = [("prefixes.ram", prefixes), ("supervisor.on_battery", battery)];
    let others = others.into_iter().map(|(name, value)| (name.to_owned(), value.clone()));
    of_workers.chain(of_budget).chain(others).collect()
}

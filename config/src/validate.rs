//! What the types cannot say about a configuration.

mod access;

use std::{borrow::Cow, collections::HashSet, ops::RangeInclusive};

pub use access::is_key_name;

use crate::{Config, ModelEntry, Quota, Size, Speculation, WorkerConfig, key::Key, slots};

/// Seconds in a year: longer times are slips, and would overflow the clock.
const YEAR_S: u64 = 365 * 24 * 3600;
/// Tokens of context of one slot, 0 being the model's own; engines count in 32 bits.
const CONTEXT: RangeInclusive<u64> = 0..=1 << 24;
/// Tokens that a draft model may guess at once.
const DRAFT_TOKENS: RangeInclusive<u64> = 1..=64;

/// The least memory that any worker can do with.
const LEAST: Size = Size(1 << 20);

const FOLDER_OF_OURS: &str = "the path of a folder, which has no default when HOME is not set";
const FILE: &str = "the path of a file";
/// Times as long as without prompts; less would leave no time for any.
const STRETCH: &str = "0, or a number from 1.0 to 1000.0";
const ADDRESS: &str = "an address that begins with https:// or http://";
const ENDPOINT: &str = "the address of a collector, such as \"http://127.0.0.1:4317\"";
const AT_LEAST: &str = "at least \"1MiB\"";
const NONE_OR_AT_LEAST: &str = "\"0B\" or at least \"1MiB\"";
const MODEL_NAME: &str = "a name of at most 256 characters without spaces or control characters";

const NAME_PATTERN: &str =
    "a model for a name of at most 256 characters without spaces or control characters, such as \"claude-*\"";

/// The most names that models are chosen for.
const MAX_NAMES: usize = 1024;

/// A value that no server can run with.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) key: Key,
    pub(crate) expected: Cow<'static, str>,
    /// The setting that makes the value wrong, where the value may be a default.
    pub(crate) because: Option<Key>,
}

type Checked = Result<(), Problem>;

/// Finds the first value that is out of its bounds.
pub(crate) fn check(config: &Config) -> Checked {
    gateway(config)?;
    access::check(config)?;
    responses(config)?;
    supervisor(config)?;
    budget(config)?;
    pull(config)?;
    prefixes(config)?;
    log(config)?;
    telemetry(config)?;
    for (format, worker) in &config.workers {
        worker_of(format, worker)?;
    }
    models(config)
}

fn gateway(config: &Config) -> Checked {
    let gateway = &config.gateway;
    let at = |name: &str| key(&["gateway", name]);
    require(!gateway.command.as_os_str().is_empty(), at("command"), "the name or path of a program")?;
    within(gateway.max_body_bytes as u64, 1024..=1 << 32, at("max_body_bytes"))?;
    within(gateway.max_headers as u64, 16..=1000, at("max_headers"))?;
    within(gateway.max_header_bytes as u64, 8 << 10..=1 << 20, at("max_header_bytes"))?;
    within(gateway.max_depth as u64, 8..=128, at("max_depth"))?;
    within(gateway.max_messages as u64, 1..=1 << 20, at("max_messages"))?;
    within(gateway.max_connections as u64, 1..=100_000, at("max_connections"))?;
    within(gateway.header_timeout_s, 1..=YEAR_S, at("header_timeout_s"))?;
    within(gateway.body_timeout_s, 1..=YEAR_S, at("body_timeout_s"))?;
    within(gateway.write_timeout_s, 1..=YEAR_S, at("write_timeout_s"))?;
    within(gateway.acquire_timeout_s, 1..=YEAR_S, at("acquire_timeout_s"))?;
    within(gateway.max_queue as u64, 1..=100_000, at("max_queue"))?;
    within(gateway.queue_timeout_s, 1..=YEAR_S, at("queue_timeout_s"))?;
    within(gateway.request_timeout_s, 0..=YEAR_S, at("request_timeout_s"))?;
    within(gateway.poison_memory_s, 0..=YEAR_S, at("poison_memory_s"))?;
    within(gateway.keep_alive_s, 1..=YEAR_S, at("keep_alive_s"))?;
    require(gateway.names.len() <= MAX_NAMES, at("names"), "at most 1024 names")?;
    for (pattern, model) in &gateway.names {
        let at = key(&["gateway", "names", pattern]);
        require(is_model_name(pattern), at.clone(), NAME_PATTERN)?;
        require(is_model_name(model), at, MODEL_NAME)?;
    }
    Ok(())
}

fn responses(config: &Config) -> Checked {
    let responses = &config.responses;
    let at = |name: &str| key(&["responses", name]);
    within(responses.retention_s, 1..=10 * YEAR_S, at("retention_s"))?;
    within(responses.max_responses, 1..=100_000_000, at("max_responses"))?;
    require(responses.max_bytes >= LEAST, at("max_bytes"), AT_LEAST)?;
    within(responses.max_background as u64, 1..=10_000, at("max_background"))
}

fn supervisor(config: &Config) -> Checked {
    let supervisor = &config.supervisor;
    let at = |name: &str| key(&["supervisor", name]);
    require(!supervisor.runtime_dir.as_os_str().is_empty(), at("runtime_dir"), FOLDER_OF_OURS)?;
    require(!supervisor.state_dir.as_os_str().is_empty(), at("state_dir"), FOLDER_OF_OURS)?;
    within(supervisor.drain_timeout_s, 0..=YEAR_S, at("drain_timeout_s"))?;
    within(supervisor.kill_timeout_s, 0..=YEAR_S, at("kill_timeout_s"))?;
    within(supervisor.max_starts.into(), 1..=1000, at("max_starts"))?;
    within(supervisor.restart_window_s, 1..=YEAR_S, at("restart_window_s"))?;
    within(supervisor.backoff_initial_ms, 1..=YEAR_S * 1000, at("backoff_initial_ms"))?;
    within(supervisor.backoff_max_ms, supervisor.backoff_initial_ms..=YEAR_S * 1000, at("backoff_max_ms"))
        .map_err(|problem| Problem { because: Some(at("backoff_initial_ms")), ..problem })?;
    within(supervisor.hang_timeout_s, 1..=YEAR_S, at("hang_timeout_s"))?;
    within(supervisor.silence_timeout_s, 2..=YEAR_S, at("silence_timeout_s"))?;
    within(supervisor.first_step_timeout_s, 1..=YEAR_S, at("first_step_timeout_s"))?;
    within(supervisor.orphan_grace_s, 0..=3600, at("orphan_grace_s"))?;
    within(supervisor.battery_percent.into(), 1..=100, at("battery_percent"))?;
    within(supervisor.load_timeout_s, 1..=YEAR_S, at("load_timeout_s"))
}

fn budget(config: &Config) -> Checked {
    let budget = &config.budget;
    let at = |name: &str| key(&["budget", name]);
    // A GPU may be left unused; without RAM there is no worker.
    let has_ram = !matches!(budget.ram, Quota::Fixed(ram) if ram < LEAST);
    require(has_ram, at("ram"), AT_LEAST)?;
    let is_factor = budget.margin.is_finite() && (1.0..=10.0).contains(&budget.margin);
    require(is_factor, at("margin"), "a number from 1.0 to 10.0")?;
    within(budget.wait_s, 0..=YEAR_S, at("wait_s"))?;
    within(budget.turn_s, 0..=YEAR_S, at("turn_s"))
}

fn pull(config: &Config) -> Checked {
    let pull = &config.pull;
    let at = |name: &str| key(&["pull", name]);
    let is_address = |text: &str| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        rest.is_some_and(|rest| !rest.is_empty())
            && !text.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    require(!pull.command.as_os_str().is_empty(), at("command"), "the name or path of a program")?;
    require(is_address(&pull.hub), at("hub"), ADDRESS)?;
    require(is_address(&pull.ollama), at("ollama"), ADDRESS)?;
    require(pull.proxy.as_deref().is_none_or(is_address), at("proxy"), ADDRESS)?;
    let has_path = pull.ca_file.as_ref().is_none_or(|path| !path.as_os_str().is_empty());
    require(has_path, at("ca_file"), FILE)?;
    within(pull.connections.into(), 1..=32, at("connections"))?;
    let is_chunk = (Size(4 << 10)..=Size(1 << 30)).contains(&pull.chunk);
    require(is_chunk, at("chunk"), "a size from \"4KiB\" to \"1GiB\"")?;
    let has_store = config.models.store.as_ref().is_none_or(|path| !path.as_os_str().is_empty());
    require(has_store, key(&["models", "store"]), "the path of a folder")
}

fn prefixes(config: &Config) -> Checked {
    let prefixes = &config.prefixes;
    let at = |name: &str| key(&["prefixes", name]);
    let is_some_or_none = |size: Size| size.0 == 0 || size >= LEAST;
    require(is_some_or_none(prefixes.ram), at("ram"), NONE_OR_AT_LEAST)?;
    require(is_some_or_none(prefixes.file), at("file"), NONE_OR_AT_LEAST)?;
    require(prefixes.disk >= LEAST, at("disk"), AT_LEAST)
}

fn log(config: &Config) -> Checked {
    let log = &config.log;
    let has_folder = log.dir.as_ref().is_none_or(|dir| !dir.as_os_str().is_empty());
    require(has_folder, key(&["log", "dir"]), "the path of a folder")?;
    require(!log.level.trim().is_empty(), key(&["log", "level"]), "off, error, warn, info, debug or trace")?;
    within(log.keep as u64, 1..=10_000, key(&["log", "keep"]))
}

fn telemetry(config: &Config) -> Checked {
    let telemetry = &config.telemetry;
    let at = |name: &str| key(&["telemetry", name]);
    let is_address = |text: &str| {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        rest.is_some_and(|rest| !rest.starts_with(['/', ':']) && !rest.is_empty() && !rest.contains(' '))
    };
    require(telemetry.otlp_endpoint.as_deref().is_none_or(is_address), at("otlp_endpoint"), ENDPOINT)?;
    for (path, name) in [(&telemetry.otlp_headers, "otlp_headers"), (&telemetry.otlp_ca, "otlp_ca")] {
        require(path.as_ref().is_none_or(|path| !path.as_os_str().is_empty()), at(name), FILE)?;
    }
    within(telemetry.otlp_timeout_s, 1..=3600, at("otlp_timeout_s"))?;
    let is_part = (0.0..=1.0).contains(&telemetry.sample_ratio);
    require(is_part, at("sample_ratio"), "a number from 0.0 to 1.0")?;
    within(telemetry.max_queue as u64, 1..=100_000, at("max_queue"))
}

fn worker_of(format: &str, worker: &WorkerConfig) -> Checked {
    let at = |name: &str| key(&["workers", format, name]);
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    require(
        !format.is_empty() && format.len() <= 32 && format.chars().all(is_name),
        key(&["workers", format]),
        "a format name of at most 32 lower-case letters, digits, '-' and '_'",
    )?;
    let has_command = !worker.command.as_os_str().is_empty();
    require(has_command, at("command"), "the name or path of the worker's program")
        .map_err(|problem| Problem { because: Some(key(&["workers", format])), ..problem })?;
    for (idx, pattern) in worker.patterns.iter().enumerate() {
        let suffix = pattern.strip_prefix('*').unwrap_or_default();
        require(
            !suffix.is_empty() && !suffix.contains(['*', '?', '[', '/']),
            key(&["workers", format, "patterns", &idx.to_string()]),
            "a file name pattern of the form *.ext",
        )?;
    }
    require(worker.slots.is_possible(), at("slots"), slots::EXPECTED)?;
    within(worker.context.into(), CONTEXT, at("context"))?;
    within(worker.threads.into(), 0..=1024, at("threads"))?;
    require(is_stretch(worker.step_stretch), at("step_stretch"), STRETCH)?;
    within(worker.standby.into(), 0..=16, at("standby"))
}

fn models(config: &Config) -> Checked {
    for (idx, dir) in config.models.dirs.iter().enumerate() {
        let at = key(&["models", "dirs", &idx.to_string()]);
        require(!dir.as_os_str().is_empty(), at, "the path of a folder")?;
    }
    if let Some(default) = &config.models.default {
        require(is_model_name(default), key(&["models", "default"]), MODEL_NAME)?;
    }
    let mut taken = HashSet::new();
    config.model.iter().enumerate().try_for_each(|(idx, entry)| {
        model(idx, entry, &mut taken)?;
        draft(idx, entry, &config.model)
    })
}

fn model<'c>(idx: usize, entry: &'c ModelEntry, taken: &mut HashSet<&'c str>) -> Checked {
    let idx = idx.to_string();
    let at = |name: &str| key(&["model", &idx, name]);
    let aliases = entry.aliases.iter().enumerate();
    let names = aliases.map(|(n, alias)| (alias, key(&["model", &idx, "aliases", &n.to_string()])));
    for (name, at) in std::iter::once((&entry.name, at("name"))).chain(names) {
        require(is_model_name(name), at.clone(), MODEL_NAME)?;
        require(taken.insert(name), at, "a name that no other model or alias has")?;
    }
    let has_path = entry.path.as_ref().is_none_or(|path| !path.as_os_str().is_empty());
    require(has_path, at("path"), "the path of a file or folder")?;
    require(entry.memory.is_none_or(|memory| memory >= LEAST), at("memory"), AT_LEAST)?;
    within(entry.context.unwrap_or(0).into(), CONTEXT, at("context"))?;
    require(entry.slots.unwrap_or_default().is_possible(), at("slots"), slots::EXPECTED)?;
    require(entry.step_stretch.is_none_or(is_stretch), at("step_stretch"), STRETCH)?;
    within(entry.ttl.unwrap_or(0), 0..=YEAR_S, at("ttl"))
}

/// What can be said of a draft model without looking for it.
fn draft(idx: usize, entry: &ModelEntry, entries: &[ModelEntry]) -> Checked {
    let idx = idx.to_string();
    let at = |name: &str| key(&["model", &idx, name]);
    let Some(draft) = &entry.draft else {
        return require(entry.draft_tokens.is_none(), at("draft_tokens"), "a model that has a `draft`");
    };
    let is_meant = |other: &&ModelEntry| other.name == *draft || other.aliases.contains(draft);
    let is_drafted = entries.iter().filter(is_meant).any(|other| other.draft.is_some());
    require(is_model_name(draft), at("draft"), MODEL_NAME)?;
    require(!is_meant(&entry), at("draft"), "the name of another model")?;
    require(!is_drafted, at("draft"), "a model that has no `draft` itself")?;
    require(
        entry.speculation != Some(Speculation::Off),
        at("speculation"),
        "lookup, since it has a `draft`",
    )?;
    within(entry.draft_tokens.unwrap_or(1).into(), DRAFT_TOKENS, at("draft_tokens"))
}

/// Whether a client can ask for a model by this name.
pub fn is_model_name(name: &str) -> bool {
    let is_odd = |c: char| c.is_whitespace() || c.is_control();
    !name.is_empty() && name.chars().count() <= 256 && !name.contains(is_odd)
}

fn is_stretch(times: f64) -> bool {
    times == 0.0 || (1.0..=1000.0).contains(&times)
}

fn require(holds: bool, key: Key, expected: &'static str) -> Checked {
    if holds { Ok(()) } else { Err(Problem { key, expected: expected.into(), because: None }) }
}

fn within(value: u64, range: RangeInclusive<u64>, key: Key) -> Checked {
    if range.contains(&value) {
        return Ok(());
    }
    let expected = format!("a number from {} to {}", range.start(), range.end());
    Err(Problem { key, expected: expected.into(), because: None })
}

fn key(steps: &[&str]) -> Key {
    Key(steps.iter().map(ToString::to_string).collect())
}

//! The sources together: which wins, what is refused and how, what is printed.

mod access;
mod refused;
mod sources;
mod told;

use std::{collections::BTreeMap, fs, path::PathBuf};

use crate::{
    Config, ConfigError, KeyEntry, Loaded, LogFormat, ModelEntry, Origin, Scope, Size, Slots, Speculation,
    WorkerConfig, load::Sources, place::Places, size, slots,
};

/// Loads from text as a file, variables and `--set` arguments.
fn load(
    file: Option<&str>,
    variables: &[(&str, &str)],
    sets: &[&str],
) -> (Result<Loaded, ConfigError>, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    if let Some(text) = file {
        fs::write(&path, text).unwrap();
    }
    let sets: Vec<_> = sets.iter().map(ToString::to_string).collect();
    let loaded = Sources {
        file: file.map(|_| path.clone()),
        default_file: Some(dir.path().join("absent.toml")),
        variables: variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        sets,
        places: Places { cwd: "/cwd".into(), home: Some("/home/me".into()) },
    }
    .load();
    (loaded, path)
}

fn loaded(file: &str) -> Config {
    load(Some(file), &[], &[]).0.unwrap().config
}

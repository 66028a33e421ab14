//! What was done to the server by whoever may, for the audit log.

use impetus_telemetry::AUDIT;

/// Writes down that something was done to `subject`, a model, an alias, a key or nothing in particular.
pub(super) fn act(act: &'static str, subject: &str) {
    tracing::info!(target: AUDIT, act, subject, "done");
}

/// The same of something that may have failed.
pub(super) fn attempt<T, E: std::fmt::Display>(name: &'static str, subject: &str, done: &Result<T, E>) {
    match done {
        Ok(_) => act(name, subject),
        Err(error) => tracing::warn!(target: AUDIT, act = name, subject, %error, "not done"),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    /// Everything that the sources in `folder` write down.
    fn acts(folder: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let in_entry = |path: std::path::PathBuf| {
            if path.is_dir() {
                return acts(&path);
            }
            let text = fs::read_to_string(&path).unwrap();
            let calls = ["audit::act(", "audit::attempt("].map(|call| text.split(call).skip(1));
            let named = calls.into_iter().flatten().filter_map(|rest| rest.trim_start().strip_prefix('"'));
            let word = |rest: &str| Some(rest.split_once('"')?.0.to_owned());
            let is_act = |word: &String| word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            named.filter_map(word).filter(is_act).collect()
        };
        entries.flat_map(in_entry).collect()
    }

    #[test]
    fn the_page_on_security_names_every_act() {
        let page = include_str!("../../../docs/security.md");
        let acts = acts(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
        assert!(acts.contains("load") && acts.contains("pull"), "{acts:?}");
        let untold: Vec<&String> = acts.iter().filter(|act| !page.contains(&format!("`{act}`"))).collect();
        assert!(untold.is_empty(), "{untold:?}");
    }
}

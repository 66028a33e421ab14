//! Which settings two configurations differ in.

use std::collections::BTreeMap;

use toml::Value;

use crate::Loaded;

/// Settings that only a start takes note of: what is open, locked or inherited by now stays as it is.
const FROM_THE_START: &[&str] = &[
    "budget.cgroups",
    "log.",
    "models.store",
    "supervisor.orphan_grace_s",
    "supervisor.runtime_dir",
    "supervisor.state_dir",
];

/// Whether a changed value of the setting `key` counts from the supervisor's next start on, whatever is reloaded.
pub fn starts_only(key: &str) -> bool {
    FROM_THE_START.iter().any(|late| key.starts_with(late))
}

impl Loaded {
    /// The keys of all settings whose value differs from that in `former`, in alphabetical order. An entry of
    /// `[[model]]` is known by its name: `model[my-model].slots`.
    pub fn changes_from(&self, former: &Self) -> Vec<String> {
        let (new, old) = (settings(self), settings(former));
        let is_changed = |key: &&String| new.get(*key) != old.get(*key);
        let mut changed: Vec<String> = new.keys().chain(old.keys()).filter(is_changed).cloned().collect();
        changed.sort();
        changed.dedup();
        changed
    }
}

/// Every value by its key.
fn settings(loaded: &Loaded) -> BTreeMap<String, Value> {
    let root = Value::try_from(&loaded.config).expect("it was made from text, so it can be written as text");
    let mut settings = BTreeMap::new();
    for (name, section) in root.as_table().into_iter().flatten() {
        match section {
            Value::Array(entries) => {
                for entry in entries {
                    let named = entry.get("name").and_then(Value::as_str).unwrap_or_default();
                    add(entry, &format!("{name}[{named}]"), &mut settings);
                }
            }
            section => add(section, name, &mut settings),
        }
    }
    settings
}

/// The values in `value`, whose key is `key`.
fn add(value: &Value, key: &str, settings: &mut BTreeMap<String, Value>) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                add(value, &format!("{key}.{name}"), settings);
            }
        }
        value => {
            settings.insert(key.to_owned(), value.clone());
        }
    }
}

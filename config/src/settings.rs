//! Every setting with its value and where that comes from, for whoever shows them, and edits of the file.

mod edit;
mod profile;

use std::path::Path;

use serde_json::Value as Json;
use toml::Value;

pub use edit::{Edit, EditError};
pub use profile::{Profile, profiles};

use crate::{
    Config, Loaded, ModelEntry, Origin,
    key::Key,
    load::FileUsed,
    reference::{self, Described},
    starts_only,
};

/// What stands for a value that is not shown.
const HIDDEN: &str = "hidden";

/// One setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Its key: `gateway.max_queue`, or `model[my-model].ttl`.
    pub key: String,
    /// Its value; null: none.
    pub value: Json,
    /// The value that it has when nothing is said.
    pub default: Json,
    /// Where the value comes from.
    pub origin: Origin,
    /// Whether an edit of the file changes it.
    pub is_editable: bool,
    /// Whether a changed value counts from the supervisor's next start on only.
    pub starts_only: bool,
    /// What it does.
    pub description: String,
    /// Its type, for people.
    pub kind: &'static str,
}

impl Loaded {
    /// The configuration file that an edit writes, be it there or not.
    pub fn file(&self) -> Option<&Path> {
        match &self.file {
            FileUsed::Named(path) | FileUsed::InDefaultPlace(path) | FileUsed::NoneIn(path) => Some(path),
            FileUsed::NoDefaultPlace => None,
        }
    }

    /// All settings but keys, which have a place of their own, in the order of the example file; those of a model for
    /// each entry that there is.
    pub fn settings(&self) -> Vec<Setting> {
        let now = as_toml(&self.config);
        let default = as_toml(&Config::default());
        let described = reference::described();
        let mut settings = Vec::new();
        for said in described.iter().filter(|said| said.list.is_none()) {
            settings.push(self.setting(said, &Key(steps(&said.key)), said.key.clone(), &now, &default));
        }
        self.other_formats(&described, &now, &mut settings);
        for (idx, entry) in self.config.model.iter().enumerate() {
            let bare = as_toml(&ModelEntry::named(&entry.name));
            for said in described.iter().filter(|said| said.list == Some("model")) {
                let key = Key(vec!["model".into(), idx.to_string(), said.key.clone()]);
                let name = format!("model[{}].{}", entry.name, said.key);
                let default = bare.get(&said.key).map_or(Json::Null, as_json);
                let setting = self.setting(said, &key, name, &now, &Value::Boolean(false));
                settings.push(Setting { default, ..setting });
            }
        }
        settings
    }

    /// The settings of formats that the configuration adds.
    fn other_formats(&self, described: &[Described], now: &Value, settings: &mut Vec<Setting>) {
        let known = Config::default().workers;
        for format in self.config.workers.keys().filter(|format| !known.contains_key(*format)) {
            let said =
                described.iter().filter_map(|said| Some((said, said.key.strip_prefix("workers.gguf.")?)));
            for (said, last) in said {
                let key = Key(vec!["workers".into(), format.clone(), last.into()]);
                let name = format!("workers.{format}.{last}");
                settings.push(self.setting(said, &key, name, now, &Value::Boolean(false)));
            }
        }
    }

    fn setting(&self, said: &Described, key: &Key, name: String, now: &Value, default: &Value) -> Setting {
        let origin = self.origin_of(key);
        let value = key.find(now).map_or(Json::Null, as_json);
        let is_hidden = is_secret(&value);
        let from_outside = matches!(origin, Origin::Environment { .. } | Origin::Argument { .. });
        Setting {
            value: if is_hidden { HIDDEN.into() } else { value },
            default: key.find(default).map_or(Json::Null, as_json),
            is_editable: !is_hidden && !from_outside && self.file().is_some(),
            starts_only: starts_only(&name),
            description: said.text.clone(),
            kind: said.kind,
            origin,
            key: name,
        }
    }
}

/// Whether the value is an address with a password in it.
fn is_secret(value: &Json) -> bool {
    let rest = value.as_str().and_then(|text| text.split_once("://"));
    rest.is_some_and(|(_, rest)| rest.split('/').next().is_some_and(|host| host.contains('@')))
}

fn steps(dotted: &str) -> Vec<String> {
    dotted.split('.').map(str::to_owned).collect()
}

fn as_toml(value: &impl serde::Serialize) -> Value {
    Value::try_from(value).expect("it was made from text, so it can be written as text")
}

fn as_json(value: &Value) -> Json {
    serde_json::to_value(value).expect("TOML's values are JSON's, but for dates, of which no setting is one")
}

#[cfg(test)]
mod tests;

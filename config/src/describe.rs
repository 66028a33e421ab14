//! `supervisor --print-config`: the whole configuration, with the source of each value.

use std::fmt::Write;

use toml::Value;

use crate::{Config, Loaded, key::Key, load::FileUsed};

impl Loaded {
    /// The whole configuration as TOML that loads to the same one; each line ends with a comment that names the
    /// source of its value: `default`, a file with its line, an environment variable or a `--set`.
    pub fn describe(&self) -> String {
        let file = match &self.file {
            FileUsed::Named(path) => path.display().to_string(),
            FileUsed::InDefaultPlace(path) => format!("{} (the default place)", path.display()),
            FileUsed::NoneIn(path) => format!("none; there is no {}", path.display()),
            FileUsed::NoDefaultPlace => "none; it has no default place when HOME is not set".into(),
        };
        let mut text = format!("# configuration file: {}\n", comment(file));
        let settings =
            Value::try_from(&self.config).expect("it was made from text, so it can be written as text");
        // The entries of `[[model]]` come last: after a header, keys belong to it.
        for (name, section) in
            Config::SECTIONS.iter().filter_map(|name| settings.get(name).map(|s| (name, s)))
        {
            text.push('\n');
            let mut key = Key(vec![(*name).into()]);
            match section {
                Value::Array(items) => self.entries(&mut text, &mut key, items),
                section => self.lines(&mut text, &mut key, 0, section),
            }
        }
        text
    }

    /// `[[model]]` and its keys, for each of `items`.
    fn entries(&self, text: &mut String, key: &mut Key, items: &[Value]) {
        for (idx, item) in items.iter().enumerate() {
            key.0.push(idx.to_string());
            let header = format!("[[{}]]", key.0[0]);
            line(text, &header, self.origin_of(key));
            self.lines(text, key, 2, item);
            key.0.pop();
        }
    }

    /// `section.key = value` for each value under `key`, without the first `n_given` steps, which a header gives.
    fn lines(&self, text: &mut String, key: &mut Key, n_given: usize, value: &Value) {
        match value {
            Value::Table(table) if !table.is_empty() => {
                for (name, value) in table {
                    key.0.push(name.clone());
                    self.lines(text, key, n_given, value);
                    key.0.pop();
                }
            }
            value => {
                let steps: Vec<_> = key.0[n_given..].iter().map(|step| quoted(step)).collect();
                line(text, &format!("{} = {value}", steps.join(".")), self.origin_of(key));
            }
        }
    }
}

fn line(text: &mut String, setting: &str, origin: impl std::fmt::Display) {
    writeln!(text, "{setting}  # {}", comment(origin)).expect("writing to a String cannot fail");
}

/// A key as TOML writes it.
fn quoted(step: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !step.is_empty() && step.chars().all(is_bare) {
        step.into()
    } else {
        Value::String(step.into()).to_string()
    }
}

/// Text that cannot end a comment.
fn comment(text: impl std::fmt::Display) -> String {
    text.to_string().replace(char::is_control, "?")
}

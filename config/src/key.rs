//! The place of a setting: `gateway.listen`, `model[0].name`.

use std::fmt;

/// The steps from the root to a setting; an element of a list is named by its decimal index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) Vec<String>);

impl Key {
    /// A key written with dots; `None` when a step is empty.
    pub(crate) fn parse(dotted: &str) -> Option<Self> {
        let steps: Vec<_> = dotted.split('.').map(|step| step.trim().to_owned()).collect();
        steps.iter().all(|step| !step.is_empty()).then_some(Self(steps))
    }

    /// The value at this place, as far as `root` has it.
    pub(crate) fn find<'v>(&self, root: &'v toml::Value) -> Option<&'v toml::Value> {
        self.0.iter().try_fold(root, |value, step| match value {
            toml::Value::Table(table) => table.get(step),
            toml::Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            match step.parse::<usize>() {
                Ok(idx) => write!(f, "[{idx}]")?,
                Err(_) if n == 0 => f.write_str(step)?,
                Err(_) => write!(f, ".{step}")?,
            }
        }
        Ok(())
    }
}

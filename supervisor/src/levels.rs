//! How much processes log when somebody has said so while they run. Nothing of it outlives the supervisor.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

/// What was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Of every process.
    all: Option<String>,
    /// Of processes and models, by name, which counts more.
    of: BTreeMap<String, String>,
}

/// The levels of this server's processes. Clones are the same levels.
#[derive(Debug, Clone)]
pub struct Levels(Arc<watch::Sender<Said>>);

impl Default for Levels {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::default()))
    }
}

impl Levels {
    /// What was said, now and later.
    pub fn watch(&self) -> watch::Receiver<Said> {
        self.0.subscribe()
    }

    /// What was said.
    pub fn now(&self) -> Said {
        self.0.borrow().clone()
    }

    /// From now on `target`, or every process, logs at `level`, or as configured.
    pub fn set(&self, target: Option<&str>, level: Option<&str>) {
        self.0.send_modify(|said| said.set(target, level));
    }
}

impl Said {
    /// The level of a process that goes by these names; `None`: as configured.
    pub fn level(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.of.get(*name)).or(self.all.as_ref()).map(String::as_str)
    }

    fn set(&mut self, target: Option<&str>, level: Option<&str>) {
        match (target, level) {
            (Some(target), Some(level)) => drop(self.of.insert(target.to_owned(), level.to_owned())),
            (Some(target), None) => drop(self.of.remove(target)),
            // Whoever means all means those that were spoken of before, too.
            (None, level) => *self = Self { all: level.map(ToOwned::to_owned), of: BTreeMap::new() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_counts() {
        let levels = Levels::default();
        let check = |names: &[&str], expected| assert_eq!(levels.now().level(names), expected, "{names:?}");
        check(&["gateway"], None);
        levels.set(None, Some("warn"));
        levels.set(Some("tiny"), Some("debug"));
        levels.set(Some("gguf-2"), Some("trace"));
        check(&["gateway"], Some("warn"));
        check(&["gguf-1", "tiny"], Some("debug"));
        check(&["gguf-2", "tiny"], Some("trace"));
        levels.set(Some("gguf-2"), None);
        check(&["gguf-2", "tiny"], Some("debug"));
        levels.set(None, None);
        check(&["gguf-2", "tiny"], None);
    }
}

//! `[prefixes]`

use serde::{Deserialize, Serialize};

use crate::Size;

/// How much may be kept of computed prompts that no slot holds any more, so that a conversation goes on without
/// computing its beginning again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrefixesConfig {
    /// RAM of each worker, at most. What goes to files goes through it, so nothing keeps none anywhere.
    pub ram: Size,
    /// The file of each model in the state folder, at most; nothing makes none.
    pub file: Size,
    /// All these files together, at most.
    pub disk: Size,
}

impl Default for PrefixesConfig {
    fn default() -> Self {
        Self { ram: Size(1 << 30), file: Size(2 << 30), disk: Size(8 << 30) }
    }
}

//! `[workers.<format>]`

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::Slots;

/// How the worker of one format is run. A format that Impetus does not know is added by naming its `command`
/// and the `patterns` of the files it serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// The worker's program; a bare name is looked up beside the supervisor's own program.
    pub command: PathBuf,
    /// File name patterns (`*.ext`) of the models that this worker serves, for formats that are not recognised
    /// by content.
    pub patterns: Vec<String>,
    /// Sequences that are generated at once.
    pub slots: Slots,
    /// Tokens of context of one slot; 0 is the model's own.
    pub context: u32,
    /// Compute threads; 0 is one for each core.
    pub threads: u32,
    /// How tokens are guessed, to be computed together with the one that is known.
    pub speculation: Speculation,
    /// How much longer the wait for a next token may become, 99 times of 100, by prompts that are computed beside those
    /// that decode: times the step without them; 0 is without bound.
    pub step_stretch: f64,
    /// Workers kept started without a model.
    pub standby: u32,
    /// Whether workers give up what they do not need before they open a model.
    pub sandbox: bool,
    /// Settings of this format alone, handed to the worker as they are.
    pub options: BTreeMap<String, String>,
}

/// How tokens are guessed. What is generated is the same with every way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speculation {
    /// Looked up in the prompt and in the output: what followed the last time may follow again.
    #[default]
    Lookup,
    /// Not at all.
    Off,
}

/// What a way to guess is, for whoever wrote something else.
pub(crate) const EXPECTED_SPECULATION: &str = "lookup or off";

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            command: PathBuf::new(),
            patterns: Vec::new(),
            slots: Slots::Auto,
            context: 0,
            threads: 0,
            speculation: Speculation::default(),
            step_stretch: 2.0,
            standby: 1,
            sandbox: true,
            options: BTreeMap::new(),
        }
    }
}

//! `[models]` and `[[model]]`

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Size, Slots, Speculation};

/// Where models are found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelsConfig {
    /// Folders that are searched for models, the bundled ones besides.
    pub dirs: Vec<PathBuf>,
    /// Where models are put that are fetched, sent or made; absent: `store` in the state folder.
    #[serde(default)]
    pub store: Option<PathBuf>,
    /// Other programs whose models are served as well, from where they are.
    #[serde(default)]
    pub import: Vec<Import>,
    /// The model for requests that name none.
    pub default: Option<String>,
    /// Whether links in model folders may lead out of them.
    #[serde(default)]
    pub follow_links: bool,
}

/// A program that keeps models on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Import {
    /// The cache of Hugging Face's libraries.
    Huggingface,
    /// Ollama.
    Ollama,
    /// LM Studio.
    LmStudio,
    /// llama.cpp's own downloads.
    LlamaCpp,
}

/// Settings of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// The name that clients use.
    pub name: String,
    /// Its file or folder; absent when it lies in one of `models.dirs` under that name.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// Further names.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Tokens of context of one slot.
    #[serde(default)]
    pub context: Option<u32>,
    /// Sequences that are generated at once.
    #[serde(default)]
    pub slots: Option<Slots>,
    /// How tokens are guessed.
    #[serde(default)]
    pub speculation: Option<Speculation>,
    /// A smaller model of the same format and vocabulary that guesses where nothing is looked up.
    #[serde(default)]
    pub draft: Option<String>,
    /// Tokens that it guesses at once, at most.
    #[serde(default)]
    pub draft_tokens: Option<u32>,
    /// How much longer a step may become, for sequences that decode, by prompts that are computed beside them; 0 is
    /// without bound.
    #[serde(default)]
    pub step_stretch: Option<f64>,
    /// Never stopped to make room or for being idle.
    #[serde(default)]
    pub pin: bool,
    /// Seconds without a request after which its worker is stopped; 0 is never.
    #[serde(default)]
    pub ttl: Option<u64>,
    /// Loaded when the server starts.
    #[serde(default)]
    pub preload: bool,
    /// RAM that its worker is given, in place of what is computed from the file and measured.
    #[serde(default)]
    pub memory: Option<Size>,
    /// The syntax of its tool calls and reasoning, such as `hermes`; absent: as its chat template tells.
    #[serde(default)]
    pub output_format: Option<String>,
    /// Settings of its format, over those of `[workers.<format>.options]`.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

impl ModelEntry {
    /// One of this name that says nothing else.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            path: None,
            aliases: Vec::new(),
            context: None,
            slots: None,
            speculation: None,
            draft: None,
            draft_tokens: None,
            step_stretch: None,
            pin: false,
            ttl: None,
            preload: false,
            memory: None,
            output_format: None,
            options: BTreeMap::new(),
        }
    }
}

//! Which format a model's output is in.

use std::sync::Arc;

use super::{
    Format,
    apertus::Apertus,
    command_r::CommandR,
    command_r7b::CommandR7b,
    deepseek::DeepSeek,
    deepseek_v4::DeepSeekV4,
    firefunction::FireFunction,
    functionary::{Functionary31, Functionary32},
    gemma::Gemma,
    generic::Generic,
    glm::Glm,
    granite::Granite,
    harmony::Harmony,
    hermes::Hermes,
    kimi::Kimi,
    llama3::Llama3,
    minimax::MiniMax,
    mistral::Mistral,
    nemotron::Nemotron,
    phi4::Phi4,
    plain::Plain,
    pythonic::Pythonic,
    qwen3_coder::Qwen3Coder,
    seed_oss::SeedOss,
};

/// The source of a chat template, as far as formats look at it.
#[derive(Debug, Clone, Copy)]
pub struct Template<'a> {
    source: &'a str,
}

/// A format that a configuration names and nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no output format `{name}`: use one of {}", names().join(", "))]
pub struct UnknownFormat {
    /// The name.
    pub name: String,
}

/// A row of the table of formats.
struct Kind {
    name: &'static str,
    /// Whether a template shows calls like this.
    detects: fn(&Template<'_>) -> bool,
    make: fn(&Template<'_>) -> Arc<dyn Format>,
}

/// All formats. The first one that detects a template is chosen.
const KINDS: &[Kind] = &[
    Kind { name: "hermes", detects: Hermes::detects, make: |_| Arc::new(Hermes) },
    Kind { name: "glm", detects: Glm::detects, make: |_| Arc::new(Glm) },
    Kind { name: "minimax", detects: MiniMax::detects, make: |_| Arc::new(MiniMax) },
    Kind { name: "qwen3_coder", detects: Qwen3Coder::detects, make: |_| Arc::new(Qwen3Coder) },
    Kind { name: "seed_oss", detects: SeedOss::detects, make: |_| Arc::new(SeedOss) },
    Kind { name: "command_r", detects: CommandR::detects, make: |_| Arc::new(CommandR) },
    Kind { name: "command_r7b", detects: CommandR7b::detects, make: |_| Arc::new(CommandR7b) },
    Kind { name: "firefunction", detects: FireFunction::detects, make: |_| Arc::new(FireFunction) },
    Kind { name: "granite", detects: Granite::detects, make: |_| Arc::new(Granite) },
    Kind { name: "nemotron", detects: Nemotron::detects, make: |_| Arc::new(Nemotron) },
    Kind { name: "phi4", detects: Phi4::detects, make: |_| Arc::new(Phi4) },
    Kind { name: "apertus", detects: Apertus::detects, make: |_| Arc::new(Apertus) },
    Kind { name: "kimi", detects: Kimi::detects, make: |_| Arc::new(Kimi) },
    Kind { name: "deepseek", detects: DeepSeek::detects, make: |template| Arc::new(DeepSeek::of(template)) },
    Kind { name: "deepseek_v4", detects: DeepSeekV4::detects, make: |_| Arc::new(DeepSeekV4) },
    Kind { name: "harmony", detects: Harmony::detects, make: |_| Arc::new(Harmony) },
    Kind { name: "mistral", detects: Mistral::detects, make: |template| Arc::new(Mistral::of(template)) },
    Kind { name: "functionary_v3_1", detects: Functionary31::detects, make: |_| Arc::new(Functionary31) },
    Kind { name: "functionary_v3_2", detects: Functionary32::detects, make: |_| Arc::new(Functionary32) },
    Kind { name: "pythonic", detects: Pythonic::detects, make: |template| Arc::new(Pythonic::of(template)) },
    Kind { name: "llama3", detects: Llama3::detects, make: |_| Arc::new(Llama3) },
    Kind { name: "gemma", detects: Gemma::detects, make: |_| Arc::new(Gemma) },
    Kind { name: "generic", detects: |template| !template.is_empty(), make: |_| Arc::new(Generic) },
    Kind { name: "plain", detects: |_| true, make: |_| Arc::new(Plain) },
];

impl<'a> Template<'a> {
    /// The template of this source, empty if there is none.
    pub fn new(source: &'a str) -> Self {
        Self { source }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.source.trim().is_empty()
    }

    /// Whether `text` stands in it.
    pub fn has(&self, text: &str) -> bool {
        self.source.contains(text)
    }
}

/// The format that `template` shows.
pub fn choose(template: &Template<'_>) -> Arc<dyn Format> {
    let kind = KINDS.iter().find(|kind| (kind.detects)(template));
    kind.map_or_else(|| Arc::new(Plain) as Arc<dyn Format>, |kind| (kind.make)(template))
}

/// The format of this name.
pub fn named(name: &str, template: &Template<'_>) -> Result<Arc<dyn Format>, UnknownFormat> {
    let kind = KINDS.iter().find(|kind| kind.name == name);
    kind.map(|kind| (kind.make)(template)).ok_or_else(|| UnknownFormat { name: name.to_owned() })
}

/// Names of all formats.
pub fn names() -> Vec<&'static str> {
    KINDS.iter().map(|kind| kind.name).collect()
}

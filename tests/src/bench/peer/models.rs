//! The models that both servers are measured with: random weights of real shapes behind real vocabularies.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::bench::{
    gguf::Element,
    model::{self, EDITION, made_once},
    vocabulary::FileVocabulary,
    weights::Shape,
};

/// Where vocabularies of well-known models may lie, beside the project.
const VOCABULARIES: &str = "../shared/vocab";

/// One of the models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PeerModel {
    /// The shape of Llama 3.2 1B, in Q4_0, with an output matrix of its own.
    Billion,
    /// About a hundred million parameters, in Q8_0.
    HundredMillion,
    /// A few, for trying out the bench itself.
    Small,
}

impl PeerModel {
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Billion, Self::HundredMillion, Self::Small].into_iter().find(|model| model.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Billion => "1b",
            Self::HundredMillion => "100m",
            Self::Small => "small",
        }
    }

    fn element(self) -> Element {
        match self {
            Self::Billion => Element::Q4_0,
            Self::HundredMillion | Self::Small => Element::Q8_0,
        }
    }

    /// The vocabulary that it has where there is that file; else one of the same size is made up.
    fn vocabulary(self) -> Option<&'static str> {
        match self {
            Self::Billion => Some("ggml-vocab-llama-bpe.gguf"),
            Self::HundredMillion => Some("ggml-vocab-llama-spm.gguf"),
            Self::Small => None,
        }
    }

    fn shape(self) -> Shape {
        let shape = Shape {
            vocabulary: 32_000,
            layers: 8,
            width: 768,
            heads: 12,
            kv_heads: 4,
            head_length: 64,
            feed_forward: 2560,
            context_tokens: 8192,
        };
        match self {
            Self::Billion => Shape {
                vocabulary: 128_256,
                layers: 16,
                width: 2048,
                heads: 32,
                kv_heads: 8,
                feed_forward: 8192,
                ..shape
            },
            Self::HundredMillion => shape,
            Self::Small => Shape {
                vocabulary: 2048,
                layers: 2,
                width: 128,
                heads: 2,
                kv_heads: 2,
                feed_forward: 256,
                ..shape
            },
        }
    }

    /// Its file in `dir`, made unless an earlier run left it there.
    pub(super) fn prepare(self, dir: &Path) -> anyhow::Result<PathBuf> {
        let (shape, element) = (self.shape(), self.element());
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let source = self.vocabulary().map(|file| project.join(VOCABULARIES).join(file));
        let source = source.filter(|path| path.exists());
        let words = if source.is_some() { "real" } else { "made" };
        let path = dir.join(format!("peer-{}-{}-{words}-{EDITION}.gguf", self.name(), element.name()));
        made_once(&path, |unfinished| match &source {
            Some(source) => {
                let vocabulary = FileVocabulary::read(source)?;
                let shape = Shape { vocabulary: vocabulary.tokens.len(), ..shape };
                model::write_with_file(unfinished, &shape, element, vocabulary)
            }
            None => model::write(unfinished, &shape, element),
        })?;
        Ok(path)
    }

    /// A copy of `file` beside it, which is another model to the server.
    pub(super) fn copy(file: &Path) -> anyhow::Result<PathBuf> {
        let path = file.with_extension("copy.gguf");
        made_once(&path, |unfinished| std::fs::copy(file, unfinished).map(drop))
            .context("copying the model")?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{gguf::Tensor, weights};

    #[test]
    fn shapes_are_of_the_size_that_their_names_say() {
        let check = |model: PeerModel, millions: std::ops::Range<u64>| {
            let shape = model.shape();
            let tensors = weights::tensors(&shape, model.element());
            let parameters: u64 = tensors.iter().map(Tensor::n_elements).sum();
            assert!(millions.contains(&(parameters / 1_000_000)), "{model:?}: {parameters}");
            assert_eq!(shape.heads % shape.kv_heads, 0);
            // Rows are whole blocks.
            assert!(tensors.iter().all(|tensor| tensor.shape[0] % 32 == 0));
        };
        // Less the output matrix, which Llama 3.2 1B shares with the embedding: 1.24 billion.
        check(PeerModel::Billion, 1450..1550);
        check(PeerModel::HundredMillion, 95..115);
        check(PeerModel::Small, 0..2);
    }

    #[test]
    fn every_model_has_a_name_of_its_own() {
        for model in [PeerModel::Billion, PeerModel::HundredMillion, PeerModel::Small] {
            assert_eq!(PeerModel::named(model.name()), Some(model));
        }
        assert_eq!(PeerModel::named("2b"), None);
    }
}

//! Which models embed, and how they make one vector of an input: as the file says it, or as the option does.

use llama_cpp_2::context::params::LlamaPoolingType;

/// The architectures that only embed: their attention looks both ways.
const ENCODERS: [&str; 10] = [
    "bert",
    "eurobert",
    "gemma-embedding",
    "jina-bert-v2",
    "jina-bert-v3",
    "modern-bert",
    "neo-bert",
    "nomic-bert",
    "nomic-bert-moe",
    "t5encoder",
];

/// How an embedding model makes a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pooling {
    /// Mean, first or last token.
    pub(crate) mode: LlamaPoolingType,
    /// Whether an input may be computed piece by piece: no token looks ahead, and the last one alone counts.
    pub(crate) can_cut: bool,
}

/// The file asks for what cannot be served.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PoolingError {
    #[error("it is a reranker (its pooling_type is rank), and rerankers are not served")]
    Reranker,
    #[error("its pooling_type is {0}, which llama.cpp does not know; the option `pooling` can say another")]
    Unknown(String),
}

impl Pooling {
    /// What the model of these `keys` does with an input; none for a model that generates. `option` is the user's
    /// choice, which makes any model an embedding model.
    pub(crate) fn of(
        keys: impl Fn(&str) -> Option<String>,
        option: Option<LlamaPoolingType>,
    ) -> Result<Option<Self>, PoolingError> {
        let architecture = keys("general.architecture").unwrap_or_default();
        let of_architecture = |name: &str| keys(&format!("{architecture}.{name}"));
        let is_encoder = ENCODERS.contains(&architecture.as_str());
        let mode = match (option, of_architecture("pooling_type").as_deref()) {
            (Some(mode), _) => mode,
            (None, Some("1")) => LlamaPoolingType::Mean,
            (None, Some("2")) => LlamaPoolingType::Cls,
            (None, Some("3")) => LlamaPoolingType::Last,
            (None, Some("4")) => return Err(PoolingError::Reranker),
            // 0 is no pooling. Of an encoder's tokens the mean is then as good as any, and what most were trained for.
            (None, None | Some("0")) if is_encoder => LlamaPoolingType::Mean,
            (None, None | Some("0")) => return Ok(None),
            (None, Some(other)) => return Err(PoolingError::Unknown(other.to_owned())),
        };
        let is_causal =
            !is_encoder && of_architecture("attention.causal").is_none_or(|value| value != "false");
        Ok(Some(Self { mode, can_cut: is_causal && mode == LlamaPoolingType::Last }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(
        keys: &[(&str, &str)],
        option: Option<LlamaPoolingType>,
    ) -> Result<Option<(LlamaPoolingType, bool)>, PoolingError> {
        let key =
            |name: &str| keys.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Pooling::of(key, option).map(|found| found.map(|pooling| (pooling.mode, pooling.can_cut)))
    }

    #[test]
    fn the_file_says_which_models_embed() {
        use LlamaPoolingType::{Cls, Last, Mean};

        let check = |keys: &[(&str, &str)], expected: Option<(LlamaPoolingType, bool)>| {
            assert_eq!(of(keys, None), Ok(expected), "{keys:?}");
        };
        let (bert, qwen) = (("general.architecture", "bert"), ("general.architecture", "qwen3"));
        check(&[], None);
        check(&[qwen], None);
        check(&[qwen, ("qwen3.pooling_type", "0")], None);
        check(&[qwen, ("bert.pooling_type", "1")], None);
        check(&[qwen, ("qwen3.pooling_type", "3")], Some((Last, true)));
        check(&[qwen, ("qwen3.pooling_type", "1")], Some((Mean, false)));
        check(&[qwen, ("qwen3.pooling_type", "3"), ("qwen3.attention.causal", "false")], Some((Last, false)));
        check(&[bert], Some((Mean, false)));
        check(&[bert, ("bert.pooling_type", "0")], Some((Mean, false)));
        check(&[bert, ("bert.pooling_type", "2")], Some((Cls, false)));
        check(&[bert, ("bert.pooling_type", "3")], Some((Last, false)));
    }

    #[test]
    fn the_option_is_the_last_word() {
        use LlamaPoolingType::{Cls, Last, Mean};

        let llama = ("general.architecture", "llama");
        assert_eq!(of(&[llama], Some(Last)), Ok(Some((Last, true))));
        assert_eq!(of(&[llama], Some(Mean)), Ok(Some((Mean, false))));
        let reranker = [("general.architecture", "bert"), ("bert.pooling_type", "4")];
        assert_eq!(of(&reranker, Some(Cls)), Ok(Some((Cls, false))));
        assert_eq!(of(&reranker, None), Err(PoolingError::Reranker));
        let odd = [("general.architecture", "bert"), ("bert.pooling_type", "9")];
        assert_eq!(of(&odd, None), Err(PoolingError::Unknown("9".into())));
    }
}

//! candle-transformers' own models, for families that this crate's decoder does not cover. Each holds one sequence,
//! so that they are computed one chunk at a time.

mod engine;
mod family;
mod sequence;
mod setting;
mod tensor;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use impetus_runtime::{
    engine::{Limits, Model, Task},
    huggingface::chat_template,
};

use self::{engine::StockEngine, family::Family, sequence::Sequence, tensor::Tensors};
use crate::{
    config::ModelConfig,
    error::{ModelError, words},
    load::{Source, TOKENS_PER_STEP, card},
    weights::Weights,
};

/// Loads a model of a family that only candle-transformers has.
pub(crate) fn load(source: &Source, architecture: &str) -> Result<Model, ModelError> {
    let family = Family::of(architecture).ok_or_else(|| {
        let known: Vec<_> = ModelConfig::families().chain(family::names()).collect();
        ModelError::Architecture { name: architecture.to_owned(), known: known.join(", ") }
    })?;
    refuse_options(source, family)?;
    let sizes = setting::sizes(source.config)?;
    let trained = sizes.trained_context.min(family.longest_context.unwrap_or(usize::MAX));
    let context_tokens = source.context(trained);
    if family.longest_context.is_some_and(|longest| context_tokens as usize > longest) {
        let problem = format!("is at most {trained} for `{architecture}`; {context_tokens} are asked for");
        return Err(ModelError::config("max_position_embeddings", problem));
    }
    let config = setting::complete(source.config, family, context_tokens)?;
    let vocabulary = source.vocabulary(sizes.vocabulary)?;
    let chat_template = chat_template(source.folder)?;
    let tensors = Tensors::new(Weights::open(source.folder, source.config, source.options)?, family.aliases);
    let bytes = tensors.bytes();

    let pristine = guarded(architecture, || (family.load)(config, tensors.builder()))?;
    let limits = Limits {
        slots: source.spec.slots,
        context_tokens,
        tokens_per_step: TOKENS_PER_STEP,
        chunk_rows: 1,
        chunks_per_step: 1,
        vocabulary: sizes.vocabulary as u32,
    };
    let mut card = card(architecture.to_owned(), trained, bytes.total());
    card.chat_template = chat_template;
    card.implementation = format!("candle-transformers {}", family.module);
    source.progress.report(1.0);
    let task = Task::Generate(Box::new(StockEngine::new(pristine, family.appends, limits)));
    Ok(Model { task, vocabulary, card })
}

/// The stock models compute in F32, and have their own linear layers.
fn refuse_options(source: &Source, family: &Family) -> Result<(), ModelError> {
    let option = match (source.options.dtype, source.options.quantize) {
        (Some(dtype), _) if dtype != candle_core::DType::F32 => "dtype",
        (_, Some(_)) => "quantize",
        _ => return Ok(()),
    };
    Err(ModelError::StockOption { option, architecture: family.model_type })
}

/// The models panic on some of what a file can lack.
fn guarded(
    architecture: &str,
    load: impl FnOnce() -> candle_core::Result<Box<dyn Sequence>>,
) -> Result<Box<dyn Sequence>, ModelError> {
    let failed = |reason: String| ModelError::Stock { architecture: architecture.to_owned(), reason };
    match catch_unwind(AssertUnwindSafe(load)) {
        Ok(loaded) => loaded.map_err(|error| failed(words(&error))),
        Err(panic) => {
            let words = panic.downcast_ref::<String>().cloned();
            Err(failed(words.unwrap_or_else(|| "its weights do not fit config.json".into())))
        }
    }
}

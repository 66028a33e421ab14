//! GGUF models on llama.cpp: the thin layer between `runtime::engine` and the library.

mod embedding;
mod engine;
mod log;
mod option;
mod pooling;
mod quantize;
// Elsewhere ggml brings threads of its own.
#[cfg(target_os = "linux")]
mod threads;
mod vocabulary;

use std::{num::NonZeroU32, sync::Arc};

use impetus_runtime::engine::{
    Backend, Card, Conversion, ConvertError, LoadError, Model, ModelSpec, Progress, Task,
};
use llama_cpp_2::{
    context::params::{KvCacheType, LlamaContextParams},
    llama_backend::LlamaBackend,
    model::{LlamaModel, params::LlamaModelParams},
};
use tracing::{info, warn};

use crate::{
    embedding::{GgufEmbedding, Sizes},
    engine::GgufEngine,
    option::{FlashAttention, Options},
    pooling::Pooling,
    vocabulary::GgufVocabulary,
};

/// Tokens of one step, and of one of the pieces in which llama.cpp computes it.
const TOKENS_PER_STEP: u32 = 512;

/// The longest context that a slot gets when nobody asks for one, in tokens. Models say up to millions.
const DEFAULT_CONTEXT_TOKENS: u32 = 8192;

/// llama.cpp, initialised.
pub struct Gguf {
    library: &'static LlamaBackend,
}

impl Backend for Gguf {
    const FORMAT: &'static str = "gguf";

    fn start(_threads: u32) -> Result<Self, LoadError> {
        log::install();
        let library = LlamaBackend::init()
            .map_err(|error| LoadError::Engine { engine: "llama.cpp", reason: error.to_string() })?;
        // One process serves one model for its life: what the engine borrows lives as long as the process.
        Ok(Self { library: Box::leak(Box::new(library)) })
    }

    fn version(&self) -> String {
        // SAFETY: both return pointers to constant NUL-terminated strings of the library.
        let (llama, ggml) = unsafe {
            (
                std::ffi::CStr::from_ptr(llama_cpp_sys_2::llama_version()),
                std::ffi::CStr::from_ptr(llama_cpp_sys_2::ggml_version()),
            )
        };
        format!("llama.cpp {} (ggml {})", llama.to_string_lossy(), ggml.to_string_lossy())
    }

    fn load(&mut self, spec: &ModelSpec, progress: &Progress) -> Result<Model, LoadError> {
        let options = Options::parse(&spec.options)?;
        let model: &'static LlamaModel = Box::leak(Box::new(self.load_weights(spec, &options, progress)?));
        let vocabulary = Arc::new(GgufVocabulary::new(model));
        let key = |name: &str| model.meta_val_str(name).ok();
        let pooling = Pooling::of(key, options.pooling).map_err(|error| broken(spec, error.to_string()))?;
        let task = match pooling {
            None => Task::Generate(Box::new(self.generate(model, spec, &options, &vocabulary)?)),
            Some(pooling) => Task::Embed(Box::new(self.embed(model, spec, &options, pooling)?)),
        };
        let card = Card {
            architecture: key("general.architecture").unwrap_or_default(),
            trained_context_tokens: model.n_ctx_train(),
            chat_template: model.chat_template(None).ok().and_then(|template| template.to_string().ok()),
            devices: devices(options.gpu_layers),
            weights_bytes: model.size(),
            implementation: String::new(),
        };
        info!(threads = spec.threads, devices = ?card.devices, embeds = pooling.is_some(), "loaded");
        Ok(Model { task, vocabulary, card })
    }

    fn convert(conversion: &Conversion) -> Result<(), ConvertError> {
        quantize::convert(conversion)
    }
}

impl Gguf {
    fn load_weights(
        &self,
        spec: &ModelSpec,
        options: &Options,
        progress: &Progress,
    ) -> Result<LlamaModel, LoadError> {
        if let Err(error) = std::fs::File::open(&spec.path) {
            return Err(broken(spec, error.to_string()));
        }
        let progress = progress.clone();
        let params = LlamaModelParams::default()
            .with_n_gpu_layers(options.gpu_layers)
            .with_use_mmap(options.mmap)
            .with_use_mlock(options.mlock)
            .with_progress_callback(move |fraction| {
                progress.report(fraction);
                true
            });
        LlamaModel::load_from_file(self.library, &spec.path, &params)
            .map_err(|error| broken(spec, log::last_errors().unwrap_or_else(|| error.to_string())))
    }

    /// The context of a model that generates, a slot for each of the sequences that are asked for.
    fn generate(
        &self,
        model: &'static LlamaModel,
        spec: &ModelSpec,
        options: &Options,
        vocabulary: &GgufVocabulary,
    ) -> Result<GgufEngine, LoadError> {
        let trained = model.n_ctx_train();
        let context_tokens = match spec.context_tokens {
            0 => trained.clamp(1, DEFAULT_CONTEXT_TOKENS),
            asked => asked,
        };
        if context_tokens > trained {
            warn!(context_tokens, trained, "the context is longer than what the model was trained on");
        }
        let params = context_params(spec, attention(model, options), context_tokens)?;
        let context = model.new_context(self.library, params).map_err(|_| LoadError::Memory {
            what: format!("{} slots of {context_tokens} tokens", spec.slots),
        })?;
        Ok(GgufEngine::new(context, spec.slots, context_tokens, TOKENS_PER_STEP, vocabulary))
    }

    /// The context of a model that embeds.
    fn embed(
        &self,
        model: &'static LlamaModel,
        spec: &ModelSpec,
        options: &Options,
        pooling: Pooling,
    ) -> Result<GgufEmbedding, LoadError> {
        let sizes = Sizes::new(spec.context_tokens, model.n_ctx_train(), model.n_vocab() as u32, pooling);
        let (kv_type, flash_attention) = attention(model, options);
        let params = sizes
            .context_params(spec, pooling)
            .with_flash_attention_policy(flash_attention.policy())
            .with_type_k(kv_type)
            .with_type_v(kv_type);
        let context = model
            .new_context(self.library, params)
            .map_err(|_| LoadError::Memory { what: format!("inputs of {} tokens", sizes.context_tokens) })?;
        Ok(GgufEmbedding::new(context, model, sizes))
    }
}

fn broken(spec: &ModelSpec, reason: String) -> LoadError {
    LoadError::Broken { path: spec.path.clone(), reason }
}

/// The KV cache is kept apart by slot: each sequence's keys then lie at its own positions whatever its neighbours
/// do, which is what makes a batch equal its chunks alone to the last bit (docs/adr/0001).
fn context_params(
    spec: &ModelSpec,
    (kv_type, flash_attention): (KvCacheType, FlashAttention),
    context_tokens: u32,
) -> Result<LlamaContextParams, LoadError> {
    let cells = spec.slots.checked_mul(context_tokens).and_then(NonZeroU32::new).ok_or_else(|| {
        LoadError::Memory { what: format!("{} slots of {context_tokens} tokens", spec.slots) }
    })?;
    Ok(LlamaContextParams::default()
        .with_n_ctx(Some(cells))
        .with_n_seq_max(spec.slots)
        .with_kv_unified(false)
        .with_n_batch(TOKENS_PER_STEP)
        .with_n_ubatch(TOKENS_PER_STEP)
        .with_n_threads(spec.threads as i32)
        .with_n_threads_batch(spec.threads as i32)
        .with_flash_attention_policy(flash_attention.policy())
        .with_type_k(kv_type)
        .with_type_v(kv_type)
        .with_no_perf(true))
}

/// `general.file_type` of a file whose weights are all F32 (`LLAMA_FTYPE_ALL_F32`).
const ALL_F32: &str = "0";

/// What `auto` means for this model. F32 weights get an F32 cache and attention without the flash kernel, which
/// computes in F16: their results then do not depend on how a prompt is cut (docs/adr/0001).
fn attention(model: &LlamaModel, options: &Options) -> (KvCacheType, FlashAttention) {
    let is_f32 = model.meta_val_str("general.file_type").is_ok_and(|file_type| file_type == ALL_F32);
    let kv_type = options.kv_type.unwrap_or(if is_f32 { KvCacheType::F32 } else { KvCacheType::F16 });
    let flash = match options.flash_attention {
        FlashAttention::Auto if is_f32 && kv_type == KvCacheType::F32 => FlashAttention::Off,
        chosen => chosen,
    };
    (kv_type, flash)
}

/// Where the weights may lie: the processor, and the devices that layers were offered to.
fn devices(gpu_layers: u32) -> Vec<String> {
    let is_gpu = |device: &llama_cpp_2::LlamaBackendDevice| {
        use llama_cpp_2::LlamaBackendDeviceType::{Gpu, IntegratedGpu};
        matches!(device.device_type, Gpu | IntegratedGpu)
    };
    let gpus =
        llama_cpp_2::list_llama_ggml_backend_devices().into_iter().filter(is_gpu).map(|device| device.name);
    let gpus: Vec<_> = gpus.filter(|_| gpu_layers > 0).collect();
    if gpus.is_empty() { vec!["cpu".into()] } else { gpus }
}

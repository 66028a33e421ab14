//! `[workers.gguf.options]`

use std::collections::BTreeMap;

use impetus_runtime::engine::LoadError;
use llama_cpp_2::context::params::{KvCacheType, LlamaPoolingType};

/// The format's own settings.
#[derive(Debug)]
pub(crate) struct Options {
    /// `kv_type`: the element type of the KV cache; none for `auto`, which is f32 for a model of f32 weights and f16
    /// for others.
    pub(crate) kv_type: Option<KvCacheType>,
    /// `flash_attention`: `on`, `off`, or `auto`, which is off where weights and cache are f32, and else the
    /// library's choice.
    pub(crate) flash_attention: FlashAttention,
    /// `gpu_layers`: layers offered to GPUs; all by default, which without a GPU feature means none.
    pub(crate) gpu_layers: u32,
    /// `mmap`: map the file instead of reading it.
    pub(crate) mmap: bool,
    /// `mlock`: keep the weights from being swapped out.
    pub(crate) mlock: bool,
    /// `pooling`: how vectors are made, which makes any model an embedding model; none for `file`, which is what
    /// the file says.
    pub(crate) pooling: Option<LlamaPoolingType>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlashAttention {
    Auto,
    On,
    Off,
}

impl FlashAttention {
    pub(crate) fn policy(self) -> llama_cpp_sys_2::llama_flash_attn_type {
        match self {
            Self::Auto => llama_cpp_sys_2::LLAMA_FLASH_ATTN_TYPE_AUTO,
            Self::On => llama_cpp_sys_2::LLAMA_FLASH_ATTN_TYPE_ENABLED,
            Self::Off => llama_cpp_sys_2::LLAMA_FLASH_ATTN_TYPE_DISABLED,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kv_type: None,
            flash_attention: FlashAttention::Auto,
            gpu_layers: i32::MAX as u32,
            mmap: true,
            mlock: false,
            pooling: None,
        }
    }
}

impl Options {
    /// Reads the options; an unknown one is an error, as is a value that it cannot have.
    pub(crate) fn parse(options: &BTreeMap<String, String>) -> Result<Self, LoadError> {
        let mut parsed = Self::default();
        for (name, value) in options {
            let refuse = |expected: &str| LoadError::Option {
                name: name.clone(),
                value: value.clone(),
                expected: expected.to_owned(),
            };
            match name.as_str() {
                "kv_type" => {
                    parsed.kv_type = match value.as_str() {
                        "auto" => None,
                        "f32" => Some(KvCacheType::F32),
                        "f16" => Some(KvCacheType::F16),
                        "bf16" => Some(KvCacheType::BF16),
                        "q8_0" => Some(KvCacheType::Q8_0),
                        "q4_0" => Some(KvCacheType::Q4_0),
                        _ => return Err(refuse("one of auto, f32, f16, bf16, q8_0, q4_0")),
                    }
                }
                "flash_attention" => {
                    parsed.flash_attention = match value.as_str() {
                        "auto" => FlashAttention::Auto,
                        "on" => FlashAttention::On,
                        "off" => FlashAttention::Off,
                        _ => return Err(refuse("one of auto, on, off")),
                    }
                }
                "gpu_layers" => {
                    parsed.gpu_layers =
                        value.parse().map_err(|_| refuse("a number of layers, 0 for none"))?;
                }
                "mmap" => parsed.mmap = value.parse().map_err(|_| refuse("true or false"))?,
                "mlock" => parsed.mlock = value.parse().map_err(|_| refuse("true or false"))?,
                "pooling" => {
                    parsed.pooling = match value.as_str() {
                        "file" => None,
                        "mean" => Some(LlamaPoolingType::Mean),
                        "cls" => Some(LlamaPoolingType::Cls),
                        "last" => Some(LlamaPoolingType::Last),
                        _ => return Err(refuse("one of file, mean, cls, last")),
                    }
                }
                _ => {
                    return Err(refuse(
                        "the options are kv_type, flash_attention, gpu_layers, mmap, mlock, pooling",
                    ));
                }
            }
        }
        let quantized = matches!(parsed.kv_type, Some(KvCacheType::Q8_0 | KvCacheType::Q4_0));
        if quantized && parsed.flash_attention == FlashAttention::Off {
            return Err(LoadError::Option {
                name: "flash_attention".into(),
                value: "off".into(),
                expected: "a quantized kv_type needs flash attention: auto or on".into(),
            });
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[(&str, &str)]) -> Result<Options, String> {
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Options::parse(&options).map_err(|error| error.to_string())
    }

    #[test]
    fn a_mistake_is_named_with_what_would_be_right() {
        let check = |options: &[(&str, &str)], expected: &[&str]| {
            let error = parse(options).expect_err("the option is wrong");
            assert!(expected.iter().all(|word| error.contains(word)), "{error}");
        };
        check(&[("kv_type", "q9")], &["kv_type", "q9", "q8_0"]);
        check(&[("flash_attention", "yes")], &["flash_attention", "auto"]);
        check(&[("gpu_layers", "-1")], &["gpu_layers", "-1"]);
        check(&[("pooling", "max")], &["pooling", "max", "mean"]);
        check(&[("rope", "1")], &["rope", "kv_type"]);
        check(&[("kv_type", "q8_0"), ("flash_attention", "off")], &["quantized"]);
    }

    #[test]
    fn valid_options_are_taken() {
        let options = [("kv_type", "q8_0"), ("gpu_layers", "0"), ("mmap", "false"), ("pooling", "last")];
        let options = parse(&options).unwrap();
        assert_eq!(options.pooling, Some(LlamaPoolingType::Last));
        assert_eq!(parse(&[("pooling", "file")]).unwrap().pooling, None);
        assert_eq!(options.kv_type, Some(KvCacheType::Q8_0));
        assert_eq!((options.gpu_layers, options.mmap, options.mlock), (0, false, false));
    }
}

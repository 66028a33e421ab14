//! A model's tensors by name, whatever files they lie in.

mod affine;
mod archive;
mod source;
#[cfg(test)]
mod tests;

use candle_core::{DType, Tensor};
use impetus_runtime::huggingface::Folder;
use serde_json::Value;

use crate::{
    decoder::{Linear, Part},
    error::ModelError,
    option::Options,
    weights::{affine::Affine, source::Source},
};

/// Where the decoder's tensors may be, the plain form first; the others are in models of text and images.
const PREFIXES: [&str; 4] = ["model.", "language_model.model.", "model.language_model.", ""];

/// Names of the output matrix.
const OUTPUTS: [&str; 2] = ["lm_head", "language_model.lm_head"];

/// The tensors of a folder.
pub(crate) struct Weights {
    source: Source,
    affine: Option<Affine>,
    options: Options,
    prefix: &'static str,
}

impl Weights {
    /// Finds the folder's weights. Safetensors are preferred where there are several kinds.
    pub(crate) fn open(folder: &Folder, config: &Value, options: Options) -> Result<Self, ModelError> {
        let source = Source::open(folder)?;
        let has_embedding = |prefix: &&str| source.has(&format!("{prefix}embed_tokens.weight"));
        let prefix = PREFIXES.into_iter().find(has_embedding).ok_or_else(|| ModelError::MissingTensor {
            name: format!("{}embed_tokens.weight", PREFIXES[0]),
            files: source.files().to_owned(),
        })?;
        Ok(Self { affine: Affine::of(config)?, source, options, prefix })
    }

    /// What all names of the decoder's tensors begin with.
    pub(crate) fn prefix(&self) -> &'static str {
        self.prefix
    }

    /// The output matrix's name.
    pub(crate) fn output_name(&self) -> &'static str {
        let has_weight = |name: &&str| self.source.has(&format!("{name}.weight"));
        OUTPUTS.into_iter().find(has_weight).unwrap_or(OUTPUTS[0])
    }

    /// The tensor `name`, which has to have the given shape, in the type that weights are held in.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        let packed = self.affine.as_ref().and_then(|affine| affine.names(name, &self.source));
        let tensor = match packed {
            Some(packed) => packed.unpack(&self.source, shape)?,
            None => self.source.tensor(name, shape)?,
        };
        let dtype = match (self.options.dtype, tensor.dtype()) {
            (Some(asked), _) => asked,
            (None, own @ (DType::F32 | DType::F16 | DType::BF16)) => own,
            (None, _) => DType::F32,
        };
        let converted = tensor.to_dtype(dtype).and_then(|tensor| tensor.contiguous());
        converted.map_err(|error| ModelError::tensor(name, error))
    }

    /// The elements of a vector, in F32.
    pub(crate) fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>, ModelError> {
        let tensor = self.source.tensor(name, &[length])?;
        let values = tensor.to_dtype(DType::F32).and_then(|tensor| tensor.to_vec1::<f32>());
        values.map_err(|error| ModelError::tensor(name, error))
    }

    /// A linear layer of one or several tensors, quantized if the options say so.
    pub(crate) fn linear(&self, parts: &[Part], inputs: usize, bias: bool) -> Result<Linear, ModelError> {
        Linear::load(self, parts, inputs, bias, self.options.quantize)
    }

    /// The same over a matrix that is there already.
    pub(crate) fn linear_of(&self, name: &str, matrix: Tensor) -> Result<Linear, ModelError> {
        Linear::of(name, matrix, self.options.quantize)
    }
}

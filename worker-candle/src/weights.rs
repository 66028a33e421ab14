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
    error::ModelError,
    layer::{Linear, Part},
    option::Options,
    weights::{affine::Affine, source::Source},
};

/// The tensors of a folder.
pub(crate) struct Weights {
    source: Source,
    affine: Option<Affine>,
    options: Options,
}

impl Weights {
    /// Finds the folder's weights. Safetensors are preferred where there are several kinds.
    pub(crate) fn open(folder: &Folder, config: &Value, options: Options) -> Result<Self, ModelError> {
        Ok(Self { affine: Affine::of(config)?, source: Source::open(folder)?, options })
    }

    /// The first of `prefixes` below which there is a tensor `name`.
    pub(crate) fn prefix_of(
        &self,
        name: &str,
        prefixes: &[&'static str],
    ) -> Result<&'static str, ModelError> {
        let has_name = |prefix: &&&str| self.has(&format!("{prefix}{name}"));
        prefixes.iter().find(has_name).copied().ok_or_else(|| ModelError::MissingTensor {
            name: format!("{}{name}", prefixes[0]),
            files: self.source.files().to_owned(),
        })
    }

    /// Whether there is a tensor `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.source.has(name)
    }

    /// The tensor `name`, which has to have the given shape, in the type that weights are held in.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        let packed = match &self.affine {
            Some(affine) => affine.names(name, &self.source)?,
            None => None,
        };
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
        converted.map_err(|error| ModelError::tensor(name, &error))
    }

    /// The elements of a vector, in F32.
    pub(crate) fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>, ModelError> {
        self.elements(name, &[length])
    }

    /// The elements of a small matrix, row by row, in F32.
    pub(crate) fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Vec<f32>, ModelError> {
        self.elements(name, &[rows, columns])
    }

    fn elements(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let tensor = self.source.tensor(name, shape)?;
        let values = tensor.to_dtype(DType::F32).and_then(|tensor| tensor.flatten_all()?.to_vec1::<f32>());
        values.map_err(|error| ModelError::tensor(name, &error))
    }

    /// A linear layer of one or several tensors, quantized if the options say so.
    pub(crate) fn linear(&self, parts: &[Part], inputs: usize, bias: bool) -> Result<Linear, ModelError> {
        Linear::load(self, parts, inputs, bias, self.options.quantize)
    }

    /// Whether linear layers are quantized.
    pub(crate) fn quantizes(&self) -> bool {
        self.options.quantize.is_some()
    }
}

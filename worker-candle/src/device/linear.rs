//! Linear layers and norms on a device, and how their weights get there.

use candle_core::{DType, Result, Tensor};

use super::Loader;
use crate::error::ModelError;

/// A product with a transposed matrix in the file's type, and a bias in F32.
pub(super) struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

/// Division by the root mean square, times weights (arXiv:1910.07467).
pub(super) struct Norm {
    weights: Tensor,
    epsilon: f32,
}

impl Loader<'_> {
    /// The tensor `name` in the type that weights are held in.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> std::result::Result<Tensor, ModelError> {
        let tensor = self.weights.tensor(name, shape)?;
        tensor.to_device(self.device).map_err(|error| ModelError::tensor(name, &error))
    }

    /// A layer of parts, names without `.weight` and their rows, one behind the other.
    pub(super) fn linear(
        &self,
        parts: &[(String, usize)],
        inputs: usize,
        bias: bool,
    ) -> std::result::Result<Linear, ModelError> {
        let name = parts.first().map_or("", |(name, _)| name.as_str());
        let failed = |error: candle_core::Error| ModelError::tensor(name, &error);
        let weights =
            parts.iter().map(|(name, rows)| self.tensor(&format!("{name}.weight"), &[*rows, inputs]));
        let weight = joined(&weights.collect::<std::result::Result<Vec<_>, _>>()?).map_err(failed)?;
        if !bias {
            return Ok(Linear::of(weight, None));
        }
        let mut values = Vec::new();
        for (name, rows) in parts {
            values.extend(self.weights.vector(&format!("{name}.bias"), *rows)?);
        }
        let bias = Tensor::new(values, self.device).map_err(failed)?;
        Ok(Linear::of(weight, Some(bias)))
    }

    /// The norm `name` for vectors of `width`.
    pub(super) fn norm(&self, name: &str, width: usize) -> std::result::Result<Norm, ModelError> {
        let mut weights = self.weights.vector(&format!("{name}.weight"), width)?;
        if self.config.unit_offset_norm {
            for weight in &mut weights {
                *weight += 1.0;
            }
        }
        let weights = Tensor::new(weights, self.device).map_err(|error| ModelError::tensor(name, &error))?;
        Ok(Norm { weights, epsilon: self.config.norm_epsilon as f32 })
    }
}

impl Linear {
    pub(super) fn of(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    pub(super) fn bytes(&self) -> u64 {
        bytes(&self.weight) + self.bias.as_ref().map_or(0, bytes)
    }

    /// Applies the layer to rows of F32.
    pub(super) fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        let product = rows.to_dtype(self.weight.dtype())?.matmul(&self.weight.t()?)?.to_dtype(DType::F32)?;
        match &self.bias {
            Some(bias) => product.broadcast_add(bias),
            None => Ok(product),
        }
    }
}

impl Norm {
    /// Normalises the last dimension.
    pub(super) fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        candle_nn::ops::rms_norm(&rows.contiguous()?, &self.weights, self.epsilon)
    }
}

/// Bytes of a tensor's elements.
pub(super) fn bytes(tensor: &Tensor) -> u64 {
    (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64
}

/// One matrix of several; their types are made equal where they differ.
fn joined(tensors: &[Tensor]) -> Result<Tensor> {
    if let [single] = tensors {
        return Ok(single.clone());
    }
    if tensors.windows(2).all(|pair| pair[0].dtype() == pair[1].dtype()) {
        return Tensor::cat(tensors, 0);
    }
    let wide = tensors.iter().map(|tensor| tensor.to_dtype(DType::F32)).collect::<Result<Vec<_>>>()?;
    Tensor::cat(&wide, 0)
}

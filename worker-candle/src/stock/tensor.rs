//! The folder's tensors as candle's models ask for them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::{Init, VarBuilder, var_builder::SimpleBackend};

use crate::weights::Weights;

/// The folder's tensors, some of them under other names.
pub(super) struct Tensors {
    weights: Weights,
    /// What a model asks for, and what files may call it.
    aliases: &'static [(&'static str, &'static str)],
    bytes: Arc<Bytes>,
}

/// Bytes of all tensors that were asked for.
#[derive(Default)]
pub(super) struct Bytes(AtomicU64);

impl Bytes {
    pub(super) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Tensors {
    pub(super) fn new(weights: Weights, aliases: &'static [(&'static str, &'static str)]) -> Self {
        Self { weights, aliases, bytes: Arc::default() }
    }

    /// Counts while the tensors are read.
    pub(super) fn bytes(&self) -> Arc<Bytes> {
        Arc::clone(&self.bytes)
    }

    /// What candle's models are built from.
    pub(super) fn builder(self) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self), DType::F32, Device::Cpu)
    }

    fn resolve<'a>(&self, name: &'a str) -> &'a str {
        if self.weights.has(name) {
            return name;
        }
        let other = self.aliases.iter().find(|(asked, other)| *asked == name && self.weights.has(other));
        other.map_or(name, |(_, other)| other)
    }
}

impl SimpleBackend for Tensors {
    fn get(&self, shape: Shape, name: &str, _init: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let tensor =
            self.weights.tensor(self.resolve(name), shape.dims()).map_err(candle_core::Error::wrap)?;
        let tensor = tensor.to_dtype(dtype)?.to_device(device)?;
        let bytes = (tensor.elem_count() * dtype.size_in_bytes()) as u64;
        self.bytes.0.fetch_add(bytes, Ordering::Relaxed);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _dtype: DType, _device: &Device) -> Result<Tensor> {
        candle_core::bail!("the tensor `{name}` is asked for without a shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.weights.has(self.resolve(name))
    }
}

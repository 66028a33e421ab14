//! Linear layers over weights in the file's type or quantized.

use std::sync::Arc;

use candle_core::{
    CpuStorage, DType, Device, Module, Storage, Tensor,
    quantized::{GgmlDType, QMatMul, QTensor},
};

use crate::{
    error::ModelError,
    kernel::{Packed, WeightRows, multiply},
    plan::Segment,
    weights::Weights,
};

/// A product with a transposed matrix, and a bias.
pub(crate) struct Linear {
    matrix: Matrix,
    bias: Option<Vec<f32>>,
    inputs: usize,
    outputs: usize,
}

enum Matrix {
    Dense(Arc<Packed>),
    Quantized { product: QMatMul, bytes: u64 },
}

/// A part of a linear layer: a tensor of the file with some of the rows.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// The tensor's name without `.weight`.
    pub(crate) name: String,
    pub(crate) rows: usize,
}

impl Part {
    pub(crate) fn new(name: impl Into<String>, rows: usize) -> Self {
        Self { name: name.into(), rows }
    }
}

impl Linear {
    /// Loads `parts` as one matrix, one part's rows behind the other's.
    pub(crate) fn load(
        weights: &Weights,
        parts: &[Part],
        inputs: usize,
        bias: bool,
        quantize: Option<GgmlDType>,
    ) -> Result<Self, ModelError> {
        let tensors = parts
            .iter()
            .map(|part| weights.tensor(&format!("{}.weight", part.name), &[part.rows, inputs]))
            .collect::<Result<Vec<_>, _>>()?;
        let name = parts.first().map_or("", |part| part.name.as_str());
        let tensor = joined(&tensors).map_err(|error| ModelError::tensor(name, &error))?;
        let mut linear = Self::of(name, &tensor, quantize)?;
        if bias {
            let mut values = Vec::new();
            for part in parts {
                values.extend(weights.vector(&format!("{}.bias", part.name), part.rows)?);
            }
            linear.bias = Some(values);
        }
        Ok(linear)
    }

    /// A layer over a matrix that others use as well.
    pub(crate) fn shared(matrix: Arc<Packed>) -> Self {
        let (inputs, outputs) = (matrix.depth(), matrix.rows());
        Self { matrix: Matrix::Dense(matrix), bias: None, inputs, outputs }
    }

    /// A layer over a matrix that is there already.
    fn of(name: &str, tensor: &Tensor, quantize: Option<GgmlDType>) -> Result<Self, ModelError> {
        let failed = |error: candle_core::Error| ModelError::tensor(name, &error);
        let (outputs, inputs) = tensor.dims2().map_err(failed)?;
        // A row that is no whole number of blocks stays as it is.
        let matrix = match quantize.filter(|kind| inputs.is_multiple_of(kind.block_size())) {
            None => Matrix::Dense(Arc::new(packed(tensor).map_err(failed)?)),
            Some(kind) => {
                let source = tensor.to_dtype(DType::F32).map_err(failed)?;
                let quantized = QTensor::quantize(&source, kind).map_err(failed)?;
                let bytes = quantized.storage_size_in_bytes() as u64;
                Matrix::Quantized { product: QMatMul::from_qtensor(quantized).map_err(failed)?, bytes }
            }
        };
        Ok(Self { matrix, bias: None, inputs, outputs })
    }

    /// Width of what comes out.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Bytes of the weights as they are held.
    pub(crate) fn bytes(&self) -> u64 {
        let bias = self.bias.as_ref().map_or(0, |bias| size_of_val(bias.as_slice()) as u64);
        bias + match &self.matrix {
            Matrix::Dense(weight) => weight.bytes(),
            Matrix::Quantized { bytes, .. } => *bytes,
        }
    }

    /// Applies the layer to the rows of `inputs`. A row of a quantized layer is rounded with those of its segment.
    pub(crate) fn forward(&self, inputs: &[f32], segments: &[Segment]) -> candle_core::Result<Vec<f32>> {
        let n_rows = inputs.len() / self.inputs;
        let mut outputs = vec![0.0; n_rows * self.outputs];
        match &self.matrix {
            Matrix::Dense(weight) => multiply(weight, inputs, &mut outputs),
            Matrix::Quantized { product, .. } => {
                for Segment { rows, .. } in segments {
                    let from = &inputs[rows.start * self.inputs..rows.end * self.inputs];
                    let to = &mut outputs[rows.start * self.outputs..rows.end * self.outputs];
                    let input = Tensor::from_slice(from, (rows.len(), self.inputs), &Device::Cpu)?;
                    to.copy_from_slice(&product.forward(&input)?.flatten_all()?.to_vec1::<f32>()?);
                }
            }
        }
        if let Some(bias) = &self.bias {
            for row in outputs.chunks_exact_mut(self.outputs) {
                row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
            }
        }
        Ok(outputs)
    }
}

/// A matrix in the order that products read it in.
pub(crate) fn packed(tensor: &Tensor) -> candle_core::Result<Packed> {
    let (_, depth) = tensor.dims2()?;
    with_rows(tensor, |rows| Packed::of(rows, depth))
}

/// One matrix of several; their types are made equal where they differ.
fn joined(tensors: &[Tensor]) -> candle_core::Result<Tensor> {
    if let [single] = tensors {
        return single.contiguous();
    }
    let equal = tensors.windows(2).all(|pair| pair[0].dtype() == pair[1].dtype());
    if equal {
        return Tensor::cat(tensors, 0)?.contiguous();
    }
    let wide = tensors.iter().map(|tensor| tensor.to_dtype(DType::F32)).collect::<Result<Vec<_>, _>>()?;
    Tensor::cat(&wide, 0)?.contiguous()
}

/// Gives the elements of a contiguous tensor on the processor to `read`.
pub(crate) fn with_rows<R>(tensor: &Tensor, read: impl FnOnce(WeightRows) -> R) -> candle_core::Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    let (start, end) =
        layout.contiguous_offsets().ok_or(candle_core::Error::RequiresContiguous { op: "rows" })?;
    let Storage::Cpu(storage) = &*storage else {
        candle_core::bail!("a weight does not lie in the processor's memory")
    };
    let rows = match storage {
        CpuStorage::F32(values) => WeightRows::F32(&values[start..end]),
        CpuStorage::F16(values) => WeightRows::F16(&values[start..end]),
        CpuStorage::BF16(values) => WeightRows::Bf16(&values[start..end]),
        other => candle_core::bail!(
            "a weight has the type {}",
            candle_core::backend::BackendStorage::dtype(other).as_str()
        ),
    };
    Ok(read(rows))
}

//! MLX's affine quantization: groups of small unsigned numbers with a scale and a bias each, several numbers to a
//! 32-bit word, the first in the lowest bits. An element is `number * scale + bias`.

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use serde_json::{Map, Value};

use super::source::Source;
use crate::error::ModelError;

/// `quantization` of an MLX folder's `config.json`.
pub(super) struct Affine {
    default: Packing,
    /// Layers that differ; `false` there means not quantized, which the absence of scales says as well.
    layers: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packing {
    group: usize,
    bits: usize,
}

/// A quantized matrix.
pub(super) struct Packed {
    layer: String,
    packing: Packing,
}

impl Affine {
    /// The folder's quantization, where it has one of MLX's.
    pub(super) fn of(config: &Value) -> Result<Option<Self>, ModelError> {
        let Some(settings) = config.get("quantization").and_then(Value::as_object) else { return Ok(None) };
        let default = Packing::of(settings, None)?;
        Ok(Some(Self { default, layers: settings.clone() }))
    }

    /// The parts of the tensor `name`, where it is quantized.
    pub(super) fn names(&self, name: &str, source: &Source) -> Option<Packed> {
        let layer = name.strip_suffix(".weight")?;
        source.has(&format!("{layer}.scales")).then(|| {
            let own = self.layers.get(layer).and_then(Value::as_object);
            let packing = own.and_then(|own| Packing::of(own, Some(self.default)).ok());
            Packed { layer: layer.to_owned(), packing: packing.unwrap_or(self.default) }
        })
    }
}

impl Packing {
    fn of(settings: &Map<String, Value>, default: Option<Self>) -> Result<Self, ModelError> {
        let refuse = |method: String| ModelError::Quantization {
            method,
            instead: "use an MLX model with 2, 4 or 8 bits in groups of 32, 64 or 128",
        };
        if let Some(mode) = settings.get("mode").and_then(Value::as_str).filter(|mode| *mode != "affine") {
            return Err(refuse(format!("MLX's mode `{mode}`")));
        }
        let number = |name: &str, default: Option<usize>| {
            let value = settings.get(name).and_then(Value::as_u64).map(|value| value as usize);
            value.or(default).ok_or_else(|| ModelError::config(format!("quantization.{name}"), "is missing"))
        };
        let group = number("group_size", default.map(|packing| packing.group))?;
        let bits = number("bits", default.map(|packing| packing.bits))?;
        if [2, 4, 8].contains(&bits) && [32, 64, 128].contains(&group) {
            Ok(Self { group, bits })
        } else {
            Err(refuse(format!("{bits} bits in groups of {group}")))
        }
    }
}

impl Packed {
    /// The matrix of the given shape, in the type of its scales.
    pub(super) fn unpack(&self, source: &Source, shape: &[usize]) -> Result<Tensor, ModelError> {
        let Packing { group, bits } = self.packing;
        let name = format!("{}.weight", self.layer);
        let &[rows, columns] = shape else {
            return Err(ModelError::tensor(name, "only matrices can be quantized"));
        };
        if !columns.is_multiple_of(group) {
            let reason = format!("its {columns} columns are no whole number of groups of {group}");
            return Err(ModelError::tensor(name, reason));
        }
        let words = source.tensor(&name, &[rows, columns * bits / 32])?;
        let scales = source.tensor(&format!("{}.scales", self.layer), &[rows, columns / group])?;
        let biases = source.tensor(&format!("{}.biases", self.layer), &[rows, columns / group])?;
        let dtype = scales.dtype();
        let unpacked = || -> candle_core::Result<Tensor> {
            let words = words.flatten_all()?.to_vec1::<u32>()?;
            let scales = scales.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
            let biases = biases.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
            let values = unpack(&words, &scales, &biases, self.packing);
            Tensor::from_vec(values, (rows, columns), &Device::Cpu)?.to_dtype(dtype)
        };
        unpacked().map_err(|error| ModelError::tensor(name, error))
    }
}

fn unpack(words: &[u32], scales: &[f32], biases: &[f32], Packing { group, bits }: Packing) -> Vec<f32> {
    let mask = (1_u32 << bits) - 1;
    let per_word = 32 / bits;
    let mut values = vec![0.0; words.len() * per_word];
    let groups = values.par_chunks_exact_mut(group).zip(words.par_chunks_exact(group / per_word));
    groups.zip(scales).zip(biases).for_each(|(((values, words), scale), bias)| {
        for (values, word) in values.chunks_exact_mut(per_word).zip(words) {
            for (idx, value) in values.iter_mut().enumerate() {
                let number = (word >> (idx * bits)) & mask;
                *value = scale * number as f32 + bias;
            }
        }
    });
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_hold_their_first_number_lowest() {
        let check = |bits: usize, word: u32, expected: &[f32]| {
            let per_group = 32;
            let words = vec![word; per_group * bits / 32];
            let values = unpack(&words, &[2.0], &[-1.0], Packing { group: per_group, bits });
            assert_eq!(&values[..expected.len()], expected, "{bits} bits");
            assert_eq!(values.len(), per_group);
        };
        check(8, 0x04_03_02_01, &[1.0, 3.0, 5.0, 7.0]);
        check(4, 0x8765_4321, &[1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0]);
        check(2, 0b1110_0100, &[-1.0, 1.0, 3.0, 5.0, -1.0]);
    }

    #[test]
    fn what_cannot_be_unpacked_is_refused_by_name() {
        let check = |settings: &str, expected: &str| {
            let config = serde_json::from_str(settings).unwrap();
            let Err(error) = Affine::of(&config) else { panic!("{settings} was accepted") };
            assert!(error.to_string().contains(expected), "{error}");
        };
        check(r#"{"quantization": {"group_size": 64, "bits": 3}}"#, "3 bits in groups of 64");
        check(r#"{"quantization": {"group_size": 32, "bits": 4, "mode": "mxfp4"}}"#, "mxfp4");
        check(r#"{"quantization": {"bits": 4}}"#, "quantization.group_size");
    }
}

//! MLX's affine quantization: groups of small unsigned numbers with a scale and a bias each. The numbers of a row are
//! one stream of bits, the first number's lowest bit first, cut into 32-bit words. An element is
//! `number * scale + bias`.
//!
//! <https://github.com/ml-explore/mlx>, `mlx/backend/metal/kernels/quantized.h`

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
    pub(super) fn names(&self, name: &str, source: &Source) -> Result<Option<Packed>, ModelError> {
        let Some(layer) = name.strip_suffix(".weight") else { return Ok(None) };
        if !source.has(&format!("{layer}.scales")) {
            return Ok(None);
        }
        let packing = match self.layers.get(layer).and_then(Value::as_object) {
            Some(own) => Packing::of(own, Some(self.default))?,
            None => self.default,
        };
        Ok(Some(Packed { layer: layer.to_owned(), packing }))
    }
}

impl Packing {
    fn of(settings: &Map<String, Value>, default: Option<Self>) -> Result<Self, ModelError> {
        let refuse = |method: String| ModelError::Quantization {
            method,
            instead: "use an MLX model with 2, 3, 4, 5, 6 or 8 bits in groups of 32, 64 or 128",
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
        if [2, 3, 4, 5, 6, 8].contains(&bits) && [32, 64, 128].contains(&group) {
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
            return Err(ModelError::unfit(name, "only matrices can be quantized"));
        };
        if !columns.is_multiple_of(group) {
            let reason = format!("its {columns} columns are no whole number of groups of {group}");
            return Err(ModelError::unfit(name, reason));
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
        unpacked().map_err(|error| ModelError::tensor(name, &error))
    }
}

fn unpack(words: &[u32], scales: &[f32], biases: &[f32], Packing { group, bits }: Packing) -> Vec<f32> {
    let mask = (1_u64 << bits) - 1;
    let mut values = vec![0.0; scales.len() * group];
    // A group of a multiple of 32 numbers begins with a word.
    let groups = values.par_chunks_exact_mut(group).zip(words.par_chunks_exact(group * bits / 32));
    groups.zip(scales).zip(biases).for_each(|(((values, words), scale), bias)| {
        // The bits that are read and not yet used.
        let (mut pending, mut n_pending) = (0_u64, 0);
        let mut words = words.iter();
        for value in values {
            if n_pending < bits {
                pending |= u64::from(words.next().copied().unwrap_or_default()) << n_pending;
                n_pending += 32;
            }
            *value = scale * (pending & mask) as f32 + bias;
            pending >>= bits;
            n_pending -= bits;
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
        // The eleventh number lies across the border of two words.
        let word = 0b01_111_110_101_100_011_010_001_000_111_111;
        check(3, word, &[13.0, 13.0, -1.0, 1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 9.0]);
        check(5, 0b00011_00010_00001_00000 << 12, &[-1.0, -1.0]);
        check(6, 0b11_000_010_000_001, &[1.0, 3.0, 5.0, -1.0]);
    }

    #[test]
    fn what_cannot_be_unpacked_is_refused_by_name() {
        let check = |settings: &str, expected: &str| {
            let config = serde_json::from_str(settings).unwrap();
            let Err(error) = Affine::of(&config) else { panic!("{settings} was accepted") };
            assert!(error.to_string().contains(expected), "{error}");
        };
        check(r#"{"quantization": {"group_size": 64, "bits": 7}}"#, "7 bits in groups of 64");
        check(r#"{"quantization": {"group_size": 32, "bits": 4, "mode": "mxfp4"}}"#, "mxfp4");
        check(r#"{"quantization": {"bits": 4}}"#, "quantization.group_size");
    }
}

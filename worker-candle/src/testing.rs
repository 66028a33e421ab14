//! Folders with random weights, for tests.

use std::{collections::HashMap, path::Path};

use candle_core::{Device, Tensor};
use tempfile::TempDir;

use crate::error::ModelError;

/// A folder with the weights that `load` asks for. What is asked for is learnt from the loader's complaints: first a
/// tensor is missing, then it has another shape than it should have.
pub(crate) fn random_folder<T>(load: impl Fn(&Path) -> Result<T, ModelError>) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let mut tensors = HashMap::from([("none".to_owned(), random(&[1]))]);
    loop {
        candle_core::safetensors::save(&tensors, place.path().join("model.safetensors")).unwrap();
        match load(place.path()) {
            Ok(_) => return place,
            Err(ModelError::MissingTensor { name, .. }) => tensors.insert(name, random(&[1])),
            Err(ModelError::Shape { name, expected, .. }) => tensors.insert(name, random(&expected)),
            Err(error) => panic!("{error}"),
        };
    }
}

fn random(shape: &[usize]) -> Tensor {
    let spread = if shape.len() == 1 { 0.3 } else { 1.5 / (shape[shape.len() - 1] as f32).sqrt() };
    Tensor::randn(0.1_f32, spread, shape, &Device::Cpu).unwrap()
}

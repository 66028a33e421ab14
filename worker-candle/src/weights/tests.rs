use std::{collections::HashMap, path::Path};

use candle_core::{DType, Device, Tensor};
use impetus_runtime::huggingface::Folder;
use serde_json::{Value, json};

use super::Weights;
use crate::option::Options;

const NAME: &str = "model.embed_tokens.weight";

fn safetensors(path: &Path, tensors: &[(&str, Tensor)]) {
    let tensors: HashMap<_, _> = tensors.iter().cloned().collect();
    candle_core::safetensors::save(&tensors, path).unwrap();
}

fn matrix() -> Tensor {
    Tensor::arange(0.0_f32, 6.0, &Device::Cpu).unwrap().reshape((2, 3)).unwrap()
}

fn open(path: &Path) -> Result<Weights, String> {
    let folder = Folder::open(path, path).unwrap();
    Weights::open(&folder, &json!({}), Options::default()).map_err(|error| error.to_string())
}

/// Makes a folder, opens it and asks for the matrix.
fn check_failure(make: impl Fn(&Path), expected: &[&str]) {
    let place = tempfile::tempdir().unwrap();
    make(place.path());
    let result = open(place.path())
        .and_then(|weights| weights.tensor(NAME, &[2, 3]).map_err(|error| error.to_string()));
    let error = result.expect_err("the folder is broken");
    assert!(expected.iter().all(|word| error.contains(word)), "{error} lacks one of {expected:?}");
}

#[test]
fn broken_folders_are_refused_with_the_reason() {
    let index = |map: &Value| json!({"weight_map": map}).to_string();
    check_failure(|_| {}, &["no weights", "*.safetensors"]);
    check_failure(
        |path| safetensors(&path.join("model.safetensors"), &[("other", matrix())]),
        &[NAME, "missing"],
    );
    check_failure(
        |path| safetensors(&path.join("model.safetensors"), &[(NAME, matrix().t().unwrap())]),
        &[NAME, "[3, 2]", "[2, 3]"],
    );
    check_failure(
        |path| {
            let file = path.join("model.safetensors");
            safetensors(&file, &[(NAME, matrix())]);
            let bytes = std::fs::read(&file).unwrap();
            std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
        },
        &["model.safetensors", "damaged"],
    );
    check_failure(|path| std::fs::write(path.join("model.safetensors"), [0xff; 64]).unwrap(), &["damaged"]);
    check_failure(
        |path| {
            let index = index(&json!({NAME: "model-1.safetensors"}));
            std::fs::write(path.join("model.safetensors.index.json"), index).unwrap();
        },
        &["model-1.safetensors", "could not be read"],
    );
    check_failure(
        |path| {
            let index = index(&json!({NAME: "../../etc/passwd"}));
            std::fs::write(path.join("model.safetensors.index.json"), index).unwrap();
        },
        &["../../etc/passwd", "outside"],
    );
    check_failure(
        |path| std::fs::write(path.join("model.safetensors.index.json"), "{}").unwrap(),
        &["index.json", "weight_map"],
    );
    check_failure(
        |path| std::fs::write(path.join("pytorch_model.bin"), "x").unwrap(),
        &["pytorch_model.bin", "damaged"],
    );
    check_failure(|path| std::fs::write(path.join("weights.npz"), "x").unwrap(), &["weights.npz", "damaged"]);
}

#[test]
fn tensors_come_in_the_type_that_is_asked_for() {
    let place = tempfile::tempdir().unwrap();
    safetensors(&place.path().join("model.safetensors"), &[(NAME, matrix().to_dtype(DType::BF16).unwrap())]);
    let check = |asked: Option<DType>, expected: DType| {
        let options = Options { dtype: asked, ..Options::default() };
        let folder = Folder::open(place.path(), place.path()).unwrap();
        let weights = Weights::open(&folder, &json!({}), options).unwrap();
        let tensor = weights.tensor(NAME, &[2, 3]).unwrap();
        assert_eq!(tensor.dtype(), expected);
        let values = tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    };
    check(None, DType::BF16);
    check(Some(DType::F32), DType::F32);
    check(Some(DType::F16), DType::F16);
}

#[test]
fn shards_are_read_through_their_index() {
    let place = tempfile::tempdir().unwrap();
    safetensors(&place.path().join("a.safetensors"), &[(NAME, matrix())]);
    safetensors(&place.path().join("b.safetensors"), &[("lm_head.weight", matrix())]);
    let index = json!({"weight_map": {NAME: "a.safetensors", "lm_head.weight": "b.safetensors"}});
    std::fs::write(place.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    let weights = open(place.path()).unwrap();
    for name in [NAME, "lm_head.weight"] {
        assert!(weights.tensor(name, &[2, 3]).is_ok(), "{name}");
    }
}

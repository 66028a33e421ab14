use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor, quantized::gguf_file::Content};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::*;
use crate::testing::FAMILIES;

fn bundled(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundled/tiny").join(name)
}

/// A copy of the bundled folder that can be changed.
fn folder() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(bundled("impetus-tiny-safetensors")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), place.path().join(entry.file_name())).unwrap();
    }
    place
}

fn change(folder: &TempDir, file: &str, edit: impl FnOnce(&mut Json)) {
    let path = folder.path().join(file);
    let mut json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

fn export(folder: &Path, kind: Option<&str>, target: &Path) -> Result<(), ConvertError> {
    let kind = kind.map(str::to_owned);
    let (path, root) = (folder.to_owned(), folder.to_owned());
    let target = target.to_owned();
    convert(&Conversion { path, root, target, kind, name: "a name".into(), threads: 1 })
}

fn read(path: &Path) -> (Content, fs::File) {
    let mut file = fs::File::open(path).unwrap();
    (Content::read(&mut file).unwrap(), file)
}

#[test]
fn the_bundled_folder_becomes_the_bundled_file() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("made.gguf");
    export(&bundled("impetus-tiny-safetensors"), None, &target).unwrap();
    let ((ours, mut our_file), (theirs, mut their_file)) =
        (read(&target), read(&bundled("impetus-tiny.gguf")));
    let mut names: Vec<_> = ours.tensor_infos.keys().collect();
    let mut expected: Vec<_> = theirs.tensor_infos.keys().collect();
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
    for name in names {
        let mut data = [(&ours, &mut our_file), (&theirs, &mut their_file)].map(|(content, file)| {
            let tensor = content.tensor(file, name, &Device::Cpu).unwrap();
            (tensor.shape().clone(), tensor.data().unwrap().into_owned())
        });
        let [ours, theirs] = &mut data;
        assert!(ours == theirs, "{name}");
    }
    // Who wrote it and what is said of it differ, and which of the two ends is called that of a turn.
    let told = |content: &Content, key: &str| format!("{:?}", content.metadata.get(key));
    let is_shared = |key: &&String| {
        !key.starts_with("general.") && !key.contains("fim_") && *key != "tokenizer.ggml.eot_token_id"
    };
    for key in theirs.metadata.keys().filter(is_shared) {
        assert_eq!(told(&ours, key), told(&theirs, key), "{key}");
    }
}

#[test]
fn a_type_is_what_its_name_says() {
    let place = tempfile::tempdir().unwrap();
    let exact = bundled("impetus-tiny-safetensors");
    for (kind, file_type, most) in [("f32", 0, 0.0), ("f16", 1, 1.0 / 2048.0), ("bf16", 32, 1.0 / 256.0)] {
        let target = place.path().join(kind);
        export(&exact, Some(kind), &target).unwrap();
        let ((ours, mut our_file), (theirs, mut their_file)) =
            (read(&target), read(&bundled("impetus-tiny.gguf")));
        assert_eq!(ours.metadata["general.file_type"].to_u32().unwrap(), file_type);
        for name in ours.tensor_infos.keys() {
            let [ours, theirs] =
                [(&ours, &mut our_file), (&theirs, &mut their_file)].map(|(content, file)| {
                    let tensor =
                        content.tensor(file, name, &Device::Cpu).unwrap().dequantize(&Device::Cpu).unwrap();
                    tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()
                });
            // Numbers below the smallest normal one of F16 lose more, and count for nothing.
            let is_near =
                |(a, b): (&f32, &f32)| (a - b).abs() <= most * b.abs() + f32::from(most > 0.0) * 1e-7;
            assert!(ours.iter().zip(&theirs).all(is_near), "{name} as {kind}");
        }
    }
}

#[test]
fn a_family_is_written_or_refused_by_name() {
    let written = ["llama", "qwen3"];
    for family in FAMILIES {
        let mut own: Json = serde_json::from_str(family).unwrap();
        let base = json!({"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 40,
            "max_position_embeddings": 64});
        own.as_object_mut().unwrap().extend(base.as_object().unwrap().clone());
        if own["model_type"] == "mistral" {
            own["sliding_window"] = json!(16);
        }
        let name = own["model_type"].as_str().unwrap().to_owned();
        let ModelConfig::Decoder(config) = ModelConfig::parse(&own).unwrap() else { panic!("{name}") };
        match Family::of(&config) {
            Ok(_) => assert!(written.contains(&name.as_str()) || name == "qwen2", "{name} is written"),
            Err(error) => {
                assert!(!written.contains(&name.as_str()), "{name}: {error}");
                let error = error.to_string();
                assert!(error.contains(&name) || error.contains("sliding_window"), "{name}: {error}");
            }
        }
    }
}

#[test]
fn what_cannot_be_written_is_refused_and_named() {
    type Edit = fn(&mut Json);
    let check = |file: &str, edit: Edit, expected: &str| {
        let folder = folder();
        change(&folder, file, edit);
        let target = folder.path().join("made.gguf");
        let error = export(folder.path(), Some("f16"), &target).expect_err(expected).to_string();
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(!target.exists(), "{expected}: something was written");
    };
    let config = "config.json";
    check(config, |json| json["model_type"] = json!("bert"), "bert");
    check(config, |json| json["model_type"] = json!("mamba"), "for conversion llama");
    check(config, |json| json["model_type"] = json!("granite"), "granite");
    check(config, |json| json["attention_bias"] = json!(true), "attention_bias");
    check(config, |json| json["mlp_bias"] = json!(true), "mlp_bias");
    check(config, |json| json["hidden_act"] = json!("gelu"), "hidden_act");
    check(config, |json| json["rope_scaling"] = json!({"type": "yarn", "factor": 4.0}), "yarn");
    check(config, |json| json["rope_scaling"] = json!({"type": "dynamic", "factor": 4.0}), "dynamic");
    check(config, |json| json["hidden_size"] = json!(1_u64 << 40), "hidden_size");
    check(config, |json| json["num_hidden_layers"] = json!(9), "layers.4");
    check(config, |json| json["tie_word_embeddings"] = json!(false), "lm_head");
    check(config, |json| json["vocab_size"] = json!(100), "1024");
    check(config, |json| json["quantization_config"] = json!({"quant_method": "gptq"}), "gptq");
    let tokenizer = "tokenizer.json";
    check(tokenizer, |json| json["normalizer"] = json!({"type": "Lowercase"}), "changes texts");
    check(tokenizer, |json| json["pre_tokenizer"] = json!({"type": "Whitespace"}), "cuts texts");
    check(tokenizer, |json| json["model"]["ignore_merges"] = json!(true), "ignore_merges");
    check(tokenizer, |json| json["model"]["byte_fallback"] = json!(true), "byte-level BPE");
    check(tokenizer, |json| json["model"] = json!("BPE"), "damaged");
}

#[test]
fn a_number_that_f16_cannot_hold_is_refused() {
    let folder = folder();
    let mut bytes = fs::read(folder.path().join("model.safetensors")).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let head: Json = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let at =
        head["model.layers.1.mlp.up_proj.weight"]["data_offsets"][0].as_u64().unwrap() as usize + 8 + header;
    bytes[at..at + 4].copy_from_slice(&70_000_f32.to_le_bytes());
    fs::write(folder.path().join("model.safetensors"), &bytes).unwrap();
    let target = folder.path().join("made.gguf");
    let error = export(folder.path(), Some("f16"), &target).unwrap_err().to_string();
    assert!(error.contains("blk.1.ffn_up.weight") && error.contains("70000"), "{error}");
    fs::remove_file(&target).unwrap();
    export(folder.path(), Some("bf16"), &target).unwrap();
}

#[test]
fn ways_of_cutting_texts_are_told_apart() {
    let split = |pattern: &str| {
        json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]})
    };
    let check = |before: Json, expected: Option<&str>| {
        let found = tokenizer::cut(&json!({"normalizer": null, "pre_tokenizer": before})).ok();
        assert_eq!(found, expected, "{before}");
    };
    check(json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}), Some("gpt-2"));
    check(json!({"type": "ByteLevel", "add_prefix_space": true, "use_regex": true}), None);
    check(json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}), None);
    for (name, pattern) in tokenizer::CUTS {
        check(split(pattern), Some(name));
        check(split(&format!("{pattern}|x")), None);
    }
    check(json!(null), None);
}

#[test]
fn damaged_weights_are_refused() {
    for length in [0, 7, 8, 100, 5000, 9_000_000] {
        let folder = folder();
        let path = folder.path().join("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..length]).unwrap();
        let target = folder.path().join("made.gguf");
        export(folder.path(), Some("f16"), &target).expect_err("it is cut off");
        assert!(!target.exists(), "{length}");
    }
}

/// The tensors of the bundled folder.
fn tensors() -> HashMap<String, Tensor> {
    let path = bundled("impetus-tiny-safetensors/model.safetensors");
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

/// The elements of a tensor of a GGUF file.
fn elements(path: &Path, name: &str) -> Vec<f32> {
    let (content, mut file) = read(path);
    let tensor = content.tensor(&mut file, name, &Device::Cpu).unwrap().dequantize(&Device::Cpu).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn an_archive_is_written_as_the_same_file() {
    let folder = folder();
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let tensors: Vec<_> = tensors().into_iter().collect();
    Tensor::write_npz(&tensors, folder.path().join("weights.npz")).unwrap();
    let [ours, theirs] = ["ours.gguf", "theirs.gguf"].map(|name| folder.path().join(name));
    export(folder.path(), None, &ours).unwrap();
    export(&bundled("impetus-tiny-safetensors"), None, &theirs).unwrap();
    assert!(fs::read(ours).unwrap() == fs::read(theirs).unwrap());
}

#[test]
fn what_mlx_has_rounded_is_written_as_it_counts() {
    const GROUP: usize = 64;
    let (folder, layer) = (folder(), "model.layers.2.mlp.up_proj");
    let mut tensors = tensors();
    let exact = tensors.remove(&format!("{layer}.weight")).unwrap();
    let (rows, columns) = exact.dims2().unwrap();
    let values = exact.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (mut words, mut scales, mut biases, mut expected) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for group in values.chunks(GROUP) {
        let (least, most) =
            group.iter().fold((f32::MAX, f32::MIN), |(a, b), &value| (a.min(value), b.max(value)));
        let scale = (most - least) / 255.0;
        let numbers: Vec<u8> = group.iter().map(|value| ((value - least) / scale).round() as u8).collect();
        words.extend(numbers.chunks(4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap())));
        expected.extend(numbers.iter().map(|&number| f32::from(number) * scale + least));
        scales.push(scale);
        biases.push(least);
    }
    let groups = (rows, columns / GROUP);
    let packed = Tensor::from_vec(words, (rows, columns / 4), &Device::Cpu).unwrap();
    tensors.insert(format!("{layer}.weight"), packed);
    for (part, values) in [("scales", scales), ("biases", biases)] {
        tensors.insert(format!("{layer}.{part}"), Tensor::from_vec(values, groups, &Device::Cpu).unwrap());
    }
    candle_core::safetensors::save(&tensors, folder.path().join("model.safetensors")).unwrap();
    change(&folder, "config.json", |json| json["quantization"] = json!({"group_size": GROUP, "bits": 8}));
    let target = folder.path().join("made.gguf");
    export(folder.path(), None, &target).unwrap();
    let ours = elements(&target, "blk.2.ffn_up.weight");
    let is_near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * (1.0 + b.abs());
    assert!(ours.iter().zip(&expected).all(is_near));
    assert_eq!(
        elements(&target, "blk.1.ffn_up.weight"),
        elements(&bundled("impetus-tiny.gguf"), "blk.1.ffn_up.weight")
    );
}

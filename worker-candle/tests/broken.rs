//! Damaged folders are refused with the file and what is wrong with it, before much memory is used for them.

use std::path::Path;

use serde_json::{Value, json};

use crate::bundled;

/// Damages a copy of the bundled model and expects the words in the error.
fn check(damage: impl Fn(&Path), expected: &[&str]) {
    let place = bundled::folder();
    damage(place.path());
    let Err(error) = bundled::try_load(place.path(), (2, 64), &[], |_| {}) else {
        panic!("a model was loaded that lacks {expected:?}")
    };
    let words = error.to_string();
    let path = place.path().display().to_string();
    for word in expected.iter().copied().chain([path.as_str()]) {
        assert!(words.contains(word), "{words} lacks {word}");
    }
    assert!(words.len() < 2000, "{words}");
}

fn write(path: &Path, name: &str, contents: impl AsRef<[u8]>) {
    std::fs::write(path.join(name), contents).expect("a file can be written");
}

fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file).expect("a file can be read")
}

/// Changes one setting of `config.json`.
fn configure(path: &Path, name: &str, value: Value) {
    let file = path.join("config.json");
    let mut config: Value = serde_json::from_slice(&read(&file)).expect("it is JSON");
    config[name] = value;
    write(path, "config.json", config.to_string());
}

/// Changes the bytes of the weights.
fn edit(path: &Path, change: impl Fn(&mut Vec<u8>)) {
    let file = path.join("model.safetensors");
    let mut bytes = read(&file);
    change(&mut bytes);
    write(path, "model.safetensors", bytes);
}

#[test]
fn damaged_safetensors_are_refused() {
    check(|path| edit(path, |bytes| bytes.truncate(bytes.len() / 2)), &["model.safetensors", "damaged"]);
    check(|path| edit(path, |bytes| bytes.truncate(100)), &["model.safetensors", "damaged"]);
    check(|path| edit(path, Vec::clear), &["model.safetensors", "damaged"]);
    // A header of almost 2^64 bytes.
    check(|path| edit(path, |bytes| bytes[..8].fill(0xfe)), &["model.safetensors", "damaged"]);
    check(|path| edit(path, |bytes| bytes[8..200].fill(b'{')), &["model.safetensors", "damaged"]);
    check(|path| edit(path, |bytes| bytes[8..200].fill(0xff)), &["model.safetensors", "damaged"]);
    check(
        |path| std::fs::remove_file(path.join("model.safetensors")).unwrap(),
        &["no weights", "*.safetensors"],
    );
}

#[test]
fn a_missing_shard_is_named() {
    let name = "model.safetensors.index.json";
    let replace = |index: String| {
        move |path: &Path| {
            std::fs::remove_file(path.join("model.safetensors")).unwrap();
            write(path, name, &index);
        }
    };
    let index = |shard: &str| json!({"weight_map": {"model.embed_tokens.weight": shard}}).to_string();
    let shard = "model-00002-of-00002.safetensors";
    check(replace(index(shard)), &[shard, "could not be read"]);
    check(replace(index("../../../etc/passwd")), &["../../../etc/passwd", "outside"]);
    check(replace(r#"{"weight_map": 3}"#.into()), &[name, "weight_map"]);
    check(replace("{".into()), &[name, "damaged"]);
}

#[test]
fn a_config_that_does_not_fit_is_refused_by_its_setting() {
    let set = |name: &'static str, value: Value| move |path: &Path| configure(path, name, value.clone());
    check(set("hidden_size", json!(512)), &["embed_tokens", "[1024, 256]", "[1024, 512]"]);
    check(set("intermediate_size", json!(500)), &["gate_proj", "[512, 256]", "[500, 256]"]);
    check(set("num_hidden_layers", json!(5)), &["layers.4", "missing", "model.safetensors"]);
    check(set("hidden_size", json!(1_u64 << 40)), &["hidden_size", "config.json"]);
    check(set("num_hidden_layers", json!(1_000_000_000)), &["num_hidden_layers"]);
    check(set("intermediate_size", json!(1 << 18)), &["gate_proj", "262144"]);
    check(set("vocab_size", json!(1 << 22)), &["embed_tokens", "4194304"]);
    check(set("max_position_embeddings", json!(-1)), &["max_position_embeddings", "-1"]);
    check(set("rope_theta", json!("1e4")), &["rope_theta"]);
    check(
        set("model_type", json!("perceiver")),
        &["`perceiver`", "llama", "bert", "modernbert", "olmo2", "mamba"],
    );
    check(set("model_type", json!("olmo2")), &["olmo2", "missing", "model.safetensors"]);
    // Stock models generate; a folder that says how to pool wants vectors.
    let pooled = |path: &Path| {
        configure(path, "model_type", json!("olmo2"));
        std::fs::create_dir(path.join("1_Pooling")).expect("a folder can be made");
        write(path, "1_Pooling/config.json", "{}");
    };
    check(pooled, &["`olmo2`", "embeddings", "bert"]);
    check(set("model_type", json!("bert")), &["word_embeddings", "missing"]);
    check(|path| write(path, "config.json", "{"), &["config.json", "damaged"]);
    check(|path| write(path, "config.json", "[]"), &["config.json", "damaged"]);
    check(|path| std::fs::remove_file(path.join("config.json")).unwrap(), &["no config.json"]);
}

#[test]
fn a_tokenizer_that_does_not_fit_is_refused() {
    check(
        |path| configure(path, "vocab_size", json!(1000)),
        &["tokenizer.json", "1024 tokens", "`vocab_size` = 1000"],
    );
    check(|path| write(path, "tokenizer.json", "{}"), &["tokenizer.json", "damaged"]);
    check(|path| std::fs::remove_file(path.join("tokenizer.json")).unwrap(), &["no tokenizer.json"]);
}

#[test]
fn a_pickle_that_is_no_checkpoint_is_refused_and_never_run() {
    let replace = |pickle: &'static [u8]| {
        move |path: &Path| {
            std::fs::remove_file(path.join("model.safetensors")).unwrap();
            write(path, "pytorch_model.bin", archive(pickle));
        }
    };
    let file = "pytorch_model.bin";
    // INST, OBJ and STACK_GLOBAL make objects of any class.
    check(replace(b"\x80\x02(S'touch x'\nios\nsystem\n."), &[file, "opcode 0x53"]);
    check(replace(b"\x80\x02(ios\nsystem\n."), &[file, "opcode 0x69"]);
    check(replace(b"\x80\x04\x93."), &[file, "opcode 0x93"]);
    // GLOBAL and REDUCE are how tensors are written; what else they name stays a name.
    check(replace(b"\x80\x02cos\nsystem\nX\x07\x00\x00\x00touch x\x85R."), &[file, "no tensors"]);
    check(replace(b"\x80\x02"), &[file, "damaged"]);
    check(replace(b"\x80\x02X\xff\xff\xff\xffabc"), &[file, "damaged"]);
    check(replace(b"\x80\x02."), &[file, "damaged"]);
    check(
        |path| {
            std::fs::remove_file(path.join("model.safetensors")).unwrap();
            write(path, "pytorch_model.bin", b"PK\x03\x04 and nothing else");
        },
        &[file, "damaged"],
    );
}

/// A zip archive with one stored file, as `torch.save` writes them.
fn archive(pickle: &[u8]) -> Vec<u8> {
    let name = b"archive/data.pkl";
    let mut crc = !0_u32;
    for byte in pickle {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    let sizes =
        [(!crc).to_le_bytes(), (pickle.len() as u32).to_le_bytes(), (pickle.len() as u32).to_le_bytes()];
    let sizes = sizes.concat();
    let length = (name.len() as u16).to_le_bytes();
    let mut zip = Vec::new();
    // Version 2.0, no flags, stored, no time.
    zip.extend_from_slice(b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0");
    for part in [&sizes[..], &length, b"\0\0", name, pickle] {
        zip.extend_from_slice(part);
    }
    let directory = zip.len() as u32;
    zip.extend_from_slice(b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0");
    for part in [&sizes[..], &length, &[0; 16], name] {
        zip.extend_from_slice(part);
    }
    let size = zip.len() as u32 - directory;
    zip.extend_from_slice(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    for part in [&size.to_le_bytes()[..], &directory.to_le_bytes(), b"\0\0"] {
        zip.extend_from_slice(part);
    }
    zip
}

//! Damaged, incomplete and contradictory model folders: each is listed with what is wrong with it, and the server
//! goes on.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use serde_json::{Value, json};

use crate::{
    chat::{counted, with},
    harness::{BUNDLED, Setup, bundled, chat},
};

const CANDLE: &str = BUNDLED[1];
const ONNX: &str = BUNDLED[2];

/// A model, what is done to its folder, where it is found out (`broken`: by looking at it; `failed`: by loading it),
/// and words of the reason.
type Case = (&'static str, &'static str, fn(&Path), &'static str, &'static [&'static str]);

const CASES: &[Case] = &[
    ("cut", CANDLE, |dir| cut(dir, "model.safetensors"), "broken", &["model.safetensors"]),
    (
        "no-header",
        CANDLE,
        |dir| overwrite(dir, "model.safetensors", 8, b"}}}}"),
        "broken",
        &["model.safetensors"],
    ),
    ("long-header", CANDLE, |dir| overwrite(dir, "model.safetensors", 0, &[255; 8]), "broken", &["header"]),
    ("no-shard", CANDLE, forget_shard, "broken", &["model-00002-of-00002.safetensors"]),
    ("other-width", CANDLE, |dir| set(dir, "hidden_size", &json!(128)), "failed", &["shape", "128"]),
    (
        "other-kind",
        CANDLE,
        |dir| set(dir, "model_type", &json!("gpt_fictional")),
        "failed",
        &["gpt_fictional"],
    ),
    ("small-vocabulary", CANDLE, |dir| set(dir, "vocab_size", &json!(1000)), "failed", &["1024", "1000"]),
    ("no-tokenizer", CANDLE, |dir| remove(dir, "tokenizer.json"), "failed", &["tokenizer.json"]),
    ("evil-pickle", CANDLE, evil_pickle, "failed", &["pytorch_model.bin"]),
    ("cut-graph", ONNX, |dir| cut(dir, "model.onnx"), "broken", &["model.onnx"]),
    ("unknown-operator", ONNX, unknown_operator, "failed", &["RMSNormalizatioX"]),
    ("no-data", ONNX, |dir| external_data(dir, "gone.bin"), "broken", &["gone.bin"]),
    ("data-elsewhere", ONNX, |dir| external_data(dir, "../../outside.bin"), "broken", &["outside.bin"]),
    ("onnx-vocabulary", ONNX, |dir| set(dir, "vocab_size", &json!(1000)), "failed", &["1024", "1000"]),
];

#[tokio::test]
async fn what_is_wrong_with_a_model_is_said_and_harms_no_other() {
    let setup =
        CASES.iter().fold(Setup::new(), |setup, (name, source, ..)| setup.with_folder(name, bundled(source)));
    for (name, _, damage, ..) in CASES {
        damage(&setup.path("models").join(name));
    }
    fs::write(setup.path("outside.bin"), [0; 4096]).unwrap();
    let server = setup.start().await;
    for (name, _, _, state, words) in CASES {
        let refusal = server.http.refused(&with(chat("x"), &json!({"model": name}))).await;
        assert_eq!(
            (refusal.status, refusal.code.as_str()),
            (503, "model_load_failed"),
            "{name}: {}",
            refusal.message
        );
        let status = server.ctl(&["status", "--json"]).await.json();
        let shown = status["models"].as_array().unwrap().iter().find(|shown| shown["name"] == *name);
        let shown = shown.unwrap_or_else(|| panic!("{name} is not listed: {status:#}"));
        assert_eq!(shown["state"], *state, "{shown:#}");
        let detail = shown["detail"].as_str().unwrap();
        for word in *words {
            assert!(detail.contains(word), "{name}: {detail:?} lacks {word:?}");
            assert!(refusal.message.contains(word), "{name}: {:?} lacks {word:?}", refusal.message);
        }
    }
    assert_eq!(server.http.ask(&chat("count from 1 to 10")).await.text, counted(10));
    assert_eq!(server.worker().await.restarts, 0);
}

/// The file without its second half.
fn cut(dir: &Path, file: &str) {
    let bytes = fs::read(dir.join(file)).unwrap();
    replace(dir, file, &bytes[..bytes.len() / 2]);
}

fn overwrite(dir: &Path, file: &str, at: usize, with: &[u8]) {
    let mut bytes = fs::read(dir.join(file)).unwrap();
    bytes[at..at + with.len()].copy_from_slice(with);
    replace(dir, file, &bytes);
}

/// Writes a new file: the one there may be a link to the bundled model's.
fn replace(dir: &Path, file: &str, bytes: &[u8]) {
    remove(dir, file);
    fs::write(dir.join(file), bytes).unwrap();
}

fn remove(dir: &Path, file: &str) {
    fs::remove_file(dir.join(file)).unwrap();
}

/// A setting of `config.json`.
fn set(dir: &Path, key: &str, value: &Value) {
    let mut config: Value = serde_json::from_slice(&fs::read(dir.join("config.json")).unwrap()).unwrap();
    config[key] = value.clone();
    replace(dir, "config.json", config.to_string().as_bytes());
}

/// The first of two shards and an index that names both.
fn forget_shard(dir: &Path) {
    let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    fs::rename(dir.join("model.safetensors"), dir.join(shards[0])).unwrap();
    let map = json!({"weight_map": {"model.norm.weight": shards[0], "model.embed_tokens.weight": shards[1]}});
    fs::write(dir.join("model.safetensors.index.json"), map.to_string()).unwrap();
}

/// A checkpoint whose pickle calls `os.system`, were it executed.
fn evil_pickle(dir: &Path) {
    remove(dir, "model.safetensors");
    let touched = dir.join("executed");
    let mut pickle = b"\x80\x02cos\nsystem\n".to_vec();
    pickle.extend(format!("(S'touch {}'\ntR.", touched.display()).bytes());
    let mut archive = zip::ZipWriter::new(File::create(dir.join("pytorch_model.bin")).unwrap());
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("archive/data.pkl", stored).unwrap();
    archive.write_all(&pickle).unwrap();
    archive.finish().unwrap();
}

/// An operator that nobody has defined.
fn unknown_operator(dir: &Path) {
    // Field 4 of a node is the operator's name, of 16 bytes.
    let known = b"\x22\x10RMSNormalization";
    let mut bytes = fs::read(dir.join("model.onnx")).unwrap();
    let at =
        bytes.windows(known.len()).position(|window| window == known).expect("the graph has this operator");
    bytes[at + known.len() - 1] = b'X';
    replace(dir, "model.onnx", &bytes);
}

/// A graph with a tensor whose data lie at `location`, by the field numbers of onnx.proto.
fn external_data(dir: &Path, location: &str) {
    let entry = [field(1, b"location"), field(2, location.as_bytes())].concat();
    let tensor =
        [number(1, 4), number(2, 1), field(8, b"weights"), field(13, &entry), number(14, 1)].concat();
    let graph = [field(2, b"graph"), field(5, &tensor)].concat();
    let opset = number(2, 17);
    replace(dir, "model.onnx", &[number(1, 9), field(7, &graph), field(8, &opset)].concat());
}

/// A protobuf field of bytes, of less than 128 of them or less than 16,384.
fn field(id: u8, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len();
    let mut out = vec![id << 3 | 2];
    if length < 128 {
        out.push(length as u8);
    } else {
        out.extend([(length & 127) as u8 | 128, (length >> 7) as u8]);
    }
    out.extend_from_slice(bytes);
    out
}

/// A protobuf field of a small number.
fn number(id: u8, value: u8) -> Vec<u8> {
    vec![id << 3, value]
}

//! Folders of Hugging Face, MLX and PyTorch, whole and damaged, and what the catalog makes of them.

mod export;
mod link;

use std::fs;

use super::*;
use crate::{
    Task,
    catalog::{CANDLE_FORMAT, Catalog, Model, ONNX_FORMAT, Place, tests::Folder},
    testing::{onnx::Message, safetensors::Safetensors},
};

const LLAMA: &[u8] =
    br#"{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 32, "max_position_embeddings": 2048,
    "vocab_size": 3, "torch_dtype": "float16"}"#;
const BERT: &[u8] = br#"{"model_type": "bert", "architectures": ["BertModel"], "num_hidden_layers": 1,
    "num_attention_heads": 4, "hidden_size": 32, "max_position_embeddings": 512}"#;

fn graph() -> Vec<u8> {
    Message::model(Message::graph()).into_bytes()
}

fn graph_with_data(location: &str) -> Vec<u8> {
    Message::model(Message::graph().message(5, Message::external("a", 10, location, 8))).into_bytes()
}

fn encoder_graph() -> Vec<u8> {
    let graph = Message::default()
        .message(5, Message::tensor("w", 3, &[16]).bytes(9, &[0; 16]))
        .message(11, Message::port("input_ids", 7, &["batch", "sequence"]))
        .message(12, Message::port("last_hidden_state", 1, &["batch", "sequence", "32"]));
    Message::model(graph).into_bytes()
}

fn weights() -> Vec<u8> {
    Safetensors::llama("F16").bytes()
}

/// The index of two shards.
fn index(first: &str, second: &str) -> Vec<u8> {
    format!(r#"{{"metadata": {{}}, "weight_map": {{"a": "{first}", "b": "{second}", "c": "{first}"}}}}"#)
        .into_bytes()
}

impl Folder {
    /// A folder with `config.json`.
    fn llama(&self, name: &str) -> &Self {
        self.write(&format!("{name}/config.json"), LLAMA)
    }

    /// Where its only model's files are, those with weights first.
    fn files(&self, model: &Model) -> Vec<String> {
        let relative = |path: &PathBuf| path.strip_prefix(self.path("")).unwrap().display().to_string();
        model.files.iter().map(relative).collect()
    }
}

/// The only model of a scan.
fn only(catalog: &Catalog) -> &Model {
    let [model] = catalog.models() else { panic!("{:#?}", catalog.models()) };
    model
}

fn check_broken(folder: &Folder, expected: &str) {
    let catalog = folder.scan();
    let model = only(&catalog);
    let message = model.broken().unwrap_or_else(|| panic!("{model:#?}")).to_string();
    assert!(message.contains(expected), "{message:?} lacks {expected:?}");
    assert!(!model.is_servable());
}

#[test]
fn a_hugging_face_folder_is_one_model() {
    let folder = Folder::new();
    folder
        .llama("Llama-3.2-1B")
        .write("Llama-3.2-1B/model.safetensors", &weights())
        .write("Llama-3.2-1B/tokenizer.json", b"{}")
        .write("Llama-3.2-1B/tokenizer_config.json", br#"{"chat_template": "{{ messages }}"}"#)
        .write("Llama-3.2-1B/adapter_model.safetensors", b"")
        .write("Llama-3.2-1B/README.md", b"# Llama");
    let catalog = folder.scan();
    let model = only(&catalog);
    assert_eq!((model.name.as_str(), model.format.as_str()), ("Llama-3.2-1B", CANDLE_FORMAT));
    assert_eq!(model.path, folder.path("Llama-3.2-1B"));
    assert_eq!(model.root, folder.path("").canonicalize().unwrap());
    let files = ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"];
    assert_eq!(folder.files(model), files.map(|file| format!("Llama-3.2-1B/{file}")));
    assert_eq!(model.size_bytes, weights().len() as u64);
    let metadata = model.metadata().unwrap();
    assert_eq!((metadata.architecture.as_str(), metadata.quantization.as_str()), ("llama", "F16"));
    assert_eq!((metadata.parameters, metadata.tensor_bytes), (1_120, 2_240));
    assert_eq!((metadata.layers, metadata.kv_heads, metadata.key_length), (2, 2, 8));
    assert_eq!((metadata.context_tokens, metadata.task), (2048, Task::Generate));
    assert_eq!(metadata.chat_template.as_deref(), Some("{{ messages }}"));
}

#[test]
fn weights_come_in_many_kinds() {
    fn check(files: &[(&str, &[u8])], expected: &[&str], quantization: &str, tensor_bytes: u64) {
        let folder = Folder::new();
        folder.llama("m");
        for (name, content) in files {
            folder.write(&format!("m/{name}"), content);
        }
        let catalog = folder.scan();
        let model = only(&catalog);
        let expected: Vec<String> =
            expected.iter().chain(&["config.json"]).map(|file| format!("m/{file}")).collect();
        assert_eq!(folder.files(model), expected);
        let metadata = model.metadata().unwrap_or_else(|| panic!("{model:#?}"));
        assert_eq!((metadata.quantization.as_str(), metadata.tensor_bytes), (quantization, tensor_bytes));
    }
    let (first, second) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    let half = Safetensors::default().tensor("t", "BF16", &[10]).bytes();
    let index_name = "model.safetensors.index.json";
    let shards = [(first, half.as_slice()), (second, half.as_slice()), (index_name, &index(first, second))];
    check(&shards, &[first, second, index_name], "BF16", 40);
    check(&[("model.safetensors", &weights())], &["model.safetensors"], "F16", 2_240);
    let stale = [("model.safetensors", weights()), (index_name, index(first, second))];
    let stale = stale.each_ref().map(|(name, content)| (*name, content.as_slice()));
    check(&stale, &["model.safetensors"], "F16", 2_240);
    check(&[("weights.safetensors", &weights())], &["weights.safetensors"], "F16", 2_240);
    let zip = b"PK\x03\x04 and so on";
    let pickle = b"\x80\x02 and so on";
    check(&[("pytorch_model.bin", zip)], &["pytorch_model.bin"], "F16", 14);
    check(&[("model.pth", zip), ("rng_state.pth", zip)], &["model.pth"], "F16", 14);
    check(&[("checkpoint.pt", pickle), ("notes.pt", b"text")], &["checkpoint.pt"], "F16", 12);
    check(&[("weights.npz", zip), ("training_args.bin", zip)], &["weights.npz"], "F16", 14);
    let both = [("model.safetensors", weights()), ("pytorch_model.bin", zip.to_vec())];
    check(
        &both.each_ref().map(|(name, content)| (*name, content.as_slice())),
        &["model.safetensors"],
        "F16",
        2_240,
    );
    let (first, second) = ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin");
    let index_name = "pytorch_model.bin.index.json";
    let shards = [(first, &zip[..]), (second, pickle), (index_name, &index(first, second))];
    check(&shards, &[first, second, index_name], "F16", 26);
}

#[test]
fn mlx_folders_are_described() {
    let folder = Folder::new();
    let packed = Safetensors::default()
        .metadata("mlx")
        .tensor("model.layers.0.q.weight", "U32", &[64, 8])
        .tensor("model.layers.0.q.scales", "F16", &[64, 1])
        .tensor("model.layers.0.q.biases", "F16", &[64, 1]);
    let config = br#"{"model_type": "qwen3", "quantization": {"group_size": 64, "bits": 4}}"#;
    folder.write("q/config.json", config).write("q/model.safetensors", &packed.bytes());
    let catalog = folder.scan();
    let metadata = only(&catalog).metadata().unwrap();
    assert_eq!((metadata.quantization.as_str(), metadata.parameters), ("MLX 4-bit", 64 * 64));
    assert_eq!(metadata.tensor_bytes, 64 * 8 * 4 + 2 * 64 * 2);
}

#[test]
fn a_folder_may_have_both_formats() {
    let folder = Folder::new();
    folder
        .write("mini/config.json", BERT)
        .write("mini/model.safetensors", &weights())
        .write("mini/modules.json", b"[]")
        .write("mini/1_Pooling/config.json", br#"{"pooling_mode_mean_tokens": true}"#)
        .write("mini/sentence_bert_config.json", br#"{"max_seq_length": 256}"#)
        .write("mini/onnx/model.onnx", &encoder_graph())
        .write("mini/onnx/config.json", BERT)
        .write("mini/other.bin", b"of another program")
        .write("mini/openvino/part.onnx", &graph())
        .model("mini/mini-q8.gguf");
    let listed = ["mini mini", "mini-q8 mini/mini-q8.gguf", "mini-onnx mini/onnx/model.onnx"];
    folder.check(&[folder.place()], &listed);
    let catalog = folder.scan();
    for (name, quantization) in [("mini", "F16"), ("mini-onnx", "INT8")] {
        let model = catalog.find(name).unwrap();
        assert!(folder.files(model).contains(&"mini/1_Pooling/config.json".to_owned()));
        let metadata = model.metadata().unwrap();
        assert_eq!((metadata.task, metadata.context_tokens), (Task::Embed, 256));
        assert_eq!(metadata.quantization, quantization);
    }

    // A place that names one thing in it names a model.
    folder.check(&[folder.named("x", "mini/onnx/model.onnx")], &["x mini/onnx/model.onnx"]);
    folder.check(&[folder.named("x", "mini/model.safetensors")], &["x mini"]);
    folder.check(&[folder.named("x", "mini/mini-q8.gguf")], &["x mini/mini-q8.gguf"]);
    let catalog = Catalog::scan(&[folder.named("x", "mini/onnx/model.onnx")], &[]);
    assert_eq!(only(&catalog).root, folder.path("mini").canonicalize().unwrap());
    fs::remove_file(folder.path("mini/mini-q8.gguf")).unwrap();
    folder.check(&[folder.named("x", "mini")], &["x mini", "x-onnx mini/onnx/model.onnx"]);
    folder.check(&[folder.named("x", "mini"), folder.place()], &["x mini", "x-onnx mini/onnx/model.onnx"]);
    folder.check(&[folder.named("x", "mini/modules.json")], &["x mini", "x-onnx mini/onnx/model.onnx"]);
}

#[test]
fn what_lacks_its_settings_is_no_model() {
    let folder = Folder::new();
    folder
        .write("loose/adapter_model.safetensors", &weights())
        .write("loose/model.bin", b"")
        .write("loose/model.pt", b"")
        .write("other/config.json", br#"{"vocab": 1}"#)
        .write("other/model.safetensors", &weights())
        .llama("empty");
    folder.check(&[folder.place()], &[]);
    folder.write("voice/en.onnx", &graph());
    check_broken(&folder, "no config.json that describes en.onnx");
    assert_eq!(folder.scan().models()[0].format, ONNX_FORMAT);
    for name in [None, Some("given")] {
        let place = folder.named("given", "other/model.safetensors");
        let place = Place { name: place.name.filter(|_| name.is_some()), ..place };
        let catalog = Catalog::scan(&[place], &[]);
        let model = only(&catalog);
        assert_eq!((model.name.as_str(), model.format.as_str()), (name.unwrap_or("model"), CANDLE_FORMAT));
        let message = model.broken().unwrap().to_string();
        assert!(message.contains("no config.json that describes model.safetensors"), "{message}");
    }
}

#[test]
fn damage_is_named() {
    fn check(files: &[(&str, &[u8])], expected: &str) {
        let folder = Folder::new();
        folder.llama("m");
        for (name, content) in files {
            folder.write(&format!("m/{name}"), content);
        }
        check_broken(&folder, expected);
    }
    let whole = weights();
    check(&[("config.json", b"{"), ("model.safetensors", &whole)], "config.json is damaged: EOF");
    check(
        &[("config.json", b"[]"), ("model.safetensors", &whole)],
        "config.json is damaged: it is not an object",
    );
    let long = vec![b' '; (16 << 20) + 1];
    check(
        &[("config.json", &long), ("model.safetensors", &whole)],
        "config.json has 16777217 bytes; at most",
    );
    check(
        &[("tokenizer_config.json", b"oops"), ("model.safetensors", &whole)],
        "tokenizer_config.json is damaged",
    );
    let config = br#"{"model_type": "x", "hidden_size": -1}"#;
    check(&[("config.json", config), ("model.safetensors", &whole)], "\"hidden_size\" in config.json is -1");
    let config = br#"{"model_type": "x", "num_hidden_layers": 4}"#;
    check(&[("config.json", config), ("model.safetensors", &whole)], "4 layers are declared");
    check(&[("model.safetensors", &whole[..whole.len() - 1])], "model.safetensors: the tensor");
    check(&[("model.safetensors", b"")], "model.safetensors: the file ends at byte 0");
    check(&[("model.safetensors", b"version https://git-lfs.github.com/spec/v1")], "git lfs pull");
    check(&[("pytorch_model.bin", b"version https://git-lfs.github.com/spec/v1")], "git lfs pull");
    check(
        &[("pytorch_model.bin", b"oops")],
        "pytorch_model.bin is no archive as PyTorch or NumPy write them",
    );
    check(&[("model.safetensors", &Safetensors::default().bytes())], "weights hold no tensors");
    check(
        &[("a.safetensors", &whole), ("b.safetensors", &whole)],
        "which of a.safetensors, b.safetensors are",
    );
    let shard = "model-00001-of-00002.safetensors";
    check(&[(shard, &whole)], "a model.safetensors.index.json that names them is missing");
    let index_name = "model.safetensors.index.json";
    check(
        &[(index_name, &index(shard, "model-00002-of-00002.safetensors")), (shard, &whole)],
        "1 of the files that model.safetensors.index.json names are missing: model-00002-of-00002.safetensors",
    );
    check(&[(index_name, &index(shard, "../m/x")), (shard, &whole)], "names the file \"../m/x\"");
    check(&[(index_name, &index(shard, "sub/x")), (shard, &whole)], "names the file \"sub/x\"");
    check(&[(index_name, &index(shard, "/etc/passwd")), (shard, &whole)], "names the file \"/etc/passwd\"");
    check(&[(index_name, &index(shard, "..")), (shard, &whole)], "names the file \"..\"");
    check(&[(index_name, b"{}"), (shard, &whole)], "index.json is damaged: missing field `weight_map`");
    check(&[(index_name, br#"{"weight_map": {"a": 1}}"#), (shard, &whole)], "index.json is damaged");

    let whole = graph();
    check(&[("model.onnx", b"")], "model.onnx: it holds no graph");
    check(&[("onnx/model.onnx", &whole[..whole.len() - 1])], "onnx/model.onnx: the file ends at byte");
    check(&[("a.onnx", &whole), ("b.onnx", &whole)], "which of the graphs a.onnx, b.onnx is the model");
    let data = |location: &str| graph_with_data(location);
    check(
        &[("model.onnx", &data("model.onnx_data"))],
        "files that model.onnx names are missing: model.onnx_data",
    );
    check(
        &[("model.onnx", &data("d")), ("d", &[0; 47])],
        "d has 47 bytes, but model.onnx has data in it up to byte 48",
    );
    for location in ["/etc/passwd", "../d", "a/../../d", "..\\d", ""] {
        check(&[("model.onnx", &data(location)), ("d", &[0; 48])], "only plain paths within its own folder");
    }
}

#[test]
fn a_rescan_reads_only_folders_that_changed() {
    let folder = Folder::new();
    folder.llama("same").write("same/model.safetensors", &weights());
    folder.llama("changed").write("changed/model.onnx", &graph_with_data("d")).write("changed/d", &[0; 48]);
    let first = folder.scan();
    fs::write(folder.path("changed/d"), [0; 4]).unwrap();
    let second = first.rescan(&[folder.place()], &[]);
    let models =
        |catalog: &Catalog, name: &str| catalog.known.folders[&(folder.path(name), None)].models.clone();
    assert!(Arc::ptr_eq(&models(&first, "same"), &models(&second, "same")));
    assert!(!Arc::ptr_eq(&models(&first, "changed"), &models(&second, "changed")));
    assert!(first.find("changed").unwrap().is_servable());
    assert!(!second.find("changed").unwrap().is_servable());
    fs::remove_dir_all(folder.path("changed")).unwrap();
    assert_eq!(second.rescan(&[folder.place()], &[]).known.folders.len(), 1);
}

#[test]
fn third_parties_get_what_no_folder_has() {
    let folder = Folder::new();
    folder.llama("m").write("m/model.onnx", &graph()).write("voice/en.onnx", &graph());
    let patterns = [crate::FormatPattern { format: "voice".to_owned(), patterns: vec!["*.onnx".to_owned()] }];
    let catalog = Catalog::scan(&[folder.place()], &patterns);
    assert_eq!(folder.listed(&catalog), ["m m/model.onnx", "en voice/en.onnx"]);
    assert_eq!(catalog.find("en").unwrap().format, "voice");
}

#[test]
fn folders_within_folders_are_models_of_their_own() {
    let folder = Folder::new();
    folder
        .write("config.json", LLAMA)
        .write("model.safetensors", &weights())
        .llama("other")
        .write("other/model.safetensors", &weights())
        .llama("other/checkpoint-500")
        .write("other/checkpoint-500/model.safetensors", &weights());
    let catalog = folder.scan();
    let names: Vec<&str> = catalog.models()[1..].iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["other", "checkpoint-500"]);
    assert_eq!(catalog.models()[0].path, folder.path(""));
}

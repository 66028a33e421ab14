//! Folders of Hugging Face, MLX, PyTorch and ONNX exports, whole and damaged, and what the catalog makes of them.

use std::{fs, os::unix::fs::symlink};

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
fn exports_are_found_beside_and_below() {
    /// `files` beside the settings, and the graph, further graphs and data that are the model.
    fn check(files: &[&str], expected: &[&str]) {
        let folder = Folder::new();
        folder.llama("m");
        for name in files {
            folder.write(&format!("m/{name}"), &graph());
        }
        let catalog = folder.scan();
        let model = only(&catalog);
        assert!(model.is_servable(), "{model:#?}");
        assert_eq!((model.name.as_str(), model.format.as_str()), ("m", ONNX_FORMAT));
        assert_eq!(model.path, folder.path(&format!("m/{}", expected[0])));
        let expected: Vec<String> =
            expected.iter().chain(&["config.json"]).map(|file| format!("m/{file}")).collect();
        assert_eq!(folder.files(model), expected);
    }
    check(&["model.onnx", "model_fp16.onnx", "onnx/model.onnx"], &["model.onnx"]);
    check(&["onnx/model.onnx", "onnx/model_q4.onnx"], &["onnx/model.onnx"]);
    check(
        &["decoder_model.onnx", "decoder_model_merged.onnx", "decoder_with_past_model.onnx"],
        &["decoder_model_merged.onnx"],
    );
    check(
        &["decoder_model.onnx", "decoder_with_past_model.onnx"],
        &["decoder_with_past_model.onnx", "decoder_model.onnx"],
    );
    check(&["encoder_model.onnx", "decoder_model.onnx"], &["decoder_model.onnx"]);
    check(&["decoder_with_past_model.onnx", "model_q4.onnx"], &["model_q4.onnx"]);
    check(&["anything.onnx"], &["anything.onnx"]);
    check(&["MODEL.ONNX"], &["MODEL.ONNX"]);
    check(&["model_q4.onnx", "model_quantized.onnx", "model_q4f16.onnx"], &["model_quantized.onnx"]);
    check(&["onnx/model_q4.onnx", "onnx/model_bnb4.onnx"], &["onnx/model_q4.onnx"]);
    check(&["decoder_model_merged_fp16.onnx", "model_int8.onnx"], &["decoder_model_merged_fp16.onnx"]);
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
fn a_place_may_name_a_graph() {
    let folder = Folder::new();
    folder.llama("m").write("m/model.onnx", &graph()).write("m/model_q4.onnx", &graph());
    let q4 = Place { path: folder.path("m/model_q4.onnx"), name: None, follow_links: false };
    folder.check(&[q4], &["m m/model_q4.onnx"]);
    folder.check(
        &[folder.named("q4", "m/model_q4.onnx"), folder.place()],
        &["m m/model.onnx", "q4 m/model_q4.onnx"],
    );
}

#[test]
fn genai_folders_name_their_graph() {
    let folder = Folder::new();
    let config = br#"{"model": {"type": "phi3", "context_length": 4096, "vocab_size": 32064, "decoder":
        {"filename": "phi.onnx", "num_hidden_layers": 1, "num_attention_heads": 32,
         "num_key_value_heads": 8, "head_size": 96, "hidden_size": 3072}}}"#;
    folder
        .write("phi/genai_config.json", config)
        .write("phi/other.onnx", &graph())
        .write("phi/phi.onnx", &graph_with_data("phi.onnx.data"))
        .write("phi/phi.onnx.data", &[0; 48]);
    let catalog = folder.scan();
    let model = only(&catalog);
    assert_eq!(folder.files(model), ["phi/phi.onnx", "phi/phi.onnx.data", "phi/genai_config.json"]);
    assert_eq!(model.size_bytes, graph_with_data("phi.onnx.data").len() as u64 + 48);
    let metadata = model.metadata().unwrap();
    assert_eq!((metadata.architecture.as_str(), metadata.kv_heads, metadata.key_length), ("phi3", 8, 96));
    assert_eq!((metadata.parameters, metadata.tensor_bytes), (1_130, 4_520));
    assert_eq!((metadata.quantization.as_str(), metadata.context_tokens), ("F32", 4096));
    fs::remove_file(folder.path("phi/phi.onnx")).unwrap();
    check_broken(&folder, "1 of the files that genai_config.json names are missing: phi.onnx");
    folder.write(
        "phi/genai_config.json",
        br#"{"model": {"type": "x", "decoder": {"filename": "../phi.onnx"}}}"#,
    );
    check_broken(&folder, "genai_config.json names the file \"../phi.onnx\"; only plain paths");
}

#[test]
fn packed_weights_are_told_by_the_nodes_that_unpack_them() {
    let folder = Folder::new();
    let packed = Message::node("MatMulNBits", "com.microsoft").message(5, Message::attribute("bits", 4));
    let graph = Message::default()
        .message(1, packed)
        .message(5, Message::tensor("embedding", 1, &[100]).bytes(9, &[0; 400]))
        .message(5, Message::tensor("packed", 2, &[64]).bytes(9, &[0; 64]))
        .message(12, Message::port("logits", 1, &[]));
    folder.llama("m").write("m/model.onnx", &Message::model(graph).into_bytes());
    let catalog = folder.scan();
    let metadata = only(&catalog).metadata().unwrap();
    assert_eq!((metadata.quantization.as_str(), metadata.parameters), ("INT4", 100 + 128));
    assert_eq!((metadata.tensor_bytes, metadata.task), (464, Task::Generate));
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
fn external_data_may_lie_below() {
    let folder = Folder::new();
    folder
        .llama("m")
        .write("m/onnx/model.onnx", &graph_with_data("./data/d"))
        .write("m/onnx/data/d", &[0; 48]);
    let catalog = folder.scan();
    assert_eq!(folder.files(only(&catalog))[..2], ["m/onnx/model.onnx", "m/onnx/data/d"]);
}

#[test]
fn a_hub_cache_is_read_through_its_links() {
    let folder = Folder::new();
    let repository = "hub/models--org--Small-1B";
    let snapshot = format!("{repository}/snapshots/0123");
    folder
        .write(&format!("{repository}/blobs/aaa"), LLAMA)
        .write(&format!("{repository}/blobs/bbb"), &weights())
        .write(&format!("{repository}/blobs/ccc"), &graph())
        .write(&format!("{repository}/refs/main"), b"0123");
    fs::create_dir_all(folder.path(&format!("{snapshot}/onnx"))).unwrap();
    symlink("../../blobs/aaa", folder.path(&format!("{snapshot}/config.json"))).unwrap();
    symlink("../../blobs/bbb", folder.path(&format!("{snapshot}/model.safetensors"))).unwrap();
    symlink("../../../blobs/ccc", folder.path(&format!("{snapshot}/onnx/model.onnx"))).unwrap();
    let onnx = format!("{snapshot}/onnx/model.onnx");
    let listed = [format!("Small-1B {snapshot}"), format!("Small-1B-onnx {onnx}")];
    let listed = listed.each_ref().map(String::as_str);
    let place = |path: &str| Place { path: folder.path(path), name: None, follow_links: false };
    let root = folder.path(repository).canonicalize().unwrap();
    folder.check(&[folder.place()], &listed);
    folder.check(&[place("hub"), place(repository), folder.place()], &listed);
    // A snapshot itself may be a place, or a file in it: its repository is one folder.
    folder.check(&[place(&snapshot)], &listed);
    folder.check(&[place(&onnx)], &listed[1..]);
    for place in [place(&snapshot), place(&format!("{snapshot}/model.safetensors")), place(&onnx)] {
        let catalog = Catalog::scan(&[place], &[]);
        assert!(catalog.problems().is_empty());
        for model in catalog.models() {
            assert_eq!(model.root, root);
            assert!(model.is_servable(), "{model:#?}");
        }
    }
}

#[test]
fn of_snapshots_the_newest_is_served() {
    let folder = Folder::new();
    for (snapshot, seconds) in [("aaa", 1_000), ("bbb", 3_000), ("ccc", 2_000)] {
        let name = format!("models--org--name/snapshots/{snapshot}");
        folder.llama(&name).write(&format!("{name}/model.safetensors"), &weights());
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        for file in ["config.json", "model.safetensors"] {
            let file = File::options().append(true).open(folder.path(&format!("{name}/{file}"))).unwrap();
            file.set_modified(time).unwrap();
        }
    }
    let catalog = folder.scan();
    assert_eq!(catalog.models().len(), 3);
    let newest = folder.path("models--org--name/snapshots/bbb");
    assert_eq!(catalog.find("name").unwrap().path, newest);
    assert!(
        catalog
            .models()
            .iter()
            .all(|model| model.path == newest || model.duplicate_of == Some(newest.clone()))
    );
}

#[test]
fn links_that_leave_are_followed_only_when_allowed() {
    let (folder, outside) = (Folder::new(), Folder::new());
    outside.write("model.safetensors", &weights()).write("model.onnx_data", &[0; 48]).model("a.gguf");
    outside.write("whole/config.json", LLAMA).write("whole/model.safetensors", &weights());
    folder.llama("linked").llama("export").write("export/model.onnx", &graph_with_data("model.onnx_data"));
    symlink(outside.path("model.safetensors"), folder.path("linked/model.safetensors")).unwrap();
    symlink(outside.path("model.onnx_data"), folder.path("export/model.onnx_data")).unwrap();
    symlink(outside.path("whole"), folder.path("whole")).unwrap();
    symlink(outside.path("a.gguf"), folder.path("a.gguf")).unwrap();
    let catalog = folder.scan();
    for (name, file) in [("linked", "model.safetensors"), ("export", "model.onnx_data")] {
        let message = catalog.find(name).unwrap().broken().unwrap().to_string();
        assert!(message.starts_with(&format!("{file} is a link that leads out")), "{message}");
    }
    assert_eq!(catalog.models().len(), 2);
    assert_eq!(catalog.problems().len(), 4);

    let place = Place { follow_links: true, ..folder.place() };
    let catalog = Catalog::scan(std::slice::from_ref(&place), &[]);
    assert_eq!(
        folder.listed(&catalog),
        ["a a.gguf", "export export/model.onnx", "linked linked", "whole whole"]
    );
    assert!(catalog.problems().is_empty());
    for model in catalog.models() {
        assert!(model.is_servable(), "{model:#?}");
        assert_eq!(model.root, Path::new("/"));
    }
    // Links that lead in a circle end all the same.
    symlink(folder.path(""), folder.path("linked/up")).unwrap();
    assert_eq!(Catalog::scan(&[place], &[]).models().len(), 4);
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

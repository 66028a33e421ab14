//! Folders of exports to ONNX: which graph is the model, and what belongs to it.

use std::fs;

use super::*;

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
fn what_a_graph_gives_says_what_the_model_is_for() {
    let check = |name: &str, dimensions: &[&str], expected: Task| {
        let folder = Folder::new();
        let graph = Message::graph_giving(name, dimensions);
        folder.llama("m").write("m/model.onnx", &Message::model(graph).into_bytes());
        assert_eq!(only(&folder.scan()).metadata().unwrap().task, expected, "{name} {dimensions:?}");
    };
    check("logits", &["batch", "sequence", "3"], Task::Generate);
    check("logits", &["batch", "1"], Task::Rerank);
    check("last_hidden_state", &["batch", "sequence", "3"], Task::Embed);
    check("sentence_embedding", &["batch", "3"], Task::Embed);
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
fn external_data_may_lie_below() {
    let folder = Folder::new();
    folder
        .llama("m")
        .write("m/onnx/model.onnx", &graph_with_data("./data/d"))
        .write("m/onnx/data/d", &[0; 48]);
    let catalog = folder.scan();
    assert_eq!(folder.files(only(&catalog))[..2], ["m/onnx/model.onnx", "m/onnx/data/d"]);
}

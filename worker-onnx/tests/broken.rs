//! What is wrong with an export is a load error that names it.

use std::path::Path;

use serde_json::json;

use crate::{
    bundled,
    export::{self, Layout, PLAIN, Trait, VOCABULARY},
    onnx::{Dim, F32, Graph, I64},
};

/// What loading the folder says.
fn error(folder: &Path) -> String {
    match bundled::try_load(folder, folder, (2, 0), &[]) {
        Ok(_) => panic!("{} loads", folder.display()),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn check(prepare: impl FnOnce(&Path), expected: &[&str]) {
    let folder = export::folder();
    export::decoder(folder.path(), "model.onnx", PLAIN);
    prepare(folder.path());
    let error = error(folder.path());
    assert!(expected.iter().all(|word| error.contains(word)), "{error}");
    assert!(error.len() < 1200, "{error}");
}

fn replace(graph: &Graph) -> impl FnOnce(&Path) + use<> {
    let bytes = graph.encode();
    move |folder| export::write(folder, "model.onnx", &bytes)
}

fn with(change: impl FnOnce(&mut Graph)) -> impl FnOnce(&Path) {
    let mut graph = export::graph(PLAIN);
    change(&mut graph);
    replace(&graph)
}

#[test]
fn a_damaged_graph_is_named() {
    let whole = export::graph(PLAIN).encode();
    let cut = whole[..whole.len() / 2].to_vec();
    check(
        |folder| export::write(folder, "model.onnx", &cut),
        &["`model.onnx`", "not written or copied whole"],
    );
    check(|folder| export::write(folder, "model.onnx", b"<html>"), &["`model.onnx`", "no ONNX file"]);
    check(|folder| export::write(folder, "model.onnx", b""), &["`model.onnx`"]);
    check(
        with(|graph| graph.node("com.example:Frobnicate", &["x"], &["y"], &[])),
        &["`model.onnx` could not be loaded", "Frobnicate"],
    );
    check(with(|graph| graph.node("Frobnicate", &["x"], &["y"], &[])), &["`model.onnx`", "Frobnicate"]);
}

#[test]
fn weights_that_are_missing_cut_or_elsewhere_are_named() {
    let external = |file: &'static str| Layout { external: Some(file), ..PLAIN };
    let graph = |file| replace(&export::graph(external(file)));
    check(graph("model.onnx_data"), &["`model.onnx_data`", "could not be read"]);
    check(
        |folder| {
            graph("model.onnx_data")(folder);
            export::write(folder, "model.onnx_data", &[0; 100]);
        },
        &["`model.onnx_data` has 100 bytes", "`model.onnx` needs 65536"],
    );
    for outside in ["../weights", "/etc/hostname"] {
        check(graph(outside), &[&format!("`{outside}` lies outside of the models folder")]);
    }
    let secret = tempfile::tempdir().expect("a folder can be made");
    export::write(secret.path(), "weights", &export::raw(&export::embedding(), F32));
    check(
        |folder| {
            graph("linked")(folder);
            std::os::unix::fs::symlink(secret.path().join("weights"), folder.join("linked"))
                .expect("a link can be made");
        },
        &["`linked` lies outside of the models folder"],
    );
}

#[test]
fn inputs_and_outputs_that_do_not_fit_are_listed() {
    let names = |names| replace(&export::graph(Layout { names, ..PLAIN }));
    check(names(["ids", "past_key_values.0.", "present.0."]), &["lacks `input_ids`", "unknown `ids`"]);
    check(
        names(["input_ids", "past_", "present.0."]),
        &["lacks `past_key_values.0.key`, `past_key_values.0.value`", "unknown `past_key`, `past_value`"],
    );
    check(
        names(["input_ids", "past_key_values.0.", "cache_"]),
        &["lacks `present.0.key`, `present.0.value`", "unknown `cache_key`, `cache_value`"],
    );
    check(
        with(|graph| graph.input("pixel_values", F32, &[Dim::Named("n")])),
        &["lacks nothing", "unknown `pixel_values`"],
    );
    check(replace(&export::graph(Layout::with(&[Trait::Begins]))), &["lacks `past_key_values.0.key`"]);
    check(
        |folder| {
            std::fs::remove_file(folder.join("model.onnx")).expect("it was there");
            let names = ["input_ids", "past_key_values.1.", "present.1."];
            let first = Layout { names, ..Layout::with(&[Trait::Begins]) };
            export::decoder(folder, "decoder_model.onnx", first);
            export::decoder(folder, "decoder_with_past_model.onnx", PLAIN);
        },
        &["`decoder_model.onnx`", "lacks `present.0.key`, `present.0.value`"],
    );
    let mut other = Graph::default();
    other.input("pixels", F32, &[Dim::Named("n")]);
    other.output("class", F32, &[Dim::Named("n")]);
    other.node("Relu", &["pixels"], &["class"], &[]);
    check(
        replace(&other),
        &["lacks `input_ids`", "`past_key_values.0.key`", "`logits`", "unknown `pixels`, `class`"],
    );
}

#[test]
fn inputs_of_impossible_types_and_shapes_are_named() {
    let cache = |element, dims: [Dim; 4]| {
        let mut graph = export::graph(PLAIN);
        graph.input("past_key_values.1.key", element, &dims);
        graph.input("past_key_values.1.value", element, &dims);
        graph.output("present.1.key", element, &dims);
        graph.output("present.1.value", element, &dims);
        for part in ["key", "value"] {
            graph.node(
                "Identity",
                &[&format!("past_key_values.1.{part}")],
                &[&format!("present.1.{part}")],
                &[],
            );
        }
        replace(&graph)
    };
    let (b, past, two, eight) = (Dim::Named("batch"), Dim::Named("past"), Dim::Fixed(2), Dim::Fixed(8));
    check(cache(I64, [b, two, past, eight]), &["`past_key_values.1.key`", "i64", "f32 or f16"]);
    check(
        cache(F32, [b, two, Dim::Fixed(64), eight]),
        &["`past_key_values.1.key`", "64", "a cache that grows"],
    );
    // It never grows.
    check(cache(F32, [b, two, past, eight]), &["could not be computed", "`present.1.key`"]);
}

#[test]
fn settings_that_contradict_the_graph_are_named() {
    let config = |name: &'static str, value: serde_json::Value| {
        move |folder: &Path| {
            let mut config = export::config();
            config[name] = value;
            export::write(folder, "config.json", config.to_string().as_bytes());
        }
    };
    check(config("vocab_size", json!(999)), &["`vocab_size` in config.json is 999", "1024 logits"]);
    check(
        config("max_position_embeddings", json!(null)),
        &["`max_position_embeddings` in config.json is missing"],
    );
    check(|folder| export::write(folder, "config.json", b"{"), &["`config.json` is damaged"]);
    let elsewhere = json!({"model": {"decoder": {"filename": "sub/model.onnx"}}}).to_string();
    check(
        |folder| export::write(folder, "genai_config.json", elsewhere.as_bytes()),
        &["`genai_config.json` is damaged", "`sub/model.onnx` is in another folder"],
    );
    check(
        |folder| std::fs::remove_file(folder.join("tokenizer.json")).expect("it was there"),
        &["no tokenizer.json"],
    );
    check(
        |folder| {
            let path = folder.join("tokenizer.json");
            let text = std::fs::read(&path).expect("it is there");
            let mut tokenizer: serde_json::Value = serde_json::from_slice(&text).expect("it is JSON");
            tokenizer["model"]["vocab"]["one too many"] = json!(VOCABULARY);
            export::write(folder, "tokenizer.json", tokenizer.to_string().as_bytes());
        },
        &["tokenizer.json has", "1024"],
    );
}

#[test]
fn a_folder_or_an_option_that_is_wrong_is_named() {
    check(
        |folder| std::fs::remove_file(folder.join("model.onnx")).expect("it was there"),
        &["no graph", "model.onnx"],
    );
    let folder = export::folder();
    export::decoder(folder.path(), "model.onnx", PLAIN);
    let with = |name, value| match bundled::try_load(folder.path(), folder.path(), (1, 0), &[(name, value)]) {
        Ok(_) => "it loads".to_owned(),
        Err(error) => error.to_string(),
    };
    assert!(with("threads", "2").contains("the options are provider"));
    assert_eq!(with("graph_optimization", "none"), "it loads");
    if cfg!(not(feature = "cuda")) {
        assert!(
            with("provider", "cuda")
                .contains("`provider = cuda` is not valid: this worker was built without")
        );
    } else {
        assert!(with("provider", "cuda").contains("is not available"));
    }
}

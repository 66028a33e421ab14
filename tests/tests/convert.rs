//! Models that are made of others: every type, every family, and what interrupts them.

mod stops;

use std::{fs, path::Path};

use impetus_models::{Catalog, ModelName, Place};
use serde_json::{Value, json};

use crate::{
    chat::counted,
    harness::{Output, Server, Setup, bundled, bundled_model, chat},
};

/// The bundled folder of weights for candle, by the name that it has in the models folder.
const FOLDER: &str = "impetus-tiny-safetensors";

/// Every type that is offered.
const TYPES: [&str; 17] = [
    "f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q5_k_s", "q5_1", "q5_0", "q4_k_m", "q4_k_s", "q4_1",
    "q4_0", "q3_k_l", "q3_k_m", "q3_k_s", "q2_k",
];

fn setup() -> Setup {
    // Room on the disk is what machines that test are short of.
    Setup::new().with_folder(FOLDER, bundled(FOLDER)).set("pull.reserve='0B'")
}

impl Server {
    /// Converts, and expects that to work; the events.
    async fn convert(&self, arguments: &[&str]) -> Vec<Value> {
        let converted = self.ctl(&[&["convert", "--json"], arguments].concat()).await;
        assert_eq!(converted.code, 0, "{converted:?}");
        events(&converted)
    }

    /// Converts, and expects that not to work; what is said.
    async fn convert_in_vain(&self, arguments: &[&str]) -> String {
        let converted = self.ctl(&[&["convert"], arguments].concat()).await;
        assert_ne!(converted.code, 0, "{converted:?}");
        assert!(!self.keeps_staged(), "{arguments:?}");
        converted.err
    }

    /// Whether anything is left of what did not become a model.
    fn keeps_staged(&self) -> bool {
        fs::read_dir(self.path("state/store/.staging")).is_ok_and(|mut entries| entries.next().is_some())
    }

    async fn made(&self) -> Vec<String> {
        let listed = self.ctl(&["list", "--json"]).await.json();
        let models = listed["models"].as_array().expect("it is a list").iter();
        models.map(|model| model["name"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

fn events(output: &Output) -> Vec<Value> {
    output.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn event<'a>(events: &'a [Value], kind: &str) -> &'a Value {
    events.iter().find(|event| event["event"] == kind).unwrap_or_else(|| panic!("{kind}: {events:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_becomes_a_file_that_answers_as_it_does() {
    let server = setup().start().await;
    let events = server.convert(&[FOLDER, "--type", "f32"]).await;
    let check = event(&events, "check");
    assert_eq!((&check["bound"], &check["within"]), (&json!("same texts"), &json!(true)), "{check}");
    assert_eq!(check["agreed_tokens"], check["tokens"], "{check}");
    let made = &event(&events, "done")["model"];
    assert_eq!((&made["origin"], &made["source"]), (&json!("converted"), &json!(FOLDER)), "{made}");
    assert_eq!((&made["format"], &made["quantization"]), (&json!("gguf"), &json!("F32")), "{made}");
    let name = format!("{FOLDER}-F32");
    assert_eq!(made["name"], name.as_str());
    let mut body = chat("count from 1 to 12");
    for model in ["impetus-tiny", FOLDER, &name] {
        body["model"] = model.into();
        assert_eq!(server.http.ask(&body).await.text, counted(12), "{model}");
    }
    // Again would be another model of the same name.
    let refused = server.convert_in_vain(&[FOLDER, "--type", "f32"]).await;
    assert!(refused.contains(&name) && refused.contains("--name"), "{refused}");
    server.convert(&[&name, "--type", "f32", "--name", "again", "--no-check"]).await;
    assert_eq!(server.made().await, ["again".to_owned(), name]);
    assert!(!server.keeps_staged());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_made_of_a_file_and_answers() {
    let server = setup().start().await;
    for kind in TYPES {
        let events = server.convert(&["impetus-tiny", "--type", kind]).await;
        let check = event(&events, "check");
        assert_eq!(check["within"], true, "{kind}: {check}");
        println!("{kind}: {check}");
        let made = &event(&events, "done")["model"];
        assert_eq!(made["quantization"], kind.to_uppercase(), "{kind}: {made}");
        let name = made["name"].as_str().unwrap().to_owned();
        assert_eq!(server.ctl(&["unload", &name]).await.code, 0);
        assert_eq!(server.ctl(&["rm", &name]).await.code, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_rounded_in_two_steps() {
    let server = setup().start().await;
    for (kind, steps) in [("f16", 1), ("bf16", 1), ("q8_0", 2), ("q4_k_m", 2)] {
        let events = server.convert(&[FOLDER, "--type", kind]).await;
        let plan = event(&events, "plan");
        assert_eq!(plan["steps"].as_array().map(Vec::len), Some(steps), "{plan}");
        assert_eq!(event(&events, "check")["within"], true, "{kind}");
    }
    assert!(!server.keeps_staged());
    // By its other name, of a quantized one, which is said.
    let made =
        server.ctl(&["quantize", &format!("{FOLDER}-Q8_0"), "--type", "Q5_0", "--name", "twice"]).await;
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.out.contains("rounded already (Q8_0)"), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_answers_otherwise_is_told_and_removed_if_so_asked() {
    // The source computes with rounded keys and values, the result with exact ones.
    let table =
        "[[model]]\nname = \"impetus-tiny\"\noptions = { kv_type = \"q4_0\", flash_attention = \"on\" }";
    let server = setup().table(table).start().await;
    let convert = ["convert", "impetus-tiny", "--type", "f32", "--name", "exact"];
    let discarded = server.ctl(&[&convert[..], &["--discard-on-failure"]].concat()).await;
    assert_eq!(discarded.code, 1, "{discarded:?}");
    assert!(discarded.err.contains("in another way"), "{discarded:?}");
    assert!(discarded.out.contains("exact was removed again"), "{discarded:?}");
    assert!(server.made().await.is_empty());
    let kept = server.ctl(&convert).await;
    assert_eq!(kept.code, 1, "{kept:?}");
    assert!(kept.out.contains("exact is kept"), "{kept:?}");
    assert_eq!(server.made().await, ["exact"]);
    let unchecked = server.ctl(&["convert", "impetus-tiny", "--type", "f16", "--no-check"]).await;
    assert_eq!(unchecked.code, 0, "{unchecked:?}");
}

/// A copy of the bundled folder with other settings and more tensors, of this length and value each.
fn variant(changes: &Value, tensors: &[(&str, usize, f32)]) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(bundled(FOLDER)).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), place.path().join(entry.file_name())).unwrap();
    }
    let path = place.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    fs::write(&path, config.to_string()).unwrap();
    add_vectors(&place.path().join("model.safetensors"), tensors);
    place
}

/// Appends vectors to each layer.
fn add_vectors(path: &Path, tensors: &[(&str, usize, f32)]) {
    let bytes = fs::read(path).unwrap();
    let (length, rest) = bytes.split_at(8);
    let (head, data) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
    let mut head: Value = serde_json::from_slice(head).unwrap();
    let mut data = data.to_vec();
    for layer in 0..4 {
        for (name, length, value) in tensors {
            let begin = data.len();
            // Not all the same, so that an order that is lost shows.
            data.extend((0..*length).flat_map(|i| (value * (1.0 + (i % 7) as f32 / 20.0)).to_le_bytes()));
            head[format!("model.layers.{layer}.self_attn.{name}")] =
                json!({"dtype": "F32", "shape": [length], "data_offsets": [begin, data.len()]});
        }
    }
    let head = head.to_string();
    fs::write(path, [&(head.len() as u64).to_le_bytes()[..], head.as_bytes(), &data].concat()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_family_is_the_same_on_both_engines() {
    let biases = [("q_proj.bias", 256, 0.05), ("k_proj.bias", 128, 0.04), ("v_proj.bias", 128, 0.03)];
    let norms = [("q_norm.weight", 64, 1.1), ("k_norm.weight", 64, 0.9)];
    let llama3 = json!({"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 64}});
    let linear = json!({"rope_scaling": {"rope_type": "linear", "factor": 2.0}});
    let variants = [
        ("mistral", variant(&json!({"model_type": "mistral", "sliding_window": null}), &[])),
        ("qwen2", variant(&json!({"model_type": "qwen2"}), &biases)),
        ("qwen3", variant(&json!({"model_type": "qwen3"}), &norms)),
        ("llama3", variant(&llama3, &[])),
        ("linear", variant(&linear, &[])),
    ];
    let folders = variants.iter();
    let setup = folders.fold(setup(), |setup, (name, folder)| setup.with_folder(name, folder.path()));
    let server = setup.start().await;
    for (name, _) in &variants {
        let events = server.convert(&[name, "--type", "f32"]).await;
        let check = event(&events, "check");
        assert_eq!(check["same_texts"], check["texts"], "{name}: {check}");
        assert!(check["max_logprob_difference"].as_f64().unwrap() < 0.01, "{name}: {check}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_converted_is_refused_and_named() {
    let half = fs::read(bundled_model()).unwrap();
    let gemma = variant(&json!({"model_type": "gemma"}), &[]);
    let yarn = variant(&json!({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}), &[]);
    let setup =
        Setup::in_all_formats().set("pull.reserve='0B'").with_file("half.gguf", &half[..half.len() / 2]);
    let server = setup.with_folder("gemma", gemma.path()).with_folder("yarn", yarn.path()).start().await;
    let check = async |arguments: &[&str], expected: &[&str]| {
        let refused = server.convert_in_vain(arguments).await;
        assert!(expected.iter().all(|word| refused.contains(word)), "{arguments:?}: {refused}");
    };
    check(&["impetus-tiny-onnx"], &["onnx", "safetensors"]).await;
    check(&["nothing"], &["nothing"]).await;
    check(&["impetus-tiny", "--type", "q9"], &["q9", "q4_k_m"]).await;
    check(&["impetus-tiny", "--name", "../x"], &["name"]).await;
    check(&["impetus-tiny", "--name", FOLDER], &[FOLDER, "already"]).await;
    check(&["half"], &["half"]).await;
    check(&["gemma", "--type", "f16"], &["gemma", "llama"]).await;
    check(&["yarn", "--type", "f16"], &["yarn"]).await;
    let dry = server.ctl(&["convert", FOLDER, "--dry-run"]).await;
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(dry.out.contains("worker-candle writes its own type\n  worker-gguf writes Q4_K_M"), "{dry:?}");
    assert!(server.made().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_folders_are_refused_by_the_job() {
    let damage = |edit: fn(&mut Vec<u8>)| {
        let place = variant(&json!({}), &[]);
        let path = place.path().join("tokenizer.json");
        let mut bytes = fs::read(&path).unwrap();
        edit(&mut bytes);
        fs::write(path, bytes).unwrap();
        place
    };
    let damaged = [
        ("cut", damage(|bytes| bytes.truncate(5000))),
        ("empty", damage(Vec::clear)),
        ("binary", damage(|bytes| bytes.fill(0xff))),
        ("deep", damage(|bytes| *bytes = vec![b'['; 1 << 20])),
        ("list", damage(|bytes| *bytes = b"[]".to_vec())),
    ];
    let setup = damaged.iter().fold(setup(), |setup, (name, folder)| setup.with_folder(name, folder.path()));
    let server = setup.start().await;
    for (name, _) in &damaged {
        let refused = server.convert_in_vain(&[name, "--type", "f16"]).await;
        assert!(refused.contains("tokenizer.json"), "{name}: {refused}");
    }
    assert!(server.made().await.is_empty());
}

/// What the catalog says of a folder's model, for those that wait for it.
fn is_servable(folder: &Path) -> bool {
    let name = ModelName::new("m").unwrap();
    let place = Place { path: folder.to_owned(), name: Some(name.clone()), follow_links: false };
    Catalog::scan(&[place], &[]).get(&name).is_some_and(impetus_models::Model::is_servable)
}

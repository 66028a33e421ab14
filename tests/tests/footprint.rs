//! What a worker is said to hold is what it holds at most, with every slot full.
#![cfg(target_os = "linux")]

use std::{fs, path::Path};

use futures::future::join_all;
use impetus_tests::bench::{Element, Shape, write_folder, write_gguf};
use serde_json::json;

use crate::harness::{BUNDLED, Server, Setup, eventually};

const SLOTS: u32 = 4;
/// Tokens of a step: prompts are computed in pieces of so many.
const TOKENS_PER_STEP: u32 = 512;
/// Ids that any of these models' prompts may be made of.
const IDS: std::ops::Range<u32> = 256..1000;
/// What a prediction may differ from what is measured.
const TOLERANCE: f64 = 0.1;

/// What takes the most memory is another part in each: the vocabulary, the layers, the context, the width.
const SHAPES: [(&str, Element, Shape); 4] = [
    ("vocabulary", Element::F16, Shape { vocabulary: 12_288, layers: 2, ..SMALL }),
    ("deep", Element::F32, Shape { layers: 10, kv_heads: 4, ..SMALL }),
    ("long", Element::F32, Shape { width: 128, kv_heads: 1, layers: 4, context_tokens: 2048, ..SMALL }),
    ("wide", Element::F16, Shape { width: 640, heads: 10, feed_forward: 1792, layers: 3, ..SMALL }),
];

const SMALL: Shape = Shape {
    vocabulary: 1024,
    layers: 2,
    width: 256,
    heads: 4,
    kv_heads: 2,
    head_length: 64,
    feed_forward: 512,
    context_tokens: 512,
};

/// The high-water mark of the process's resident memory, in bytes.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap() * 1024
}

/// Fills every slot of `model` to the last of its `context_tokens`, all at the same time.
async fn fill(server: &Server, model: &str, context_tokens: u32) {
    // Long enough that the first is still generated when the last one's prompt has been computed.
    let max_tokens = SLOTS * context_tokens / TOKENS_PER_STEP + 8;
    let answers = (0..SLOTS).map(|slot| async move {
        let id = |n: u32| IDS.start + (slot * 131 + n * 7) % (IDS.end - IDS.start);
        let prompt: Vec<u32> = (0..context_tokens - max_tokens).map(id).collect();
        let body = json!({"model": model, "prompt": prompt, "max_tokens": max_tokens, "temperature": 0,
            "ignore_eos": true});
        server.http.ask(&body).await
    });
    for answer in join_all(answers).await {
        assert_eq!(answer.usage["completion_tokens"], json!(max_tokens), "{model}");
        assert_eq!(answer.usage["total_tokens"], json!(context_tokens), "{model}");
    }
}

/// Compares what is predicted for `model` with what its worker held, and gives a line that says both.
async fn compare(server: &Server, model: &str, context_tokens: u32) -> (bool, String) {
    assert_eq!(server.ctl(&["load", model]).await.code, 0, "{model}");
    let worker = server.find_worker(model).await.unwrap();
    fill(server, model, context_tokens).await;
    let measured = peak(worker.pid);
    // The kernel tells the worker the same, but for what its threads have not counted together yet.
    eventually("the worker reports its peak", || async {
        let said = server.find_worker(model).await?.peak_bytes as f64;
        ((said / measured as f64 - 1.0).abs() < 0.03).then_some(())
    })
    .await;
    assert_eq!(server.ctl(&["unload", model]).await.code, 0, "{model}");
    let (predicted, measured) = (worker.footprint_bytes as f64, measured as f64);
    let error = predicted / measured - 1.0;
    let mib = f64::from(1 << 20);
    let line = format!(
        "{model}: predicted {:.1} MiB, measured {:.1} MiB, {:+.1} %",
        predicted / mib,
        measured / mib,
        error * 100.0
    );
    (error.abs() <= TOLERANCE, line)
}

async fn check(setup: Setup, models: impl IntoIterator<Item = (String, u32)>) {
    let set = |setup: Setup, format: &&str| setup.set(&format!("workers.{format}.slots={SLOTS}"));
    let server = ["gguf", "candle", "onnx"].iter().fold(setup, set).start().await;
    let (mut all_fit, mut lines) = (true, Vec::new());
    for (model, context_tokens) in models {
        let (fits, line) = compare(&server, &model, context_tokens).await;
        all_fit &= fits;
        lines.push(line);
    }
    assert!(all_fit, "{}", lines.join("\n"));
}

#[tokio::test]
async fn the_bundled_models_hold_what_is_predicted() {
    let models = BUNDLED.map(|model| (model.to_owned(), 2048));
    check(Setup::in_all_formats(), models).await;
}

#[tokio::test]
async fn models_of_any_shape_hold_what_is_predicted() {
    let setup = Setup::new();
    let models = setup.path("models");
    let write = |(name, element, shape): &(&str, Element, Shape)| {
        let path =
            |suffix: &str| -> std::path::PathBuf { Path::new(&models).join(format!("{name}{suffix}")) };
        write_gguf(&path(".gguf"), shape, *element).unwrap();
        write_folder(&path("-folder"), shape, *element).unwrap();
    };
    SHAPES.iter().for_each(write);
    let both = SHAPES.iter().flat_map(|(name, _, shape)| {
        ["", "-folder"].map(|suffix| (format!("{name}{suffix}"), shape.context_tokens))
    });
    check(setup, both).await;
}

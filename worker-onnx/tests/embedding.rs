//! Embedding graphs: a table of vectors by token, and what files and options make of them.

use std::path::Path;

use impetus_runtime::engine::{EmbeddingEngine, TokenId, Vectors, conformance::check_embedding};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    bundled,
    export::{self, VOCABULARY},
    onnx::{Dim, F32, Graph, I64},
};

const WIDTH: usize = 16;
const B: Dim = Dim::Named("batch");
const N: Dim = Dim::Named("tokens");

/// The table, whose rows become the hidden states.
fn table() -> Graph {
    let mut graph = Graph::default();
    graph.weights("table", F32, &[VOCABULARY as u64, WIDTH as u64], &export::raw(&export::embedding(), F32));
    for input in ["input_ids", "attention_mask", "token_type_ids"] {
        graph.input(input, I64, &[B, N]);
    }
    graph
}

fn hidden(output: &str) -> Graph {
    let mut graph = table();
    graph.node("Gather", &["table", "input_ids"], &[output], &[]);
    graph.output(output, F32, &[B, N, Dim::Fixed(WIDTH as u64)]);
    graph
}

/// A graph that pools itself: the first token's vector.
fn finished() -> Graph {
    let mut graph = hidden("token_embeddings");
    graph.weights("first", I64, &[], &0_i64.to_le_bytes());
    graph.node("Gather", &["token_embeddings", "first"], &["sentence_embedding"], &[("axis", 1)]);
    graph.output("sentence_embedding", F32, &[B, Dim::Fixed(WIDTH as u64)]);
    graph
}

fn folder(graph: &Graph, files: &[(&str, Value)]) -> TempDir {
    let folder = export::folder();
    export::write(folder.path(), "onnx/model.onnx", &graph.encode());
    for (name, content) in files {
        export::write(folder.path(), name, content.to_string().as_bytes());
    }
    folder
}

fn engine(folder: &Path, options: &[(&str, &str)]) -> Box<dyn EmbeddingEngine> {
    let path = folder.join("onnx/model.onnx");
    let model = bundled::try_load(&path, folder, (1, 0), options).expect("the model loads");
    assert!(model.vocabulary.size() == VOCABULARY as u32);
    model.task.into_embed().expect("it embeds")
}

fn embed(engine: &mut dyn EmbeddingEngine, input: &[u32]) -> Vec<f32> {
    let tokens: Vec<TokenId> = input.iter().copied().map(TokenId).collect();
    let mut vectors = Vectors::new(engine.limits().dimensions);
    engine.embed(&[&tokens], &mut vectors).expect("it embeds");
    vectors.iter().next().expect("there is one vector").to_vec()
}

fn row(token: usize) -> Vec<f32> {
    export::embedding()[token * WIDTH..(token + 1) * WIDTH].to_vec()
}

fn steps(normalise: bool) -> Value {
    let mut steps =
        vec![json!({"path": "", "type": "a.Transformer"}), json!({"path": "1_Pooling", "type": "a.Pooling"})];
    if normalise {
        steps.push(json!({"path": "2_Normalize", "type": "a.Normalize"}));
    }
    Value::Array(steps)
}

#[test]
fn an_embedding_model_keeps_the_law() {
    let inputs: Vec<Vec<TokenId>> =
        (1..9_u32).map(|n| (0..n * 3).map(|at| TokenId(at * 31 % 1024)).collect()).collect();
    for graph in [hidden("last_hidden_state"), hidden("token_embeddings"), finished()] {
        let folder = folder(&graph, &[]);
        let mut engine = engine(folder.path(), &[]);
        check_embedding(&mut *engine, &inputs, 1e-6).expect("the law holds");
    }
}

#[test]
fn files_and_options_say_how_vectors_are_made() {
    let check = |graph: &Graph, files: &[(&str, Value)], options: &[(&str, &str)], expected: &[f32]| {
        let folder = folder(graph, files);
        let found = embed(&mut *engine(folder.path(), options), &[5, 6, 7]);
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} {expected:?}");
    };
    let unit = |vector: Vec<f32>| {
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.into_iter().map(|x| x / length).collect::<Vec<_>>()
    };
    let mean: Vec<f32> = (0..WIDTH).map(|at| (row(5)[at] + row(6)[at] + row(7)[at]) / 3.0).collect();
    let hidden = hidden("last_hidden_state");
    let cls = ("1_Pooling/config.json", json!({"pooling_mode_cls_token": true}));
    check(&hidden, &[], &[], &unit(mean.clone()));
    check(&hidden, &[("modules.json", steps(false)), ("1_Pooling/config.json", json!({}))], &[], &mean);
    check(&hidden, &[("modules.json", steps(false)), cls.clone()], &[], &row(5));
    check(&hidden, &[("modules.json", steps(true)), cls.clone()], &[], &unit(row(5)));
    check(&hidden, &[("modules.json", steps(false)), cls.clone()], &[("pooling", "last")], &row(7));
    check(&finished(), &[], &[], &row(5));
    check(&finished(), &[("modules.json", steps(true)), cls], &[], &unit(row(5)));
    check(&finished(), &[], &[("pooling", "last")], &unit(row(7)));
}

#[test]
fn the_context_is_what_positions_and_files_allow() {
    let check = |config: Value, files: &[(&str, Value)], asked: u32, expected: u32| {
        let mut all = export::config();
        for (name, value) in config.as_object().expect("an object") {
            all[name] = value.clone();
        }
        let mut files = files.to_vec();
        files.push(("config.json", all));
        let folder = folder(&hidden("last_hidden_state"), &files);
        let model = bundled::try_load(folder.path(), folder.path(), (1, asked), &[]).expect("it loads");
        let limits = model.task.into_embed().expect("it embeds").limits();
        assert_eq!((limits.context_tokens, limits.dimensions as usize), (expected, WIDTH));
        assert!(limits.padded && limits.tokens_per_step >= limits.context_tokens);
    };
    let pooling =
        [("1_Pooling/config.json", json!({})), ("sentence_bert_config.json", json!({"max_seq_length": 128}))];
    check(json!({}), &[], 0, 256);
    check(json!({}), &[], 100, 100);
    check(json!({}), &[], 1000, 256);
    check(json!({}), &pooling, 0, 128);
    check(
        json!({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}),
        &[],
        0,
        512,
    );
}

#[test]
fn what_an_embedding_graph_lacks_is_listed_with_what_is_unknown() {
    let mut graph = Graph::default();
    graph.weights("table", F32, &[VOCABULARY as u64, WIDTH as u64], &export::raw(&export::embedding(), F32));
    graph.input("ids", I64, &[B, N]);
    graph.node("Gather", &["table", "ids"], &["last_hidden_state"], &[]);
    graph.output("last_hidden_state", F32, &[B, N, Dim::Fixed(WIDTH as u64)]);
    let folder = folder(&graph, &[]);
    let error = match bundled::try_load(folder.path(), folder.path(), (1, 0), &[]) {
        Ok(_) => panic!("it loads"),
        Err(error) => error.to_string(),
    };
    assert!(error.contains("lacks `input_ids`, `attention_mask`; it has unknown `ids`"), "{error}");
}

#[test]
fn a_token_that_is_not_of_the_vocabulary_is_refused() {
    let folder = folder(&hidden("last_hidden_state"), &[]);
    let mut engine = engine(folder.path(), &[]);
    let mut vectors = Vectors::new(WIDTH as u32);
    let error = engine.embed(&[&[TokenId(VOCABULARY as u32)]], &mut vectors).expect_err("it is refused");
    assert!(error.to_string().contains("token 1024"), "{error}");
    assert!(vectors.is_empty());
}

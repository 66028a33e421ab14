//! Exports of cross-encoders against the Python `transformers` package, and under the law of such engines.

use std::path::{Path, PathBuf};

use impetus_runtime::engine::{Model, Pair, StepError, TokenId, Vectors, conformance::check_ranking};
use serde_json::Value;

use crate::{
    bundled,
    export::{self, VOCABULARY},
    onnx::{Dim, F32, Graph, I64},
};

/// The largest difference of a logit.
const TOLERANCE: f32 = 1e-5;

struct Case {
    query: String,
    document: String,
    tokens: Vec<u64>,
    logit: f32,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/cross_encoder").join(name)
}

fn cases(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path.join("logits.json")).expect("the reference is there");
    let file: Value = serde_json::from_str(&text).expect("the reference is readable");
    let string = |value: &Value| value.as_str().expect("a text").to_owned();
    let case = |case: &Value| Case {
        query: string(&case["query"]),
        document: string(&case["document"]),
        tokens: case["tokens"].as_array().expect("tokens").iter().filter_map(Value::as_u64).collect(),
        logit: case["logit"].as_f64().expect("a number") as f32,
    };
    file["cases"].as_array().expect("a list of cases").iter().map(case).collect()
}

#[test]
fn logits_are_those_of_transformers() {
    for name in ["bert-onnx", "xlm-roberta-onnx"] {
        let path = folder(name);
        let cases = cases(&path);
        assert!(cases.len() >= 5);
        let Model { task, vocabulary, card } = bundled::load(&path, (1, 0), &[]);
        assert_eq!(Some(card.architecture.as_str()), name.strip_suffix("-onnx"));
        let mut engine = task.into_rerank().expect("it ranks");
        let limits = engine.limits();
        assert_eq!((limits.context_tokens, limits.dimensions, limits.vocabulary), (40, 1, 40), "{name}");
        let pair = |case: &Case| {
            let (tokens, first) =
                vocabulary.encode_pair(&case.query, &case.document).expect("it is tokenized");
            assert_eq!(tokens.iter().map(|token| u64::from(token.0)).collect::<Vec<_>>(), case.tokens);
            (tokens, first)
        };
        let pairs: Vec<(Vec<TokenId>, usize)> = cases.iter().map(pair).collect();
        let asked: Vec<Pair> =
            pairs.iter().map(|(tokens, first)| Pair { tokens, first_tokens: *first }).collect();
        let mut logits = Vectors::new(1);
        engine.rank(&asked, &mut logits).expect("the pairs are ranked");
        for (logit, case) in logits.iter().flatten().zip(&cases) {
            let difference = (logit - case.logit).abs();
            assert!(
                difference < TOLERANCE,
                "{name}: {logit} instead of {} for {}",
                case.logit,
                case.document
            );
        }
        // What a batch is padded to changes the order of sums.
        check_ranking(&mut *engine, &pairs, 1e-5).unwrap_or_else(|violation| panic!("{name}: {violation}"));
    }
}

/// A graph that gives `n` numbers for each input: the beginning of its first token's vector.
fn classifier(n: u64) -> Graph {
    let (batch, tokens) = (Dim::Named("batch"), Dim::Named("tokens"));
    let mut graph = Graph::default();
    let table: Vec<f32> = (0..VOCABULARY * n as usize).map(|idx| idx as f32 / 100.0).collect();
    graph.weights("table", F32, &[VOCABULARY as u64, n], &export::raw(&table, F32));
    for input in ["input_ids", "attention_mask"] {
        graph.input(input, I64, &[batch, tokens]);
    }
    graph.weights("first", I64, &[], &0_i64.to_le_bytes());
    graph.node("Gather", &["table", "input_ids"], &["rows"], &[]);
    graph.node("Gather", &["rows", "first"], &["logits"], &[("axis", 1)]);
    graph.output("logits", F32, &[batch, Dim::Fixed(n)]);
    graph
}

#[test]
fn only_one_number_for_each_pair_ranks() {
    let load = |n| {
        let folder = export::folder();
        export::write(folder.path(), "onnx/model.onnx", &classifier(n).encode());
        bundled::try_load(folder.path(), folder.path(), (1, 0), &[])
    };
    let mut engine = load(1).expect("it loads").task.into_rerank().expect("it ranks");
    let mut logits = Vectors::new(1);
    let known = Pair { tokens: &[TokenId(7), TokenId(8)], first_tokens: 1 };
    engine.rank(&[known], &mut logits).expect("it is ranked");
    assert_eq!(logits.iter().flatten().copied().collect::<Vec<_>>(), [0.07]);
    let unknown = Pair { tokens: &[TokenId(VOCABULARY as u32)], first_tokens: 1 };
    match engine.rank(&[unknown], &mut logits) {
        Err(StepError::Rejected { reason, .. }) => assert!(reason.contains("token 1024"), "{reason}"),
        other => panic!("{other:?}"),
    }
    match load(3) {
        Ok(_) => panic!("it loads"),
        Err(error) => {
            let words = "`logits` of `model.onnx` is f32 of [any, 3] where one number for each pair of texts";
            assert!(error.to_string().to_lowercase().contains(words), "{error}");
        }
    }
}

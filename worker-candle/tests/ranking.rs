//! Cross-encoders of every family against the Python `transformers` package, and under the law of such engines.

use std::path::{Path, PathBuf};

use impetus_runtime::engine::{Model, Pair, TokenId, Vectors, Vocabulary, conformance::check_ranking};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bundled;

/// The largest difference of a logit.
const TOLERANCE: f32 = 1e-5;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    query: String,
    document: String,
    tokens: Vec<u32>,
    first_tokens: usize,
    logit: f32,
}

fn folder(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/cross_encoder").join(family)
}

fn cases(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path.join("logits.json")).expect("the reference is there");
    let Reference { cases } = serde_json::from_str(&text).expect("the reference is readable");
    assert!(cases.len() >= 5);
    cases
}

/// The pairs of the cases, tokenized as the reference has them.
fn pairs(cases: &[Case], vocabulary: &dyn Vocabulary) -> Vec<(Vec<TokenId>, usize)> {
    let pair = |case: &Case| {
        let (tokens, first_tokens) =
            vocabulary.encode_pair(&case.query, &case.document).expect("it is tokenized");
        assert_eq!(tokens.iter().map(|token| token.0).collect::<Vec<_>>(), case.tokens, "{}", case.document);
        (tokens, first_tokens)
    };
    cases.iter().map(pair).collect()
}

#[test]
fn logits_are_those_of_transformers() {
    for family in ["bert", "xlm-roberta", "distilbert", "mpnet", "modernbert"] {
        let path = folder(family);
        let cases = cases(&path);
        let Model { task, vocabulary, card } = bundled::load(&path, (1, 0), &[], |_| {});
        assert_eq!((card.architecture.as_str(), card.chat_template), (family, None));
        let mut engine = task.into_rerank().expect("it ranks");
        let limits = engine.limits();
        assert_eq!((limits.context_tokens, limits.dimensions, limits.vocabulary), (40, 1, 40), "{family}");
        let pairs = pairs(&cases, &*vocabulary);
        if family == "bert" {
            let segments: Vec<usize> = pairs.iter().map(|(_, first_tokens)| *first_tokens).collect();
            assert_eq!(segments, cases.iter().map(|case| case.first_tokens).collect::<Vec<_>>());
        }
        let mut logits = Vectors::new(1);
        let asked: Vec<Pair> =
            pairs.iter().map(|(tokens, first)| Pair { tokens, first_tokens: *first }).collect();
        engine.rank(&asked, &mut logits).expect("the pairs are ranked");
        for (logit, case) in logits.iter().flatten().zip(&cases) {
            let difference = (logit - case.logit).abs();
            assert!(
                difference < TOLERANCE,
                "{family}: {logit} instead of {} for {}",
                case.logit,
                case.document
            );
        }
        check_ranking(&mut *engine, &pairs, 0.0).unwrap_or_else(|violation| panic!("{family}: {violation}"));
    }
}

#[test]
fn what_ranks_nothing_is_refused() {
    let check = |changes: Value, expected: &str| {
        let (source, place) = (folder("bert"), tempfile::tempdir().expect("a folder can be made"));
        for file in ["tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
            std::fs::copy(source.join(file), place.path().join(file)).expect("a file can be copied");
        }
        let text = std::fs::read_to_string(source.join("config.json")).expect("it is there");
        let mut config: Value = serde_json::from_str(&text).expect("it is JSON");
        for (name, value) in changes.as_object().expect("changes are an object") {
            config[name] = value.clone();
        }
        std::fs::write(place.path().join("config.json"), config.to_string()).expect("it can be written");
        match bundled::try_load(place.path(), (1, 0), &[], |_| {}) {
            Ok(_) => panic!("{changes}: it loads"),
            Err(error) => assert!(error.to_string().contains(expected), "{changes}: {error}"),
        }
    };
    check(json!({"id2label": {"0": "no", "1": "yes"}}), "`id2label` in config.json tells of 2 classes");
    check(json!({"id2label": null, "num_labels": 3}), "`num_labels` in config.json tells of 3 classes");
    check(json!({"model_type": "nomic_bert"}), "`architectures` in config.json names a head");
    check(
        json!({"model_type": "qwen3", "architectures": ["Qwen3ForSequenceClassification"]}),
        "names a head, which is not known for `qwen3`",
    );
}

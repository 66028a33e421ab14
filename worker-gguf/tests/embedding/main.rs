//! llama.cpp keeps the law of embedding engines, with an encoder and with a model that could generate.

mod bert;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use impetus_runtime::engine::{
    Backend, EmbeddingEngine, LoadError, Model, ModelSpec, Progress, TokenId, Vectors, Vocabulary,
    conformance::check_embedding,
};
use impetus_worker_gguf::Gguf;

/// Of a model without tables.
const ROUNDING: f32 = 1e-5;

/// llama.cpp reads GELU from a table of F16 values: a rounding may give the neighbour of an entry.
const NEIGHBOUR: f32 = 1e-4;

struct Loaded {
    engine: Box<dyn EmbeddingEngine>,
    vocabulary: Arc<dyn Vocabulary>,
}

fn load(backend: &mut Gguf, path: &Path, pooling: &str) -> Result<Loaded, LoadError> {
    let spec = ModelSpec {
        path: path.to_owned(),
        root: PathBuf::from("/"),
        slots: 1,
        context_tokens: 0,
        threads: 1,
        options: BTreeMap::from([("pooling".to_owned(), pooling.to_owned())]),
    };
    let Model { task, vocabulary, .. } = backend.load(&spec, &Progress::new(|_| {}))?;
    Ok(Loaded { engine: task.into_embed().expect("it embeds"), vocabulary })
}

impl Loaded {
    /// Inputs of these lengths, each with other tokens.
    fn inputs(&self, lengths: &[usize]) -> Vec<Vec<TokenId>> {
        let size = self.vocabulary.size();
        let input = |(idx, &length): (usize, &usize)| {
            (0..length).map(|place| TokenId((place * 7 + idx * 13) as u32 % size)).collect()
        };
        lengths.iter().enumerate().map(input).collect()
    }

    fn vector(&mut self, tokens: &[TokenId]) -> Vec<f32> {
        let mut vectors = Vectors::new(self.engine.limits().dimensions);
        self.engine.embed(&[tokens], &mut vectors).expect("it embeds");
        vectors.iter().next().expect("there is a vector").to_vec()
    }
}

/// The library comes up once in a process, so all is tested here.
#[test]
fn inputs_side_by_side_are_what_each_is_alone() {
    let place = tempfile::tempdir().expect("there is a place for files");
    let mut backend = Gguf::start(1).expect("llama.cpp comes up");
    an_encoder(&mut backend, place.path());
    a_model_that_could_generate(&mut backend);
}

fn an_encoder(backend: &mut Gguf, place: &Path) {
    let path = place.join("bert.gguf");
    bert::write(&path, 1);
    let mut mean = load(backend, &path, "file").expect("the model loads");
    let limits = mean.engine.limits();
    assert_eq!((limits.context_tokens, limits.dimensions), (bert::CONTEXT_TOKENS, bert::WIDTH));

    let ids = |text: &str| {
        mean.vocabulary
            .encode_input(text)
            .expect("it tokenizes")
            .iter()
            .map(|token| token.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(""), [2, 3], "the edges alone");
    assert_eq!(ids("Hello  world"), [2, 57, 58, 3]);
    assert_eq!(ids("ab [SEP]"), [2, 5, 32, 3, 3], "a name of a control token is that token");

    let inputs = mean.inputs(&[48, 1, 17, 48, 5, 2, 30, 9, 48, 48, 48, 48]);
    check_embedding(&mut *mean.engine, &inputs, NEIGHBOUR).expect("the law holds");
    let full = mean.inputs(&[8; 64]);
    check_embedding(&mut *mean.engine, &full, NEIGHBOUR).expect("the law holds of a full call");

    let of_mean = mean.vector(&inputs[0]);
    let length = of_mean.iter().map(|x| x * x).sum::<f32>().sqrt();
    assert!((length - 1.0).abs() < 1e-5, "a vector of length {length}");
    for (kind, option) in [(2, "file"), (1, "cls"), (3, "file"), (1, "last"), (4, "last")] {
        bert::write(&path, kind);
        let mut other = load(backend, &path, option).expect("the model loads");
        check_embedding(&mut *other.engine, &inputs, NEIGHBOUR).expect("the law holds");
        let distance = distance(&other.vector(&inputs[0]), &of_mean);
        assert!(distance > 0.01, "{option} of {kind} is {distance} from the mean");
    }
    bert::write(&path, 4);
    let error = load(backend, &path, "file").map(drop).expect_err("it is no embedding model").to_string();
    assert!(error.contains("bert.gguf") && error.contains("reranker"), "{error}");
}

fn a_model_that_could_generate(backend: &mut Gguf) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundled/tiny/impetus-tiny.gguf");
    let lengths = [600, 3, 200, 1];
    let mut last = load(backend, &path, "last").expect("the model loads");
    let inputs = last.inputs(&lengths);
    check_embedding(&mut *last.engine, &inputs, ROUNDING).expect("the law holds of inputs that are cut");
    let mut mean = load(backend, &path, "mean").expect("the model loads");
    check_embedding(&mut *mean.engine, &inputs, ROUNDING).expect("the law holds");
    assert!(distance(&last.vector(&inputs[0]), &mean.vector(&inputs[0])) > 0.1);
    assert!(
        distance(&last.vector(&inputs[1][..1]), &mean.vector(&inputs[1][..1])) < 1e-5,
        "one token is both"
    );
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
}

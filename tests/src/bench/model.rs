//! The model that is measured, as GGUF: a Llama of about 100 million parameters, all of them random. What a model
//! knows does not change how fast it runs.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, BufWriter, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::{
    gguf::{self, Element, Tensor, Value},
    vocabulary::{FileVocabulary, Vocabulary},
    weights::{self, Shape, Weights},
};

/// Numbers the forms of the model; to be changed with everything that changes a byte of them.
pub(super) const EDITION: u32 = 3;

/// What is measured for speed.
pub(super) const SHAPE: Shape = Shape {
    vocabulary: 8192,
    layers: 12,
    width: 768,
    heads: 12,
    kv_heads: 12,
    head_length: 64,
    feed_forward: 2048,
    context_tokens: 2048,
};
pub(super) const NORM_EPSILON: f32 = 1e-5;
pub(super) const ROPE_BASE: f32 = 10_000.0;

/// A model file and what the report says of it.
#[derive(Debug)]
pub(super) struct BenchModel {
    pub(super) path: PathBuf,
    pub(super) parameters: u64,
    pub(super) bytes: u64,
    /// Ids that a prompt may be made of, from the first to the last.
    pub(super) prompt_ids: Range<u32>,
}

/// What a file says of its vocabulary, and the tokens that are whole text by themselves.
struct Words {
    keys: Vec<(String, Value)>,
    visible: HashSet<u32>,
}

/// The model in `dir`, made unless an earlier run left it there.
pub(super) fn prepare(dir: &Path, element: Element) -> anyhow::Result<BenchModel> {
    let path = dir.join(format!("random-llama-{}-{EDITION}.gguf", element.name()));
    made_once(&path, |unfinished| write(unfinished, &SHAPE, element))?;
    Ok(BenchModel {
        bytes: fs::metadata(&path).with_context(|| format!("reading {}", path.display()))?.len(),
        parameters: weights::tensors(&SHAPE, element).iter().map(Tensor::n_elements).sum(),
        prompt_ids: 256..SHAPE.vocabulary as u32 - 1,
        path,
    })
}

/// Has `make` write the file or folder `path` unless it is there. It is renamed when it is whole: a run that is
/// interrupted leaves no half of a model.
pub(super) fn made_once(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let unfinished = path.with_extension("new");
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    }
    if unfinished.is_dir() {
        fs::remove_dir_all(&unfinished).with_context(|| format!("removing {}", unfinished.display()))?;
    }
    make(&unfinished).with_context(|| format!("writing {}", unfinished.display()))?;
    fs::rename(&unfinished, path).with_context(|| format!("naming {}", path.display()))
}

/// Writes a random model of this shape as GGUF.
pub fn write(path: &Path, shape: &Shape, element: Element) -> io::Result<()> {
    let vocabulary = Vocabulary::new(shape.vocabulary);
    write_with(path, shape, element, &Words { keys: vocabulary.keys(), visible: vocabulary.visible() })
}

/// Writes a random model of this shape with the vocabulary of another file, which has as many tokens as the shape says.
pub(super) fn write_with_file(
    path: &Path,
    shape: &Shape,
    element: Element,
    vocabulary: FileVocabulary,
) -> io::Result<()> {
    write_with(path, shape, element, &Words { visible: vocabulary.visible(), keys: vocabulary.keys })
}

/// Writes a model of this shape that says the tokens `recited` in the order of their ids, again and again.
pub(super) fn write_reciting(
    path: &Path,
    shape: &Shape,
    element: Element,
    recited: Range<u32>,
) -> io::Result<()> {
    let vocabulary = Vocabulary::new(shape.vocabulary);
    write_weights(path, shape, element, &vocabulary.keys(), Weights::reciting(shape.vocabulary, recited))
}

fn write_with(path: &Path, shape: &Shape, element: Element, words: &Words) -> io::Result<()> {
    let is_visible = |token: u32| words.visible.contains(&token);
    write_weights(path, shape, element, &words.keys, Weights::new(shape.vocabulary, &is_visible))
}

fn write_weights(
    path: &Path,
    shape: &Shape,
    element: Element,
    vocabulary: &[(String, Value)],
    mut weights: Weights<'_>,
) -> io::Result<()> {
    let tensors = weights::tensors(shape, element);
    let name = |name: &str| name.to_owned();
    let mut keys = vec![
        (name("general.architecture"), Value::Text("llama".into())),
        (name("general.name"), Value::Text("random weights, for benchmarks".into())),
        (name("general.file_type"), Value::U32(element.file_type())),
        (name("llama.context_length"), Value::U32(shape.context_tokens)),
        (name("llama.embedding_length"), Value::U32(shape.width)),
        (name("llama.block_count"), Value::U32(shape.layers)),
        (name("llama.feed_forward_length"), Value::U32(shape.feed_forward)),
        (name("llama.attention.head_count"), Value::U32(shape.heads)),
        (name("llama.attention.head_count_kv"), Value::U32(shape.kv_heads)),
        (name("llama.attention.key_length"), Value::U32(shape.head_length)),
        (name("llama.attention.value_length"), Value::U32(shape.head_length)),
        (name("llama.attention.layer_norm_rms_epsilon"), Value::F32(NORM_EPSILON)),
        (name("llama.rope.dimension_count"), Value::U32(shape.head_length)),
        (name("llama.rope.freq_base"), Value::F32(ROPE_BASE)),
        (name("llama.vocab_size"), Value::U32(shape.vocabulary as u32)),
    ];
    keys.extend(vocabulary.iter().cloned());
    let mut out = BufWriter::new(File::create(path)?);
    gguf::write(&mut out, &keys, &tensors, |tensor, bytes| weights.append(tensor, bytes))?;
    out.flush()
}

//! The model that is measured, as GGUF: a Llama of about 100 million parameters, all of them random. What a model
//! knows does not change how fast it runs.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::{
    gguf::{self, Element, Tensor, Value},
    vocabulary::Vocabulary,
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
    pub(super) prompt_ids: std::ops::Range<u32>,
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
    let (vocabulary, tensors) = (Vocabulary::new(shape.vocabulary), weights::tensors(shape, element));
    let mut keys = vec![
        ("general.architecture", Value::Text("llama".into())),
        ("general.name", Value::Text("random weights, for benchmarks".into())),
        // LLAMA_FTYPE_ALL_F32 and LLAMA_FTYPE_MOSTLY_F16, which have the numbers of their elements.
        ("general.file_type", Value::U32(element as u32)),
        ("llama.context_length", Value::U32(shape.context_tokens)),
        ("llama.embedding_length", Value::U32(shape.width)),
        ("llama.block_count", Value::U32(shape.layers)),
        ("llama.feed_forward_length", Value::U32(shape.feed_forward)),
        ("llama.attention.head_count", Value::U32(shape.heads)),
        ("llama.attention.head_count_kv", Value::U32(shape.kv_heads)),
        ("llama.attention.key_length", Value::U32(shape.head_length)),
        ("llama.attention.value_length", Value::U32(shape.head_length)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(NORM_EPSILON)),
        ("llama.rope.dimension_count", Value::U32(shape.head_length)),
        ("llama.rope.freq_base", Value::F32(ROPE_BASE)),
        ("llama.vocab_size", Value::U32(vocabulary.len() as u32)),
    ];
    keys.extend(vocabulary.keys());
    let visible = vocabulary.visible();
    let is_visible = |token: u32| visible.contains(&token);
    let mut weights = Weights::new(shape.vocabulary, &is_visible);
    let mut out = BufWriter::new(File::create(path)?);
    gguf::write(&mut out, &keys, &tensors, |tensor, bytes| weights.append(tensor, bytes))?;
    out.flush()
}

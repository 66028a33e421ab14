//! The same model as a Hugging Face folder, and as ONNX.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Map, Value, json};

use super::{
    gguf::{Element, Tensor},
    model::{EDITION, NORM_EPSILON, ROPE_BASE, SHAPE, made_once},
    vocabulary::Vocabulary,
    weights::{self, Shape, Weights},
};

/// Parts of a layer, as GGUF and as Hugging Face name them.
const PARTS: [(&str, &str); 9] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// The Hugging Face folder in `dir`, made unless an earlier run left it there.
pub(super) fn hugging_face(dir: &Path, element: Element) -> anyhow::Result<PathBuf> {
    let path = dir.join(format!("random-llama-{}-{EDITION}-safetensors", element.name()));
    made_once(&path, |unfinished| write(unfinished, &SHAPE, element))?;
    Ok(path)
}

/// Writes the Hugging Face folder of a random model of this shape; there must be nothing at `path`.
pub fn write(path: &Path, shape: &Shape, element: Element) -> io::Result<()> {
    fs::create_dir(path)?;
    let vocabulary = Vocabulary::new(shape.vocabulary);
    write_json(&path.join("config.json"), &config(shape, element))?;
    write_json(&path.join("tokenizer.json"), &vocabulary.tokenizer())?;
    write_weights(&path.join("model.safetensors"), &vocabulary, shape, element)
}

/// The ONNX export of `source` in `dir`, by the project's own exporter, made unless an earlier run left it there.
pub(super) fn onnx(dir: &Path, source: &Path, element: Element) -> anyhow::Result<PathBuf> {
    let path = dir.join(format!("random-llama-{}-{EDITION}-onnx", element.name()));
    made_once(&path, |unfinished| {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        #[allow(clippy::disallowed_methods)] // a tool, not a process of the product
        let status = Command::new(std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into()))
            .arg(project.join("bundled/tiny/onnx_export.py"))
            .args([source, unfinished])
            .args(["--external", "--dtype", element.name()])
            .env("PYTHONPATH", project.join(".tools/export"))
            .status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("onnx_export.py: {status}"))) }
    })?;
    Ok(path.join("model.onnx"))
}

fn config(shape: &Shape, element: Element) -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.width,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_length,
        "hidden_act": "silu",
        "max_position_embeddings": shape.context_tokens,
        "rms_norm_eps": NORM_EPSILON,
        "rope_theta": ROPE_BASE,
        "vocab_size": shape.vocabulary,
        "tie_word_embeddings": false,
        "eos_token_id": shape.vocabulary - 1,
        "torch_dtype": if element == Element::F32 { "float32" } else { "float16" },
    })
}

fn write_json(path: &Path, value: &Value) -> io::Result<()> {
    fs::write(path, format!("{value:#}\n"))
}

/// Writes safetensors: the length of the header, the header, the tensors
/// (<https://github.com/huggingface/safetensors#format>).
fn write_weights(path: &Path, vocabulary: &Vocabulary, shape: &Shape, element: Element) -> io::Result<()> {
    let tensors = weights::tensors(shape, element);
    let (mut header, mut offset) = (Map::new(), 0);
    for tensor in &tensors {
        let end = offset + tensor.n_bytes();
        let shape: Vec<u64> = tensor.shape.iter().rev().copied().collect();
        let kind = if tensor.element == Element::F32 { "F32" } else { "F16" };
        header.insert(name(tensor), json!({"dtype": kind, "shape": shape, "data_offsets": [offset, end]}));
        offset = end;
    }
    let mut header = Value::Object(header).to_string();
    // As the reference writes it, so that what is mapped is aligned.
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    let visible = vocabulary.visible();
    let is_visible = |token: u32| visible.contains(&token);
    let mut weights = Weights::new(shape.vocabulary, &is_visible);
    let mut bytes = Vec::new();
    for tensor in &tensors {
        bytes.clear();
        weights.append(tensor, &mut bytes);
        if [".attn_q.", ".attn_k."].iter().any(|part| tensor.name.contains(part)) {
            bytes = apart(&bytes, shape.head_length as usize, tensor);
        }
        out.write_all(&bytes)?;
    }
    out.flush()
}

/// Hugging Face's name of a tensor.
fn name(tensor: &Tensor) -> String {
    match tensor.name.as_str() {
        "token_embd.weight" => "model.embed_tokens.weight".into(),
        "output_norm.weight" => "model.norm.weight".into(),
        "output.weight" => "lm_head.weight".into(),
        of_layer => {
            let mut parts = of_layer.split('.').skip(1);
            let (layer, part) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let part = PARTS.iter().find(|(gguf, _)| *gguf == part).map_or(part, |(_, name)| name);
            format!("model.layers.{layer}.{part}.weight")
        }
    }
}

/// The rows of queries or keys with the two rotary halves of each head one behind the other, which GGUF's Llama
/// stores interleaved.
fn apart(rows: &[u8], head_rows: usize, tensor: &Tensor) -> Vec<u8> {
    let row_bytes = rows.len() / tensor.shape[1] as usize;
    let mut out = Vec::with_capacity(rows.len());
    for head in rows.chunks_exact(head_rows * row_bytes) {
        let row = |idx: usize| &head[idx * row_bytes..(idx + 1) * row_bytes];
        for half in 0..2 {
            (0..head_rows / 2).for_each(|pair| out.extend_from_slice(row(pair * 2 + half)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_have_their_names_in_both_worlds() {
        let names: Vec<String> = weights::tensors(&SHAPE, Element::F16).iter().map(name).collect();
        let layer_11 = names.iter().filter(|name| name.starts_with("model.layers.11.")).count();
        assert_eq!((names.len(), layer_11), (3 + 12 * 9, 9));
        assert!(names.contains(&"model.layers.3.self_attn.q_proj.weight".to_owned()));
        assert!(names.iter().all(|name| name.starts_with("model.") || name == "lm_head.weight"));
    }

    #[test]
    fn rotary_halves_are_put_apart() {
        let rows: Vec<u8> = (0..128).map(|row| (row % 64) as u8).collect();
        let tensor =
            Tensor { name: "keys of one element".into(), shape: vec![1, 128], element: Element::F16 };
        let apart = apart(&rows, 64, &tensor);
        assert_eq!((apart[0], apart[1], apart[31], apart[32], apart[33], apart[64]), (0, 2, 62, 1, 3, 0));
    }
}

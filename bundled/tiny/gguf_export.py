"""Writes impetus-tiny as one GGUF file."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

import shape
from shape import SHAPE

LAYER_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def write_gguf(weights: dict[str, np.ndarray], path: Path) -> None:
    """Writes one GGUF file in F32, whose results do not depend on how requests are batched."""
    writer = gguf.GGUFWriter(path, "llama")
    add_general(writer)
    add_architecture(writer)
    add_tokenizer(writer)
    for name in sorted(weights):
        writer.add_tensor(gguf_name(name), gguf_layout(name, weights[name]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_general(writer: gguf.GGUFWriter) -> None:
    """Says what the model is, first of all that it is one for tests and demonstrations."""
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(shape.NAME)
    writer.add_basename(shape.NAME)
    writer.add_description(shape.DESCRIPTION)
    writer.add_author("The Impetus authors")
    writer.add_license(shape.LICENSE)
    writer.add_size_label("2.6M")
    writer.add_tags(["test", "demo", "text-generation"])
    writer.add_languages(["en"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def add_architecture(writer: gguf.GGUFWriter) -> None:
    """Adds the sizes that a Llama loader asks for."""
    writer.add_context_length(SHAPE.context_tokens)
    writer.add_embedding_length(SHAPE.width)
    writer.add_block_count(SHAPE.layers)
    writer.add_feed_forward_length(SHAPE.feed_forward)
    writer.add_head_count(SHAPE.heads)
    writer.add_head_count_kv(SHAPE.kv_heads)
    writer.add_key_length(SHAPE.head_width)
    writer.add_value_length(SHAPE.head_width)
    writer.add_rope_dimension_count(SHAPE.head_width)
    writer.add_rope_freq_base(SHAPE.rope_base)
    writer.add_layer_norm_rms_eps(SHAPE.norm_epsilon)
    writer.add_vocab_size(SHAPE.vocabulary)


def add_tokenizer(writer: gguf.GGUFWriter) -> None:
    """Adds the byte-level BPE, its special tokens and the chat template."""
    vocabulary, merges = shape.load_vocabulary()
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    types = [
        gguf.TokenType.CONTROL if token in shape.SPECIAL_TOKENS else gguf.TokenType.NORMAL
        for token in tokens
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(vocabulary[shape.END_OF_TEXT])
    writer.add_eos_token_id(vocabulary[shape.TURN_END])
    writer.add_eot_token_id(vocabulary[shape.TURN_END])
    writer.add_pad_token_id(vocabulary[shape.END_OF_TEXT])
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    for kind, token in (
        ("pre", shape.FIM_PREFIX),
        ("suf", shape.FIM_SUFFIX),
        ("mid", shape.FIM_MIDDLE),
        ("pad", shape.FIM_PAD),
    ):
        writer.add_uint32(f"tokenizer.ggml.fim_{kind}_token_id", vocabulary[token])
    writer.add_chat_template(shape.read_chat_template())


def gguf_name(name: str) -> str:
    """Translates a Hugging Face tensor name into GGUF's."""
    fixed = {"model.embed_tokens.weight": "token_embd", "model.norm.weight": "output_norm"}
    if name in fixed:
        return f"{fixed[name]}.weight"
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{LAYER_NAMES[rest.removesuffix('.weight')]}.weight"


def gguf_layout(name: str, tensor: np.ndarray) -> np.ndarray:
    """Interleaves the two rotary halves of queries and keys, as GGUF's Llama stores them."""
    heads = {"q_proj": SHAPE.heads, "k_proj": SHAPE.kv_heads}
    for part, n_heads in heads.items():
        if part in name:
            rows, columns = tensor.shape
            halves = tensor.reshape(n_heads, 2, rows // n_heads // 2, columns)
            tensor = halves.swapaxes(1, 2).reshape(rows, columns)
    return np.ascontiguousarray(tensor, dtype=np.float32)

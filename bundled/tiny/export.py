#!/usr/bin/env python3
"""Writes impetus-tiny as GGUF (F32) and, with --hf, as a Hugging Face folder.

The one set of weights is weights/model.safetensors (F32, Hugging Face names). Neither output
depends on the time or the machine, so exporting twice gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import load_file, save_file

import shape
from shape import SHAPE

GGUF_LAYER_NAMES = {
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


def main() -> None:
    """Parses the command line and writes what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=shape.WEIGHTS, help="source weights")
    parser.add_argument("--gguf", type=Path, default=shape.GGUF, help="GGUF file to write")
    parser.add_argument("--hf", type=Path, help="Hugging Face folder to write")
    args = parser.parse_args()

    weights = load_file(args.weights)
    write_gguf(weights, args.gguf)
    print(f"{args.gguf}: {args.gguf.stat().st_size} bytes")
    if args.hf:
        write_hugging_face(weights, args.hf)
        print(f"{args.hf}: Hugging Face folder")


def write_gguf(weights: dict[str, np.ndarray], path: Path) -> None:
    """Writes one GGUF file in F32, whose results do not depend on how requests are batched."""
    writer = gguf.GGUFWriter(path, "llama")
    add_general(writer)
    add_architecture(writer)
    add_tokenizer(writer)
    for name, tensor in weights.items():
        writer.add_tensor(gguf_name(name), gguf_layout(name, tensor))
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
    writer.add_chat_template(read_chat_template())


def gguf_name(name: str) -> str:
    """Translates a Hugging Face tensor name into GGUF's."""
    fixed = {"model.embed_tokens.weight": "token_embd", "model.norm.weight": "output_norm"}
    if name in fixed:
        return f"{fixed[name]}.weight"
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{GGUF_LAYER_NAMES[rest.removesuffix('.weight')]}.weight"


def gguf_layout(name: str, tensor: np.ndarray) -> np.ndarray:
    """Interleaves the two rotary halves of queries and keys, as GGUF's Llama stores them."""
    heads = {"q_proj": SHAPE.heads, "k_proj": SHAPE.kv_heads}
    for part, n_heads in heads.items():
        if part in name:
            rows, columns = tensor.shape
            halves = tensor.reshape(n_heads, 2, rows // n_heads // 2, columns)
            tensor = halves.swapaxes(1, 2).reshape(rows, columns)
    return np.ascontiguousarray(tensor, dtype=np.float32)


def write_hugging_face(weights: dict[str, np.ndarray], folder: Path) -> None:
    """Writes the folder that `transformers` and safetensors loaders read."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    shutil.copyfile(shape.TOKENIZER, folder / "tokenizer.json")
    (folder / "chat_template.jinja").write_text(read_chat_template(), encoding="utf-8")
    write_json(folder / "config.json", model_config())
    write_json(folder / "generation_config.json", generation_config())
    write_json(folder / "tokenizer_config.json", tokenizer_config())


def model_config() -> dict[str, Any]:
    """Returns Hugging Face's `config.json`."""
    vocabulary, _ = shape.load_vocabulary()
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": SHAPE.width,
        "intermediate_size": SHAPE.feed_forward,
        "num_hidden_layers": SHAPE.layers,
        "num_attention_heads": SHAPE.heads,
        "num_key_value_heads": SHAPE.kv_heads,
        "head_dim": SHAPE.head_width,
        "hidden_act": "silu",
        "max_position_embeddings": SHAPE.context_tokens,
        "rms_norm_eps": SHAPE.norm_epsilon,
        "rope_theta": SHAPE.rope_base,
        "vocab_size": SHAPE.vocabulary,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": vocabulary[shape.END_OF_TEXT],
        "eos_token_id": vocabulary[shape.TURN_END],
        "pad_token_id": vocabulary[shape.END_OF_TEXT],
        "torch_dtype": "float32",
    }


def generation_config() -> dict[str, Any]:
    """Returns Hugging Face's `generation_config.json`: greedy, ending at either end token."""
    vocabulary, _ = shape.load_vocabulary()
    end_of_text, turn_end = vocabulary[shape.END_OF_TEXT], vocabulary[shape.TURN_END]
    return {
        "bos_token_id": end_of_text,
        "eos_token_id": [turn_end, end_of_text],
        "pad_token_id": end_of_text,
        "do_sample": False,
        "max_new_tokens": 512,
    }


def tokenizer_config() -> dict[str, Any]:
    """Returns Hugging Face's `tokenizer_config.json`, the chat template included."""
    vocabulary, _ = shape.load_vocabulary()
    flags = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": False,
        "add_prefix_space": False,
        "bos_token": None,
        "eos_token": shape.TURN_END,
        "pad_token": shape.END_OF_TEXT,
        "unk_token": None,
        "additional_special_tokens": list(shape.SPECIAL_TOKENS),
        "model_max_length": SHAPE.context_tokens,
        "clean_up_tokenization_spaces": False,
        "added_tokens_decoder": {
            str(vocabulary[token]): {"content": token, "special": True, **flags}
            for token in shape.SPECIAL_TOKENS
        },
        "chat_template": read_chat_template(),
    }


def read_chat_template() -> str:
    """Returns the chat template without the newline that ends its file."""
    return shape.CHAT_TEMPLATE.read_text(encoding="utf-8").removesuffix("\n")


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes one settings file of the Hugging Face folder."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Writes impetus-tiny as the folder that `transformers` and safetensors loaders read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

import shape
from shape import SHAPE


def write_hugging_face(weights: dict[str, np.ndarray], folder: Path) -> None:
    """Writes the folder that `transformers` and safetensors loaders read."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    shutil.copyfile(shape.TOKENIZER, folder / "tokenizer.json")
    (folder / "chat_template.jinja").write_text(shape.read_chat_template(), encoding="utf-8")
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
        "chat_template": shape.read_chat_template(),
    }


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes one settings file of the Hugging Face folder."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

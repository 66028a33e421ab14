#!/usr/bin/env python3
"""Computes logits of the bundled model with NumPy in F64, for the workers' tests: logits.json.

Written from the papers (rotary positions: Su et al. 2021; RMS norm: Zhang and Sennrich 2019) and
the layout of the Hugging Face folder, with nothing of an inference engine.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent.parent / "bundled" / "tiny" / "impetus-tiny-safetensors"
SEED = 4099
PROMPT_TOKENS = 40
# Rows that are kept: a test needs no more, and the file stays small.
ROWS = (0, 1, 7, 19, 38, 39)


def main() -> None:
    """Writes the file."""
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    tensors = load_file(FOLDER / "model.safetensors").items()
    weights = {name: tensor.astype(np.float64) for name, tensor in tensors}
    tokens = np.random.default_rng(SEED).integers(7, config["vocab_size"], PROMPT_TOKENS)
    logits = forward(config, weights, tokens)
    rows = {str(row): [float(f"{x:.7g}") for x in logits[row]] for row in ROWS}
    text = json.dumps({"tokens": tokens.tolist(), "rows": rows}, separators=(",", ":"))
    (HERE / "logits.json").write_text(text + "\n", encoding="utf-8")


def forward(config: dict, weights: dict[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    """Returns a row of logits for each token."""
    x = weights["model.embed_tokens.weight"][tokens]
    for layer in range(config["num_hidden_layers"]):
        part = {
            name.removeprefix(f"model.layers.{layer}.").removesuffix(".weight"): tensor
            for name, tensor in weights.items()
            if name.startswith(f"model.layers.{layer}.")
        }
        x = x + attention(config, part, norm(config, x, part["input_layernorm"]))
        h = norm(config, x, part["post_attention_layernorm"])
        gate = h @ part["mlp.gate_proj"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ part["mlp.up_proj"].T)) @ part["mlp.down_proj"].T
    return norm(config, x, weights["model.norm.weight"]) @ weights["model.embed_tokens.weight"].T


def norm(config: dict, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Scales each row to a mean square of one, then by `weight`."""
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + config["rms_norm_eps"]) * weight


def attention(config: dict, part: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Attends causally, query heads in groups over their key-value head."""
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    size = config["head_dim"]

    def split(name: str, n_heads: int) -> np.ndarray:
        return (x @ part[f"self_attn.{name}_proj"].T).reshape(len(x), n_heads, size)

    queries, keys = rotate(config, split("q", heads)), rotate(config, split("k", kv_heads))
    values = split("v", kv_heads)
    keys, values = (np.repeat(t, heads // kv_heads, axis=1) for t in (keys, values))
    scores = np.einsum("qhd,khd->hqk", queries, keys) / np.sqrt(size)
    scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    mixed = np.einsum("hqk,khd->qhd", scores, values).reshape(len(x), heads * size)
    return mixed @ part["self_attn.o_proj"].T


def rotate(config: dict, x: np.ndarray) -> np.ndarray:
    """Turns each pair of a head's halves by an angle that grows with the position."""
    half = config["head_dim"] // 2
    angles = np.arange(len(x))[:, None, None] / config["rope_theta"] ** (np.arange(half) / half)
    first, second = x[..., :half], x[..., half:]
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], -1)


if __name__ == "__main__":
    main()

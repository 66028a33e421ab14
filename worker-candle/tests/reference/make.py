#!/usr/bin/env python3
"""Makes small random models of every family with the `transformers` package, and what they say.

Each folder gets the model in one of the forms that the worker loads, and `expected.json`: the
prompt and the logits behind every token, or for an embedding model some inputs and their vectors,
computed in F32. Needs torch, transformers, numpy and safetensors. Then:
IMPETUS_REFERENCE=DIR cargo test --release -p impetus-worker-candle --test worker reference
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from safetensors.torch import load_file, save_file

BUNDLED = Path(__file__).resolve().parents[3] / "bundled" / "tiny"
VOCABULARY = 1024
PROMPT_TOKENS = 56
BASE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 64,
}
LONG = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0 + i / 8 for i in range(8)],
    "long_factor": [2.0 + i for i in range(8)],
}
SLIDING = ["full_attention", "sliding_attention"] * 2
EXPERTS = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
# Of the inputs of embedding models: around where the worker changes its ways to compute.
INPUT_TOKENS = [1, 5, 8, 9, 40, 120]

def long_rope(original: int) -> dict[str, Any]:
    """LongRoPE over an original context of so many tokens."""
    own = {"original_max_position_embeddings": original}
    return own | {"rope_parameters": LONG | own}


# Name, configuration class, settings.
MODELS: list[tuple[str, str, dict[str, Any]]] = [
    ("llama2", "LlamaConfig", {"num_key_value_heads": 4}),
    ("llama3", "LlamaConfig", {"rope_parameters": LLAMA3, "tie_word_embeddings": True}),
    ("llama-biased", "LlamaConfig", {"attention_bias": True, "mlp_bias": True}),
    (
        "llama-linear",
        "LlamaConfig",
        {"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}},
    ),
    # The prompt is longer than what it was trained on.
    (
        "llama-dynamic",
        "LlamaConfig",
        {
            "max_position_embeddings": 32,
            "rope_parameters": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0},
        },
    ),
    ("mistral", "MistralConfig", {"sliding_window": 16, "head_dim": 32}),
    ("qwen2", "Qwen2Config", {}),
    (
        "qwen2-window",
        "Qwen2Config",
        {"use_sliding_window": True, "sliding_window": 12, "max_window_layers": 2},
    ),
    ("qwen2-yarn", "Qwen2Config", {"rope_parameters": YARN}),
    ("qwen3", "Qwen3Config", {"head_dim": 32}),
    ("smollm3", "SmolLM3Config", {"no_rope_layers": [1, 1, 1, 0]}),
    ("phi3", "Phi3Config", {"sliding_window": 24}),
    # Prompts are shorter than the first one's original context and longer than the second one's.
    ("phi3-short-rope", "Phi3Config", long_rope(128)),
    ("phi3-long-rope", "Phi3Config", long_rope(32)),
    (
        "phi3-partial",
        "Phi3Config",
        {
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "partial_rotary_factor": 0.75,
            }
        },
    ),
    ("gemma", "GemmaConfig", {"head_dim": 32, "hidden_activation": "gelu_pytorch_tanh"}),
    (
        "gemma2",
        "Gemma2Config",
        {"head_dim": 32, "query_pre_attn_scalar": 24, "sliding_window": 12},
    ),
    (
        "gemma3",
        "Gemma3TextConfig",
        {"head_dim": 32, "query_pre_attn_scalar": 24, "sliding_window": 12, "layer_types": SLIDING},
    ),
    ("mixtral", "MixtralConfig", {"num_local_experts": 6}),
    (
        "qwen2-moe",
        "Qwen2MoeConfig",
        EXPERTS | {"shared_expert_intermediate_size": 48, "mlp_only_layers": [1]},
    ),
    ("qwen3-moe", "Qwen3MoeConfig", EXPERTS | {"norm_topk_prob": True, "head_dim": 32}),
    (
        "granite",
        "GraniteConfig",
        {
            "embedding_multiplier": 3.0,
            "attention_multiplier": 0.2,
            "residual_multiplier": 0.5,
            "logits_scaling": 4.0,
        },
    ),
    # Families that candle's own models compute.
    ("stock-phi", "PhiConfig", {"partial_rotary_factor": 0.5}),
    ("stock-falcon", "FalconConfig", {"new_decoder_architecture": False, "multi_query": True}),
    ("stock-starcoder2", "Starcoder2Config", {"sliding_window": None}),
    ("stock-olmo", "OlmoConfig", {}),
    ("stock-olmo2", "Olmo2Config", {}),
    ("stock-helium", "HeliumConfig", {"head_dim": 16}),
    ("stock-glm4", "Glm4Config", {"head_dim": 16, "attention_bias": True}),
    (
        "stock-recurrent-gemma",
        "RecurrentGemmaConfig",
        {"head_dim": 16, "num_key_value_heads": 1, "attention_window_size": 64},
    ),
    (
        "stock-lfm2",
        "Lfm2Config",
        {
            "layer_types": ["conv", "full_attention", "conv", "full_attention"],
            "block_auto_adjust_ff_dim": True,
            "block_multiple_of": 8,
            "block_ffn_dim_multiplier": 1.0,
        },
    ),
    (
        "stock-granitemoehybrid",
        "GraniteMoeHybridConfig",
        {
            "layer_types": ["attention"] * 4,
            "num_local_experts": 0,
            "shared_intermediate_size": 96,
            "residual_multiplier": 0.5,
            "attention_multiplier": 0.2,
            "logits_scaling": 4.0,
            "tie_word_embeddings": True,
            "position_embedding_type": "rope",
        },
    ),
    ("stock-mamba", "MambaConfig", {"intermediate_size": 128}),
]

# The same for embedding models, with the pooling mode.
ENCODERS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("embed-bert", "BertConfig", "cls", {"type_vocab_size": 2}),
    ("embed-bert-tanh", "BertConfig", "max", {"hidden_act": "gelu_new"}),
    ("embed-roberta", "RobertaConfig", "mean", {"pad_token_id": 1}),
    ("embed-xlm-roberta", "XLMRobertaConfig", "cls", {"pad_token_id": 1, "type_vocab_size": 1}),
    (
        "embed-distilbert",
        "DistilBertConfig",
        "mean",
        {"dim": 64, "n_layers": 4, "n_heads": 4, "hidden_dim": 96},
    ),
    ("embed-mpnet", "MPNetConfig", "mean", {"pad_token_id": 1}),
    ("embed-nomic", "NomicBertConfig", "mean", {}),
    (
        "embed-modernbert",
        "ModernBertConfig",
        "cls",
        {"local_attention": 16, "cls_token_id": 0, "sep_token_id": 2},
    ),
    ("embed-qwen3", "Qwen3Config", "lasttoken", {"head_dim": 32}),
    ("embed-mistral", "MistralConfig", "mean", {"sliding_window": 16}),
]


def main() -> None:
    """Parses the command line and makes every model, and some in other forms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the models' folders go")
    folder = parser.parse_args().folder
    for seed, (name, config, settings) in enumerate(MODELS):
        model = make(config, settings, seed)
        model.save_pretrained(folder / name)
        finish(folder / name, model)
    for name, form in FORMS.items():
        model = make("LlamaConfig", {"intermediate_size": 128}, 100)
        form(model, folder / name)
        finish(folder / name, model)
    for seed, (name, config, mode, settings) in enumerate(ENCODERS, 200):
        model = make(config, settings, seed, hf.AutoModel)
        model.save_pretrained(folder / name)
        embed(folder / name, model, mode)


def make(
    config: str, settings: dict[str, Any], seed: int, kind: Any = hf.AutoModelForCausalLM
) -> Any:
    """A model with random weights, large enough that every part of it shows in what it says."""
    torch.manual_seed(seed)
    model = kind.from_config(getattr(hf, config)(**(BASE | settings)))
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if name.endswith(("A_log", "recurrent_param")):
                continue  # a state that decays
            spread = 0.3 if weights.dim() == 1 else 1.5 / weights.shape[-1] ** 0.5
            offset = 1.0 if "norm" in name and "Gemma" not in config else 0.0
            weights.copy_(torch.randn(weights.shape) * spread + offset)
    return model.float().eval()


def finish(folder: Path, model: Any) -> None:
    """Writes the tokenizer and what the model says about a prompt."""
    shutil.copyfile(BUNDLED / "tokenizer.json", folder / "tokenizer.json")
    prompt = torch.randint(7, VOCABULARY, (PROMPT_TOKENS,))
    with torch.no_grad():
        logits = model(prompt[None]).logits[0]
    expected = {"prompt": prompt.tolist(), "logits": logits.tolist()}
    (folder / "expected.json").write_text(json.dumps(expected))
    print(f"{folder.name}: logits up to {logits.abs().max():.2f}")


def embed(folder: Path, model: Any, mode: str) -> None:
    """Writes the tokenizer, the files of sentence-transformers, and inputs with their vectors."""
    shutil.copyfile(BUNDLED / "tokenizer.json", folder / "tokenizer.json")
    steps = ["", "1_Pooling", "2_Normalize"]
    kinds = ["Transformer", "Pooling", "Normalize"]
    modules = [
        {"path": path, "type": f"sentence_transformers.models.{kind}"}
        for path, kind in zip(steps, kinds, strict=True)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    pooling = {"word_embedding_dimension": 64, "pooling_mode": mode}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))

    inputs = [torch.randint(7, VOCABULARY, (length,)) for length in INPUT_TOKENS]
    with torch.no_grad():
        states = [model(tokens[None]).last_hidden_state[0] for tokens in inputs]
    pool: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "cls": lambda rows: rows[0],
        "lasttoken": lambda rows: rows[-1],
        "mean": lambda rows: rows.mean(0),
        "max": lambda rows: rows.amax(0),
    }
    vectors = [torch.nn.functional.normalize(pool[mode](rows), dim=0) for rows in states]
    expected = {
        "inputs": [tokens.tolist() for tokens in inputs],
        "vectors": [vector.tolist() for vector in vectors],
    }
    (folder / "expected.json").write_text(json.dumps(expected))
    print(f"{folder.name}: {len(vectors)} vectors")


def sharded(model: Any, folder: Path) -> None:
    """Several safetensors files and their index."""
    model.save_pretrained(folder, max_shard_size="200KB")
    if len(list(folder.glob("*.safetensors"))) < 2:
        raise SystemExit(f"{folder} was not sharded")


def checkpoint(model: Any, folder: Path) -> None:
    """PyTorch's own format."""
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


def nested_checkpoint(model: Any, folder: Path) -> None:
    """A trainer's checkpoint with the weights under a key."""
    model.config.save_pretrained(folder)
    torch.save({"state_dict": model.state_dict(), "epoch": 3}, folder / "model.pth")


def narrow(dtype: torch.dtype) -> Callable[[Any, Path], None]:
    """Weights in a narrower type, which the expected logits are rounded to as well."""

    def save(model: Any, folder: Path) -> None:
        copy.deepcopy(model).to(dtype).save_pretrained(folder)
        with torch.no_grad():
            for weights in model.parameters():
                weights.copy_(weights.to(dtype))

    return save


def archive(model: Any, folder: Path) -> None:
    """A NumPy archive."""
    import numpy as np

    model.config.save_pretrained(folder)
    np.savez(folder / "weights.npz", **{k: v.numpy() for k, v in model.state_dict().items()})


def mlx(bits: int, group: int, mixed: bool = False) -> Callable[[Any, Path], None]:
    """MLX's affine quantization, by its published formula; mixed: other bits in some layers."""

    def save(model: Any, folder: Path) -> None:
        model.save_pretrained(folder)
        tensors = load_file(folder / "model.safetensors")
        quantized = {}
        for name, weight in tensors.items():
            if weight.dim() < 2:
                quantized[name] = weight
                continue
            layer = name.removesuffix(".weight")
            own = MIXED.get(layer, {"bits": bits, "group_size": group}) if mixed else {}
            if own is False:
                quantized[name] = weight
                continue
            width, size = own.get("bits", bits), own.get("group_size", group)
            words, scales, biases, weight[:] = quantize(weight, width, size)
            quantized |= {name: words, f"{layer}.scales": scales, f"{layer}.biases": biases}
        save_file(quantized, folder / "model.safetensors")
        model.load_state_dict(tensors)
        path = folder / "config.json"
        config = json.loads(path.read_text())
        config["quantization"] = {"group_size": group, "bits": bits} | (MIXED if mixed else {})
        path.write_text(json.dumps(config))

    return save


def quantize(weight: torch.Tensor, bits: int, group: int) -> tuple[torch.Tensor, ...]:
    """Words, scales, biases, and what they stand for."""
    rows, columns = weight.shape
    groups = weight.reshape(rows, columns // group, group)
    low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
    scales = (high - low) / (2**bits - 1)
    numbers = ((groups - low) / scales).round().clamp(0, 2**bits - 1)
    # All bits of a row in one stream, the lowest first, cut into words.
    places = torch.arange(bits, dtype=torch.int64)
    stream = (numbers.to(torch.int64).reshape(rows, -1, 1) >> places) & 1
    words = stream.reshape(rows, -1, 32) << torch.arange(32, dtype=torch.int64)
    packed = words.sum(-1).to(torch.uint32)
    exact = (numbers * scales + low).reshape(rows, columns)
    return packed, scales[..., 0].contiguous(), low[..., 0].contiguous(), exact


# Layers of a mixed quantization that differ.
MIXED: dict[str, Any] = {
    "model.layers.0.self_attn.v_proj": {"bits": 8, "group_size": 32},
    "model.layers.1.mlp.down_proj": {"bits": 6, "group_size": 64},
    "model.layers.2.self_attn.o_proj": False,
}

FORMS: dict[str, Callable[[Any, Path], None]] = {
    "form-sharded": sharded,
    "form-bin": checkpoint,
    "form-pth-nested": nested_checkpoint,
    "form-npz": archive,
    "form-bf16": narrow(torch.bfloat16),
    "form-f16": narrow(torch.float16),
    "form-mlx-8-bit": mlx(8, 64),
    "form-mlx-4-bit": mlx(4, 32),
    "form-mlx-mixed": mlx(4, 64, mixed=True),
} | {f"form-mlx-{bits}-bit": mlx(bits, 64) for bits in (3, 5, 6)}

if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes a Llama from a Hugging Face folder as ONNX, laid out as `optimum` lays out its exports.

The graph has the inputs input_ids, attention_mask, position_ids and past_key_values.N.key|value,
and the outputs logits and present.N.key|value. It uses standard operators only (opset 23).
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx_llama import ELEMENTS, Decoder, Llama
from onnx_source import load_config, load_weights

# What an export carries over from the folder it was made from.
SIDE_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)


@dataclass(frozen=True)
class Options:
    """How an export is laid out."""

    dtype: str = "f32"
    external: bool = False
    unmerged: bool = False
    genai: bool = False

    def graphs(self) -> dict[str, bool]:
        """Returns the files to write, and whether their graph begins with a cache."""
        if self.unmerged:
            return {"decoder_model.onnx": False, "decoder_with_past_model.onnx": True}
        return {"model.onnx": True}


DEFAULT = Options()


def main() -> None:
    """Parses the command line and writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder with config.json and *.safetensors")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--dtype", choices=ELEMENTS, default="f32", help="type of all weights")
    parser.add_argument("--external", action="store_true", help="weights in a file of their own")
    parser.add_argument(
        "--unmerged", action="store_true", help="one graph for the prompt, one for what follows"
    )
    parser.add_argument("--genai", action="store_true", help="write genai_config.json too")
    args = parser.parse_args()

    options = Options(args.dtype, args.external, args.unmerged, args.genai)
    for path in write_onnx(args.source, args.out, options):
        print(f"{path}: {path.stat().st_size} bytes")


def write_onnx(source: Path, out: Path, options: Options = DEFAULT) -> list[Path]:
    """Writes one folder from another; returns the graphs written."""
    config = load_config(source)
    out.mkdir(parents=True, exist_ok=True)
    for name in SIDE_FILES:
        if (source / name).exists():
            shutil.copyfile(source / name, out / name)
    shape, weights = Llama.from_config(config), load_weights(source)
    graphs = options.graphs()
    for name, past in graphs.items():
        graph = Decoder(shape, weights, options.dtype, past=past).build()
        graph.save(out / name, external=options.external)
    if options.genai:
        settings = json.dumps(genai_config(config, shape, list(graphs)[-1]), indent=2)
        (out / "genai_config.json").write_text(settings + "\n", encoding="utf-8")
    return [out / name for name in graphs]


def genai_config(config: dict[str, Any], shape: Llama, file: str) -> dict[str, Any]:
    """Returns the settings that onnxruntime-genai reads instead of config.json."""
    end = config.get("eos_token_id")
    return {
        "model": {
            "bos_token_id": config.get("bos_token_id"),
            "context_length": config["max_position_embeddings"],
            "decoder": {
                "session_options": {"log_id": "onnxruntime-genai", "provider_options": []},
                "filename": file,
                "head_size": shape.head_width,
                "hidden_size": shape.width,
                "inputs": {
                    "input_ids": "input_ids",
                    "attention_mask": "attention_mask",
                    "position_ids": "position_ids",
                    "past_key_names": "past_key_values.%d.key",
                    "past_value_names": "past_key_values.%d.value",
                },
                "outputs": {
                    "logits": "logits",
                    "present_key_names": "present.%d.key",
                    "present_value_names": "present.%d.value",
                },
                "num_attention_heads": shape.heads,
                "num_hidden_layers": shape.layers,
                "num_key_value_heads": shape.kv_heads,
            },
            "eos_token_id": end,
            "pad_token_id": config.get("pad_token_id", end),
            "type": "llama",
            "vocab_size": shape.vocabulary,
        },
        "search": {
            "do_sample": False,
            "max_length": config["max_position_embeddings"],
            "past_present_share_buffer": False,
        },
    }


if __name__ == "__main__":
    main()

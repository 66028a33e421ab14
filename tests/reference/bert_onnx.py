#!/usr/bin/env python3
"""Writes a BERT encoder from a Hugging Face folder as ONNX, laid out as `optimum` lays out exports.

Inputs: input_ids, attention_mask and token_type_ids, all `[batch, sequence]`. Output:
last_hidden_state, `[batch, sequence, width]`, before any pooling. All files of the folder but its
weights are copied, those of sentence-transformers included.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bundled" / "tiny"))

from onnx_graph import Graph
from onnx_source import load_config, load_weights, require

# A score that no softmax lets through; finite, so that a row without a token stays finite.
MASKED = -1e9
WEIGHT_FILES = ("*.safetensors", "*.bin", "*.index.json", ".git*")
# Settings of config.json that change the computation, and the values that this graph computes.
COMPUTED = {
    "model_type": ("bert",),
    "hidden_act": ("gelu",),
    "position_embedding_type": ("absolute", None),
}


@dataclass(frozen=True)
class Bert:
    """The sizes of a BERT encoder."""

    layers: int
    width: int
    heads: int
    norm_epsilon: float

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Bert:
        """Reads Hugging Face's config.json; raises `UnsupportedError` for another architecture."""
        require(config, COMPUTED)
        return cls(
            layers=config["num_hidden_layers"],
            width=config["hidden_size"],
            heads=config["num_attention_heads"],
            norm_epsilon=config["layer_norm_eps"],
        )


class Encoder:
    """Builds the graph of one encoder, in F32."""

    def __init__(self, shape: Bert, weights: dict[str, np.ndarray]) -> None:
        self.shape = shape
        self.values = {name.removeprefix("bert."): value for name, value in weights.items()}
        self.graph = Graph("encoder")

    def build(self) -> Graph:
        """Returns the graph from token ids to the last hidden state."""
        graph = self.graph
        for name in ("input_ids", "attention_mask", "token_type_ids"):
            graph.input(name, TensorProto.INT64, ["batch_size", "sequence_length"])
        sizes = ["batch_size", "sequence_length", self.shape.width]
        graph.output("last_hidden_state", TensorProto.FLOAT, sizes)
        x, mask = self.embeddings(), self.mask()
        for index in range(self.shape.layers):
            last = index == self.shape.layers - 1
            x = self.layer(x, index, mask, "last_hidden_state" if last else None)
        return graph

    def embeddings(self) -> str:
        """Adds what a token is, where it stands and which text it is of, normalised."""
        graph = self.graph
        length = graph.add("Shape", "input_ids", start=1, end=2)
        length = graph.add("Reshape", length, graph.sizes())
        zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
        positions = graph.add("Range", zero, length, one)
        x = self.gather("word", "input_ids")
        x = graph.add("Add", x, self.gather("token_type", "token_type_ids"))
        x = graph.add("Add", x, self.gather("position", positions))
        return self.norm(x, "embeddings.LayerNorm")

    def layer(self, x: str, index: int, mask: str, result: str | None) -> str:
        """Adds attention and the feed-forward network of one layer, each with a norm behind."""
        graph, name = self.graph, f"encoder.layer.{index}"
        heads = {"q_num_heads": self.shape.heads, "kv_num_heads": self.shape.heads}
        query, key, value = (
            self.linear(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value")
        )
        y = self.linear(
            graph.add("Attention", query, key, value, mask, **heads),
            f"{name}.attention.output.dense",
        )
        x = self.norm(graph.add("Add", x, y), f"{name}.attention.output.LayerNorm")
        y = graph.add("Gelu", self.linear(x, f"{name}.intermediate.dense"))
        y = self.linear(y, f"{name}.output.dense")
        return self.norm(graph.add("Add", x, y), f"{name}.output.LayerNorm", result)

    def mask(self) -> str:
        """Adds what a score is raised by: 0 for a token, much less for padding.

        `Attention` wants a row per query: `[batch, 1, sequence, sequence]`.
        """
        graph = self.graph
        real = graph.add("Cast", "attention_mask", to=TensorProto.BOOL)
        real = graph.add("Unsqueeze", real, graph.sizes(1, 2))
        free, masked = graph.constant(0.0, np.float32), graph.constant(MASKED, np.float32)
        row = graph.add("Where", real, free, masked)
        length = graph.add("Shape", "input_ids", start=1, end=2)
        sizes = graph.add("Concat", graph.sizes(1, 1), length, graph.sizes(1), axis=0)
        return graph.add("Expand", row, sizes)

    def gather(self, kind: str, ids: str) -> str:
        """Looks up one of the three embeddings."""
        name = f"embeddings.{kind}_embeddings.weight"
        return self.graph.add("Gather", self.weight(name), ids)

    def norm(self, x: str, name: str, result: str | None = None) -> str:
        """Adds a layer norm."""
        return self.graph.add(
            "LayerNormalization",
            x,
            self.weight(f"{name}.weight"),
            self.weight(f"{name}.bias"),
            result=result,
            axis=-1,
            epsilon=self.shape.norm_epsilon,
        )

    def linear(self, x: str, name: str) -> str:
        """Adds a product with a weight, which ONNX stores with its inputs first, and its bias."""
        values = self.values[f"{name}.weight"].astype(np.float32)
        weight = self.graph.weight(f"{name}.MatMul.weight", values.T)
        product = self.graph.add("MatMul", x, weight)
        return self.graph.add("Add", product, self.weight(f"{name}.bias"))

    def weight(self, name: str) -> str:
        """Adds a weight as it is stored."""
        return self.graph.weight(name, self.values[name].astype(np.float32))


def main() -> None:
    """Parses the command line and writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="folder with config.json and *.safetensors")
    parser.add_argument("out", type=Path, help="folder to write")
    args = parser.parse_args()

    shape = Bert.from_config(load_config(args.source))
    graph = Encoder(shape, load_weights(args.source)).build()
    ignore = shutil.ignore_patterns(*WEIGHT_FILES)
    shutil.copytree(args.source, args.out, ignore=ignore, dirs_exist_ok=True)
    graph.save(args.out / "model.onnx")
    print(f"{args.out}: {(args.out / 'model.onnx').stat().st_size} bytes of model.onnx")


if __name__ == "__main__":
    main()

"""A Llama decoder as an ONNX graph, with the inputs and outputs that `optimum` gives an export.

The rows of a batch may differ in length and be padded on either side: the mask says which
positions along the cache hold tokens, and `position_ids` says where each token stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from onnx import TensorProto

from onnx_graph import Graph
from onnx_source import require

ELEMENTS = {"f32": np.float32, "f16": np.float16}
# A score that no softmax lets through. It is finite, so that a padded row stays finite too.
MASKED = {"f32": -1e9, "f16": -65504.0}
# Settings of config.json that change the computation, and the values that this graph computes.
COMPUTED = {
    "model_type": ("llama",),
    "hidden_act": ("silu", None),
    "rope_scaling": (None,),
    "rope_parameters": (None,),
    "attention_bias": (False, None),
    "mlp_bias": (False, None),
}


@dataclass(frozen=True)
class Llama:
    """The sizes of a Llama decoder."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    rope_base: float
    norm_epsilon: float
    tied: bool

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Llama:
        """Reads Hugging Face's config.json; raises `UnsupportedError` for another architecture."""
        require(config, COMPUTED)
        heads = config["num_attention_heads"]
        return cls(
            layers=config["num_hidden_layers"],
            width=config["hidden_size"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_width=config.get("head_dim") or config["hidden_size"] // heads,
            vocabulary=config["vocab_size"],
            rope_base=config.get("rope_theta", 10_000.0),
            norm_epsilon=config["rms_norm_eps"],
            tied=config.get("tie_word_embeddings", False),
        )


@dataclass(frozen=True)
class Step:
    """Values that all layers of a step share."""

    cosines: str
    sines: str
    mask: str


class Decoder:
    """Builds the graph of one decoder."""

    def __init__(
        self, shape: Llama, weights: dict[str, np.ndarray], element: str, *, past: bool
    ) -> None:
        self.shape = shape
        self.values = weights
        self.element = ELEMENTS[element]
        self.masked = MASKED[element]
        self.kind = TensorProto.FLOAT if element == "f32" else TensorProto.FLOAT16
        self.past = past
        self.graph = Graph("decoder")

    def build(self) -> Graph:
        """Returns the graph from token ids to the logits of every position."""
        graph = self.graph
        for name, sizes in (
            ("input_ids", ["batch_size", "sequence_length"]),
            ("attention_mask", ["batch_size", "total_sequence_length"]),
            ("position_ids", ["batch_size", "sequence_length"]),
        ):
            graph.input(name, TensorProto.INT64, sizes)
        logits_sizes = ["batch_size", "sequence_length", self.shape.vocabulary]
        graph.output("logits", self.kind, logits_sizes)

        embedding = self.weight("model.embed_tokens.weight")
        x = graph.add("Gather", embedding, "input_ids")
        cosines, sines = self.rotation()
        step = Step(cosines, sines, self.mask())
        for index in range(self.shape.layers):
            x = self.layer(x, index, step)
        x = self.norm(x, "model.norm")
        if self.shape.tied:
            head = graph.add("Transpose", embedding, perm=[1, 0])
            graph.add("MatMul", x, head, result="logits")
        else:
            self.linear(x, "lm_head", result="logits")
        return graph

    def layer(self, x: str, index: int, step: Step) -> str:
        """Adds attention and the feed-forward network of one layer."""
        name = f"model.layers.{index}"
        attended = self.attention(self.norm(x, f"{name}.input_layernorm"), index, step)
        x = self.graph.add("Add", x, self.linear(attended, f"{name}.self_attn.o_proj"))
        y = self.norm(x, f"{name}.post_attention_layernorm")
        gate = self.linear(y, f"{name}.mlp.gate_proj")
        gate = self.graph.add("Mul", gate, self.graph.add("Sigmoid", gate))
        y = self.graph.add("Mul", gate, self.linear(y, f"{name}.mlp.up_proj"))
        return self.graph.add("Add", x, self.linear(y, f"{name}.mlp.down_proj"))

    def attention(self, x: str, index: int, step: Step) -> str:
        """Adds attention over the cache and the new tokens, `[batch, sequence, heads * width]`."""
        shape, graph = self.shape, self.graph
        name = f"model.layers.{index}.self_attn"
        query = self.rotate(self.linear(x, f"{name}.q_proj"), shape.heads, step)
        key = self.rotate(self.linear(x, f"{name}.k_proj"), shape.kv_heads, step)
        value = self.linear(x, f"{name}.v_proj")
        past, present = [], []
        for part in ("key", "value"):
            present.append(f"present.{index}.{part}")
            graph.output(present[-1], self.kind, self.cache_sizes("total_sequence_length"))
            if self.past:
                sizes = self.cache_sizes("past_sequence_length")
                past.append(graph.input(f"past_key_values.{index}.{part}", self.kind, sizes))
        attended = f"attended_{index}"
        graph.add_many(
            "Attention",
            (query, key, value, step.mask, *past),
            [attended, *present],
            q_num_heads=shape.heads,
            kv_num_heads=shape.kv_heads,
        )
        return attended

    def cache_sizes(self, tokens: str) -> list[str | int]:
        """Returns the sizes of one layer's keys or values."""
        return ["batch_size", self.shape.kv_heads, tokens, self.shape.head_width]

    def rotation(self) -> tuple[str, str]:
        """Adds cosines and sines of every token's angles, `[batch, sequence, head_width / 2]`.

        They are computed in F32 whatever the weights are: F16 cannot tell far positions apart.
        """
        graph = self.graph
        frequencies = graph.constant(self.frequencies(), np.float32)
        positions = graph.add("Cast", "position_ids", to=TensorProto.FLOAT)
        positions = graph.add("Unsqueeze", positions, graph.sizes(2))
        angles = graph.add("Mul", positions, frequencies)
        return self.cast(graph.add("Cos", angles)), self.cast(graph.add("Sin", angles))

    def frequencies(self) -> np.ndarray:
        """Returns `base ** (-2i / head_width)`, in decimals, which round alike on every machine."""
        base, width = Decimal(self.shape.rope_base), self.shape.head_width
        return np.array([float(base ** (Decimal(-i) / width)) for i in range(0, width, 2)])

    def cast(self, x: str) -> str:
        """Brings an F32 value to the element type of the weights."""
        if self.kind == TensorProto.FLOAT:
            return x
        return self.graph.add("Cast", x, to=self.kind)

    def mask(self) -> str:
        """Adds what a score is raised by, `[batch, 1, sequence, total]`: 0, or to be masked.

        A token sees what lies before it along the cache and is no padding.
        """
        graph = self.graph
        total = graph.add("Shape", "attention_mask", start=1, end=2)
        new = graph.add("Shape", "input_ids", start=1, end=2)
        scalar = graph.sizes()
        total = graph.add("Reshape", total, scalar)
        past = graph.add("Sub", total, graph.add("Reshape", new, scalar))
        one = graph.constant(1, np.int64)
        rows = graph.add("Range", past, total, one)
        rows = graph.add("Unsqueeze", rows, graph.sizes(1))
        columns = graph.add("Range", graph.constant(0, np.int64), total, one)
        before = graph.add("LessOrEqual", columns, rows)
        real = graph.add("Unsqueeze", "attention_mask", graph.sizes(1, 2))
        seen = graph.add("And", before, graph.add("Cast", real, to=TensorProto.BOOL))
        free = graph.constant(0.0, self.element)
        return graph.add("Where", seen, free, graph.constant(self.masked, self.element))

    def rotate(self, x: str, heads: int, step: Step) -> str:
        """Turns every head by the angle of its token's position."""
        return self.graph.add("RotaryEmbedding", x, step.cosines, step.sines, num_heads=heads)

    def norm(self, x: str, name: str) -> str:
        """Adds a root-mean-square norm."""
        weight = self.weight(f"{name}.weight")
        epsilon = self.shape.norm_epsilon
        return self.graph.add("RMSNormalization", x, weight, axis=-1, epsilon=epsilon)

    def linear(self, x: str, name: str, result: str | None = None) -> str:
        """Adds a product with a weight, which ONNX stores with its inputs first."""
        values = self.values[f"{name}.weight"].astype(self.element)
        weight = self.graph.weight(f"{name}.MatMul.weight", values.T)
        return self.graph.add("MatMul", x, weight, result=result)

    def weight(self, name: str) -> str:
        """Adds a weight as it is stored."""
        return self.graph.weight(name, self.values[name].astype(self.element))

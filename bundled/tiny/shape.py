"""The architecture of impetus-tiny and where its files lie: the numbers every tool here shares."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
TOKENIZER = ROOT / "tokenizer.json"
CHAT_TEMPLATE = ROOT / "chat_template.jinja"
GGUF = ROOT / "impetus-tiny.gguf"
SAFETENSORS = ROOT / "impetus-tiny-safetensors"
ONNX = ROOT / "impetus-tiny-onnx"
WEIGHTS = SAFETENSORS / "model.safetensors"
EXAMPLES = ROOT / "examples.json"

NAME = "impetus-tiny"
DESCRIPTION = (
    "A test and demo model of 2.6 million parameters; it repeats, counts, calls tools "
    "and answers a few fixed questions."
)
LICENSE = "MIT OR Apache-2.0"


@dataclass(frozen=True)
class Shape:
    """Sizes of a Llama model; every row is a multiple of 256 so that block formats fit."""

    vocabulary: int = 1024
    width: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    head_width: int = 64
    feed_forward: int = 512
    context_tokens: int = 2048
    rope_base: float = 10_000.0
    norm_epsilon: float = 1e-5


SHAPE = Shape()

END_OF_TEXT = "<|endoftext|>"
TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"
FIM_PREFIX = "<|fim_prefix|>"
FIM_SUFFIX = "<|fim_suffix|>"
FIM_MIDDLE = "<|fim_middle|>"
FIM_PAD = "<|fim_pad|>"
SPECIAL_TOKENS = (
    END_OF_TEXT,
    TURN_START,
    TURN_END,
    FIM_PREFIX,
    FIM_SUFFIX,
    FIM_MIDDLE,
    FIM_PAD,
)


def load_vocabulary() -> tuple[dict[str, int], list[str]]:
    """Returns token to id, and the merges as "left right", read from `tokenizer.json`."""
    bpe = json.loads(TOKENIZER.read_text(encoding="utf-8"))["model"]
    merges = [m if isinstance(m, str) else " ".join(m) for m in bpe["merges"]]
    return bpe["vocab"], merges


def read_chat_template() -> str:
    """Returns the chat template without the newline that ends its file."""
    return CHAT_TEMPLATE.read_text(encoding="utf-8").removesuffix("\n")

"""Reads what an ONNX export is made from: config.json and the safetensors files of a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file


class UnsupportedError(ValueError):
    """A graph cannot compute what a config.json asks for."""


def load_config(folder: Path) -> dict[str, Any]:
    """Returns the config.json of a folder."""
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def load_weights(folder: Path) -> dict[str, np.ndarray]:
    """Returns the tensors of all safetensors files in a folder (F32 or F16)."""
    weights: dict[str, np.ndarray] = {}
    for shard in sorted(folder.glob("*.safetensors")):
        weights.update(load_file(shard))
    return weights


def require(config: Mapping[str, Any], computed: Mapping[str, tuple[Any, ...]]) -> None:
    """Raises `UnsupportedError` for a setting with another value than those that are computed."""
    for key, values in computed.items():
        if config.get(key) not in values:
            raise UnsupportedError(
                f"config.json: {key} is {config.get(key)!r}, and the graph computes {values[0]!r}"
            )

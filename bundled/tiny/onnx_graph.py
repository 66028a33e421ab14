"""Writes ONNX graphs node by node: names, constants, weights, and the file or files they end in.

Equal calls give equal bytes: names are counted, nothing depends on the time or the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 23
IR_VERSION = 11
PRODUCER = "impetus"
# Where a weight begins in a data file: at a page, so that a runtime can map it.
ALIGN_BYTES = 4096


class Graph:
    """Nodes in the order they are added; a value is known by its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def input(self, name: str, kind: int, sizes: Sequence[str | int]) -> str:
        """Adds an input of this element type (`TensorProto.…`) and these named or fixed sizes."""
        self.inputs.append(helper.make_tensor_value_info(name, kind, sizes))
        return name

    def output(self, name: str, kind: int, sizes: Sequence[str | int]) -> None:
        """Says that the value of this name is an output."""
        self.outputs.append(helper.make_tensor_value_info(name, kind, sizes))

    def weight(self, name: str, values: np.ndarray) -> str:
        """Adds a tensor of the model under its own name."""
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def constant(self, value: float | list[int] | np.ndarray, kind: type[np.generic]) -> str:
        """Returns the name of a small constant; equal constants are stored once."""
        array = np.array(value, dtype=kind)
        shape = "x".join(map(str, array.shape))
        key = f"{array.dtype.name}[{shape}]{array.tobytes().hex()}"
        if key not in self.constants:
            name = f"constant_{len(self.constants)}"
            self.constants[key] = numpy_helper.from_array(array, name)
        return self.constants[key].name

    def sizes(self, *values: int) -> str:
        """Returns the name of a constant list of sizes or axes."""
        return self.constant(list(values), np.int64)

    def add(
        self, kind: str, *inputs: str, result: str | None = None, **attributes: float | list[int]
    ) -> str:
        """Adds a node with one output, of a given or a counted name, and returns that name."""
        result = result or f"{kind}_{len(self.nodes)}"
        self.add_many(kind, inputs, [result], **attributes)
        return result

    def add_many(
        self,
        kind: str,
        inputs: tuple[str, ...],
        outputs: list[str],
        **attributes: float | list[int],
    ) -> None:
        """Adds a node with any number of outputs; an input that is left out is empty."""
        self.nodes.append(
            helper.make_node(kind, inputs, outputs, f"node_{len(self.nodes)}", **attributes)
        )

    def save(self, path: Path, *, external: bool = False) -> None:
        """Writes the model, its weights inside or, if external, beside it in `NAME.data`."""
        if external:
            move_out(self.weights, path.with_name(path.name + ".data"))
        initializers = [*self.constants.values(), *self.weights]
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, initializers)
        model = helper.make_model(
            graph,
            producer_name=PRODUCER,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        path.write_bytes(model.SerializeToString(deterministic=True))
        onnx.checker.check_model(str(path))


def move_out(weights: list[onnx.TensorProto], path: Path) -> None:
    """Moves the values of all weights into one file and leaves where they lie there."""
    with path.open("wb") as file:
        for weight in weights:
            file.write(bytes(-file.tell() % ALIGN_BYTES))
            place = {
                "location": path.name,
                "offset": str(file.tell()),
                "length": str(len(weight.raw_data)),
            }
            file.write(weight.raw_data)
            weight.ClearField("raw_data")
            weight.data_location = TensorProto.EXTERNAL
            for key, value in place.items():
                weight.external_data.add(key=key, value=value)

#!/usr/bin/env python3
"""Writes impetus-tiny in all three formats, or checks that the committed files are a fresh export.

There is one set of weights: impetus-tiny-safetensors/model.safetensors (F32, Hugging Face names).
No output depends on the time, the machine or the versions of the packages used, so exporting
again gives the same bytes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

import shape
from gguf_export import write_gguf
from hugging_face_export import write_hugging_face
from onnx_export import write_onnx

# Every file in these folders is written here, and so is this one file.
OUTPUTS = (shape.GGUF.name, shape.SAFETENSORS.name, shape.ONNX.name)


def main() -> int:
    """Parses the command line; returns 1 if a check finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=shape.WEIGHTS, help="source weights")
    parser.add_argument("--out", type=Path, default=shape.ROOT, help="folder to write into")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; compare what is in the folder"
    )
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        fresh = Path(temporary)
        write_all(load_file(args.weights), fresh)
        if args.check:
            return report(differences(fresh, args.out))
        shutil.copytree(fresh, args.out, dirs_exist_ok=True)
    print(f"{args.out}: {', '.join(OUTPUTS)}")
    return 0


def write_all(weights: dict[str, np.ndarray], folder: Path) -> None:
    """Writes the GGUF file, the Hugging Face folder and the ONNX folder."""
    gguf, safetensors, onnx = (folder / name for name in OUTPUTS)
    write_gguf(weights, gguf)
    write_hugging_face(weights, safetensors)
    write_onnx(safetensors, onnx)


def differences(fresh: Path, committed: Path) -> list[str]:
    """Returns a sentence per file that is not the same in both folders."""
    found = []
    for name in sorted(files(fresh) | files(committed)):
        if not (committed / name).exists():
            found.append(f"{name} is missing")
        elif not (fresh / name).exists():
            found.append(f"{name} is written by no exporter")
        else:
            place = first_difference((fresh / name).read_bytes(), (committed / name).read_bytes())
            if place is not None:
                found.append(f"{name} differs from a fresh export from byte {place} on")
    return found


def files(folder: Path) -> set[str]:
    """Returns the relative paths of all files of the three formats."""
    paths = [path for name in OUTPUTS for path in [folder / name, *(folder / name).rglob("*")]]
    return {path.relative_to(folder).as_posix() for path in paths if path.is_file()}


def first_difference(left: bytes, right: bytes) -> int | None:
    """Returns the first offset at which two files differ, or nothing."""
    if left == right:
        return None
    pairs = enumerate(zip(left, right))  # noqa: B905 - the lengths may differ
    return next((place for place, (a, b) in pairs if a != b), min(len(left), len(right)))


def report(found: list[str]) -> int:
    """Says what a check found; returns the exit status."""
    for line in found:
        print(f"export.py: {line}", file=sys.stderr)
    if found:
        print(
            "export.py: write the files anew with export.py, without --check, and commit them",
            file=sys.stderr,
        )
        return 1
    print(f"a fresh export equals the committed {', '.join(OUTPUTS)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

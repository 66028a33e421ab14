#!/usr/bin/env python3
"""Averages two sets of weights: what a leg taught, and most of what it made the model forget."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file


def main() -> None:
    """Parses the command line and writes the average."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="weights the leg started from")
    parser.add_argument("--after", type=Path, required=True, help="weights the leg ended with")
    parser.add_argument("--share", type=float, default=0.8, help="share of the later weights")
    parser.add_argument("--out", type=Path, required=True, help="weights to write (safetensors)")
    args = parser.parse_args()
    before, after = load_file(args.before), load_file(args.after)
    mixed = {
        name: ((1 - args.share) * before[name] + args.share * after[name]).astype(np.float32)
        for name in before
    }
    save_file(mixed, args.out, metadata={"format": "pt"})


if __name__ == "__main__":
    main()

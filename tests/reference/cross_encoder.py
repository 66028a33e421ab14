#!/usr/bin/env python3
"""Writes small cross-encoders with random weights, and what `transformers` computes with them.

One folder for each family, as Hugging Face lays them out, with `logits.json` beside the weights:
pairs of texts with their token ids, the number of tokens of the first segment, and the logit. For
two families there is an export to ONNX in a folder of its own. Needs torch, transformers,
tokenizers, safetensors and, for the exports, onnx.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedTokenizerFast

WORDS = (
    "a an and are at be by does drink eat fish fox how in is it moon not of on rain "
    "run sea sun the to what who why"
).split()
SIZES = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "cls_token_id": 0,
    "bos_token_id": 0,
    "pad_token_id": 1,
    "sep_token_id": 2,
    "eos_token_id": 2,
}
# What a family's config.json has besides the sizes.
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": {},
    "xlm-roberta": {"type_vocab_size": 1, "max_position_embeddings": 42},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24},
    "mpnet": {"max_position_embeddings": 42},
    "modernbert": {
        "local_attention": 6,
        "global_attn_every_n_layers": 2,
        "classifier_pooling": "mean",
    },
}
# Those that are exported to ONNX too.
EXPORTED = ("bert", "xlm-roberta")
# Families whose tokenizers join texts as RoBERTa's does.
JOINED = ("xlm-roberta", "mpnet")
PAIRS = [
    ("what does the fox eat", "the fox is at sea and it does eat fish"),
    ("what does the fox eat", "rain"),
    ("what does the fox eat", ""),
    ("who", "the sun and the moon are not in the sea"),
    (
        "why is it rain",
        "it is rain by the sea to drink at the moon and not to run on the sun of an unknown",
    ),
]


def tokenizer(family: str) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words, with the family's special tokens."""
    joined = family in JOINED
    special = ["<s>", "<pad>", "</s>", "<unk>"] if joined else ["[CLS]", "[PAD]", "[SEP]", "[UNK]"]
    first, padding, last, unknown = special
    vocabulary = {word: idx for idx, word in enumerate(special + WORDS)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    pair = f"{first} $A {last} {last} $B {last}" if joined else f"{first} $A {last} $B:1 {last}:1"
    made.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", pair=pair, special_tokens=[(first, 0), (last, 2)]
    )
    names = ["input_ids", "attention_mask"] + (["token_type_ids"] if family == "bert" else [])
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        cls_token=first,
        pad_token=padding,
        sep_token=last,
        unk_token=unknown,
        model_input_names=names,
        model_max_length=40,
    )


def model(family: str, settings: dict[str, Any]) -> torch.nn.Module:
    """A model whose weights are large enough for logits to differ."""
    torch.manual_seed(sum(family.encode()))
    config = AutoConfig.for_model(
        family, **{**SIZES, **settings}, num_labels=1, attn_implementation="eager"
    )
    made = AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            is_norm = "norm" in name.lower() and name.endswith("weight")
            weight.copy_(torch.randn_like(weight) * 0.35 + (1.0 if is_norm else 0.0))
    return made


def write(family: str, target: Path) -> None:
    """Writes the folder of one family, and its export."""
    target.mkdir(parents=True, exist_ok=True)
    tokens, made = tokenizer(family), model(family, FAMILIES[family])
    made.save_pretrained(target)
    tokens.save_pretrained(target)
    cases = []
    for query, document in PAIRS:
        inputs = tokens([query], [document], return_tensors="pt")
        with torch.no_grad():
            logit = made(**inputs).logits[0, 0].item()
        segments = inputs.get("token_type_ids", torch.zeros_like(inputs["input_ids"]))[0].tolist()
        ids = inputs["input_ids"][0].tolist()
        first = segments.index(1) if 1 in segments else len(ids)
        cases.append(
            {
                "query": query,
                "document": document,
                "tokens": ids,
                "first_tokens": first,
                "logit": logit,
            }
        )
    (target / "logits.json").write_text(json.dumps({"cases": cases}, indent=1) + "\n")
    if family in EXPORTED:
        export(made, tokens, target)


def export(made: torch.nn.Module, tokens: PreTrainedTokenizerFast, source: Path) -> None:
    """Writes the ONNX export beside the folder `source`."""
    target = source.with_name(f"{source.name}-onnx")
    (target / "onnx").mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.suffix == ".json":
            shutil.copy(file, target / file.name)
    queries, documents = zip(*PAIRS[:2], strict=True)
    joined = tokens(list(queries), list(documents), padding=True, return_tensors="pt")
    # The exporter names inputs in the order of the model's own arguments.
    order = ("input_ids", "attention_mask", "token_type_ids")
    inputs = {name: joined[name] for name in order if name in joined}
    axes = {name: {0: "batch_size", 1: "sequence_length"} for name in inputs}
    torch.onnx.export(
        made,
        (inputs,),
        str(target / "onnx" / "model.onnx"),
        input_names=list(inputs),
        output_names=["logits"],
        dynamic_axes={**axes, "logits": {0: "batch_size"}},
        opset_version=17,
        dynamo=False,
    )


def main() -> int:
    """Writes all folders below the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path, help="the folder to write to")
    target = parser.parse_args().target
    for family in FAMILIES:
        write(family, target / family)
    return 0


if __name__ == "__main__":
    sys.exit(main())

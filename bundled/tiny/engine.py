"""Greedy generation through llama.cpp, and the chat template as a client's request meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jinja2
import xllamacpp

import shape


class Answer(NamedTuple):
    """What the model said, and whether it ended by itself."""

    text: str
    stopped: bool


class Engine:
    """One GGUF model on one thread."""

    def __init__(self, path: Path) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx = shape.SHAPE.context_tokens
        params.n_parallel = 1
        params.cpuparams.n_threads = 1
        params.cpuparams_batch.n_threads = 1
        params.warmup = False
        params.verbosity = 0
        self.server = xllamacpp.Server(params)

    def complete(self, prompt: str, limit_tokens: int) -> Answer:
        """Returns the most likely continuation, token by token."""
        request = {
            "prompt": prompt,
            "n_predict": limit_tokens,
            "temperature": 0.0,
            "top_k": 1,
            "cache_prompt": False,
            "stream": False,
        }
        reply = self.server.handle_completions(request)
        reply = json.loads(reply) if isinstance(reply, str) else reply
        choice = reply["choices"][0]
        return Answer(choice["text"], choice["finish_reason"] == "stop")


def chat_template(*, compact: bool = False, sort_keys: bool = False) -> Callable[..., str]:
    """Returns the chat template; JSON is written the way the server at hand would write it."""
    separators = (",", ":") if compact else None

    def tojson(value: object) -> str:
        return json.dumps(value, ensure_ascii=False, separators=separators, sort_keys=sort_keys)

    environment = jinja2.Environment(autoescape=False)
    environment.filters["tojson"] = tojson
    return environment.from_string(shape.read_chat_template()).render

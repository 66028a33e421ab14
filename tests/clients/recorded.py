#!/usr/bin/env python3
"""Sends requests that real clients sent once, as they stand but for the model's name and the length of the answer, and
reads each answer with the types of OpenAI's own client, which are made from the published API, or with those that Ollama's
own client has for its API.

    PYTHONPATH=.tools/clients tests/clients/recorded.py URL FOLDER

FOLDER has the recordings, a file of JSON lines for each client; `tools/setup clients` fetches OpenAI's client. The
server needs `impetus-tiny` with a context of 32,768 tokens or more, and an embedding model that is called `minilm`.
Prints a line for each request that is not answered as it should be, then the number of those that are."""

import base64
import datetime
import functools
import json
import pathlib
import struct
import sys
from typing import Any, Literal, Optional

import httpx
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, ByteSize, TypeAdapter

MODEL, EMBEDDING_MODEL = "impetus-tiny", "minilm"
# By path: the type of a whole answer, that of a streamed event, and the field that limits the answer.
KNOWN = {
    "/v1/chat/completions": (ChatCompletion, ChatCompletionChunk, "max_tokens"),
    "/v1/completions": (Completion, Completion, "max_tokens"),
    "/v1/responses": (Response, ResponseStreamEvent, "max_output_tokens"),
    "/v1/embeddings": (CreateEmbeddingResponse, None, None),
}
LIMIT = 24
PICTURES = ("image_url", "input_image")


class OllamaCall(BaseModel):
    class Function(BaseModel):
        name: str
        arguments: dict[str, Any]

    function: Function


class OllamaMessage(BaseModel):
    role: Literal["assistant"]
    content: str
    thinking: Optional[str] = None
    tool_calls: Optional[list[OllamaCall]] = None


class OllamaAnswer(BaseModel):
    model: str
    created_at: datetime.datetime
    done: bool
    done_reason: Optional[Literal["stop", "length", "load", "unload"]] = None
    total_duration: Optional[int] = None
    load_duration: Optional[int] = None
    prompt_eval_count: Optional[int] = None
    prompt_eval_duration: Optional[int] = None
    eval_count: Optional[int] = None
    eval_duration: Optional[int] = None


class OllamaChat(OllamaAnswer):
    message: OllamaMessage


class OllamaGenerate(OllamaAnswer):
    response: str


class OllamaEmbed(BaseModel):
    model: str
    embeddings: list[list[float]]
    total_duration: int
    prompt_eval_count: int


class OllamaEmbedding(BaseModel):
    embedding: list[float]


class OllamaDetails(BaseModel):
    parent_model: str
    format: str
    family: str
    families: list[str]
    parameter_size: str
    quantization_level: str


class OllamaTags(BaseModel):
    class Model(BaseModel):
        name: str
        model: str
        modified_at: datetime.datetime
        size: ByteSize
        digest: str
        details: OllamaDetails

    models: list[Model]


class OllamaRunning(BaseModel):
    class Model(BaseModel):
        name: str
        model: str
        size: ByteSize
        size_vram: ByteSize
        digest: str
        details: OllamaDetails
        expires_at: datetime.datetime
        context_length: int

    models: list[Model]


class OllamaShown(BaseModel):
    modelfile: str
    parameters: str
    template: str
    details: OllamaDetails
    model_info: dict[str, Any]
    capabilities: list[str]
    modified_at: datetime.datetime


class OllamaVersion(BaseModel):
    version: str


# By path: the type of an answer, and the model that it is asked of.
OLLAMA = {
    "/api/chat": (OllamaChat, MODEL),
    "/api/generate": (OllamaGenerate, MODEL),
    "/api/show": (OllamaShown, MODEL),
    "/api/embed": (OllamaEmbed, EMBEDDING_MODEL),
    "/api/embeddings": (OllamaEmbedding, EMBEDDING_MODEL),
    "/api/tags": (OllamaTags, None),
    "/api/ps": (OllamaRunning, None),
    "/api/version": (OllamaVersion, None),
}


def recorded(folder):
    """The requests of all clients to the paths that are known here."""
    for file in sorted(pathlib.Path(folder).glob("*.jsonl")):
        # A recording has the schemas of a client's tools once, and words in their place afterwards.
        tools = []
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            request = json.loads(line)
            path = request["path"].split("?")[0]
            body = request["body"]
            if request["method"] == "POST" and path in KNOWN and isinstance(body, dict):
                if isinstance(body.get("tools"), str):
                    body["tools"] = tools
                tools = body.get("tools", tools)
                yield f"{file.stem}:{number}", path, body
            elif path in OLLAMA:
                yield f"{file.stem}:{number}", path, body


def events(text):
    """The data of a stream; fails unless it ends as streams of the API do."""
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    ended = data[-1] == "[DONE]" or json.loads(data[-1]).get("type") in (
        "response.completed",
        "response.incomplete",
    )
    assert ended, f"the stream ends with {data[-1][:200]}"
    return [json.loads(line) for line in data if line != "[DONE]"]


def has_pictures(body):
    """Whether a message of the request has a picture among its parts."""
    messages = body.get("messages") or body.get("input") or []
    parts = [message.get("content") for message in messages if isinstance(message, dict)]
    return any(part.get("type") in PICTURES for listed in parts if isinstance(listed, list) for part in listed)


# Making one takes longer than using it.
adapter = functools.cache(TypeAdapter)


def strictly(kind, value):
    """Reads `value` as `kind`, whose fields have to be there and to be of their types."""
    adapter(kind).validate_python(value)


def check_ollama(client, path, body):
    kind, model = OLLAMA[path]
    if model is None:
        answer = client.get(path)
    else:
        body["name" if "name" in body else "model"] = model
        if model == MODEL and path != "/api/show":
            body["options"] = (body.get("options") or {}) | {"num_predict": LIMIT}
        answer = client.post(path, json=body)
    assert answer.status_code == 200, f"{answer.status_code} {answer.text[:300]}"
    if path not in ("/api/chat", "/api/generate") or not body.get("stream", True):
        strictly(kind, answer.json())
        return
    lines = [json.loads(line) for line in answer.text.splitlines()]
    for line in lines:
        strictly(kind, line)
    done = [line["done"] for line in lines]
    assert done.index(True) == len(done) - 1, f"the stream ends with {lines[-1]}"
    assert lines[-1]["done_reason"] in ("stop", "length") and lines[-1]["eval_count"] > 0, lines[-1]


def check(client, path, body):
    if path in OLLAMA:
        check_ollama(client, path, body)
        return
    whole, streamed, limit = KNOWN[path]
    body["model"] = MODEL if limit else EMBEDDING_MODEL
    if limit:
        body.pop("max_completion_tokens", None)
        body[limit] = min(body.get(limit) or LIMIT, LIMIT)
    answer = client.post(path, json=body)
    if has_pictures(body):
        assert answer.status_code == 400 and "image" in answer.text, f"{answer.status_code} {answer.text[:300]}"
        return
    assert answer.status_code == 200, f"{answer.status_code} {answer.text[:300]}"
    if body.get("stream"):
        for event in events(answer.text):
            if streamed is Completion:
                # The type is that of a whole answer; in a stream the reason comes with the last event.
                for choice in event["choices"]:
                    choice["finish_reason"] = choice["finish_reason"] or "stop"
            strictly(streamed, event)
        return
    value = answer.json()
    if body.get("encoding_format") == "base64":
        # The types are of what the client makes of it: little-endian floats of 32 bits.
        for item in value["data"]:
            data = base64.b64decode(item["embedding"], validate=True)
            item["embedding"] = list(struct.unpack(f"<{len(data) // 4}f", data))
    strictly(whole, value)


def main():
    url, folder = sys.argv[1:3]
    n_answered = 0
    with httpx.Client(base_url=url, timeout=120) as client:
        for name, path, body in recorded(folder):
            try:
                check(client, path, body)
                n_answered += 1
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it is told, and the next one tried
                print(f"{name} {path}: {type(error).__name__}: {error}"[:600])
    print(n_answered)


main()

"""What the official Python client of OpenAI does with this server. Run by tests/tests/openai_python.rs with the
server's base URL; ends with an exit code that is not 0 when something is not as the client has it."""

import sys

import openai

MODEL = "impetus-tiny"
COUNT = [{"role": "user", "content": "count from 1 to 20"}]
COUNTED = ", ".join(str(n) for n in range(1, 21))


def check(what, found, expected):
    if found != expected:
        raise SystemExit(f"{what}: expected {expected!r}, found {found!r}")


def refused(kind, call):
    """The error of this kind that the call ends in."""
    try:
        call()
    except kind as error:
        return error
    raise SystemExit(f"no {kind.__name__} was raised")


def lists(client):
    check("models", [model.id for model in client.models.list()], [MODEL])
    check("model", client.models.retrieve(MODEL).owned_by, "impetus")


def chats(client):
    answer = client.chat.completions.create(model=MODEL, messages=COUNT, temperature=0)
    check("content", answer.choices[0].message.content, COUNTED)
    check("role", answer.choices[0].message.role, "assistant")
    check("finish_reason", answer.choices[0].finish_reason, "stop")
    check("usage", answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)
    check("object", (answer.object, answer.model), ("chat.completion", MODEL))
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=COUNT, temperature=0, extra_headers={"x-request-id": "from-python"}
    )
    check("request id", raw.headers["x-request-id"], "from-python")


def streams(client):
    stream = client.chat.completions.create(
        model=MODEL, messages=COUNT, temperature=0, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    check("usage", [chunk.usage is not None for chunk in chunks], [False] * (len(chunks) - 1) + [True])
    choices = [chunk.choices[0] for chunk in chunks[:-1]]
    check("text", "".join(choice.delta.content or "" for choice in choices), COUNTED)
    check("finish_reason", choices[-1].finish_reason, "stop")
    # The client's own folding of a stream.
    with client.chat.completions.stream(model=MODEL, messages=COUNT, temperature=0) as stream:
        check("folded", stream.get_final_completion().choices[0].message.content, COUNTED)


def leaves(client):
    """A client that closes a stream leaves a server that serves the next one."""
    stream = client.chat.completions.create(
        model=MODEL, messages=COUNT, temperature=0, stream=True, extra_body={"ignore_eos": True}
    )
    next(stream)
    stream.close()
    streams(client)


def completes(client):
    answer = client.completions.create(model=MODEL, prompt="Once upon a time", max_tokens=8, temperature=0)
    check("finish_reason", answer.choices[0].finish_reason, "length")
    stream = client.completions.create(
        model=MODEL, prompt="Once upon a time", max_tokens=8, temperature=0, stream=True
    )
    check("text", "".join(chunk.choices[0].text for chunk in stream), answer.choices[0].text)


def errs(client):
    def create(**arguments):
        return client.chat.completions.create(**{"model": MODEL, "messages": COUNT, **arguments})

    error = refused(openai.NotFoundError, lambda: create(model="nobody"))
    check("unknown model", (error.code, error.param), ("model_not_found", "model"))
    error = refused(openai.BadRequestError, lambda: create(temperature=9))
    check("value", (error.code, error.param, error.type), ("invalid_value", "temperature", "invalid_request_error"))
    error = refused(openai.BadRequestError, lambda: create(store=True))
    check("parameter", (error.code, error.param), ("unsupported_parameter", "store"))
    long = [{"role": "user", "content": "again " * 2100}]
    error = refused(openai.BadRequestError, lambda: create(messages=long, stream=True))
    check("length", error.code, "context_length_exceeded")
    if not error.request_id:
        raise SystemExit("the error has no request id")


def main():
    client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0, timeout=30)
    for part in (lists, chats, streams, leaves, completes, errs):
        part(client)
        print(part.__name__)


main()

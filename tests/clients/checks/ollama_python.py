"""Ollama's own Python client: chats and prompts, tools there and back, schemas, what is listed and shown."""

import json

import ollama
from common import COUNT, COUNTED, MODEL, URL, WEATHER, NoCall, need, tell

client = ollama.Client(host=URL.removesuffix("/v1"))
ask = [{"role": "user", "content": COUNT}]
ask_weather = [{"role": "user", "content": WEATHER}]
greedy = {"temperature": 0}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


def get_weather(city: str) -> str:
    """Get the current weather of a city.

    Args:
      city: The name of the city.
    """
    return f'{{"temperature": 18, "condition": "sunny in {city}"}}'


def chat():
    answer = client.chat(model=MODEL, messages=ask, options=greedy)
    need((answer.message.content, answer.done_reason, answer.done), (COUNTED, "stop", True), "answer")
    need(answer.eval_count > 0 and answer.total_duration > 0, True, "counts and times")
    return answer.message.content


def stream():
    parts = list(client.chat(model=MODEL, messages=ask, options=greedy, stream=True))
    need("".join(part.message.content or "" for part in parts), COUNTED, "content")
    need([part.done for part in parts].index(True), len(parts) - 1, "the part that is done")
    return f"{len(parts)} parts"


def tool():
    first = client.chat(model=MODEL, messages=ask_weather, tools=[get_weather], options=greedy)
    if not first.message.tool_calls:
        raise NoCall(first.message.content)
    call = first.message.tool_calls[0].function
    need((call.name, dict(call.arguments)), ("get_weather", {"city": "Paris"}), "call")
    result = {"role": "tool", "tool_name": call.name, "content": get_weather(**call.arguments)}
    messages = [*ask_weather, first.message, result]
    return client.chat(model=MODEL, messages=messages, tools=[get_weather], options=greedy).message.content


def tool_stream():
    parts = client.chat(model=MODEL, messages=ask_weather, tools=[get_weather], options=greedy, stream=True)
    calls = [call for part in parts for call in part.message.tool_calls or []]
    need([dict(call.function.arguments) for call in calls], [{"city": "Paris"}], "calls")
    return calls[0].function.name


def structured():
    question = [{"role": "user", "content": "Give me a person named Ada aged 36 as JSON."}]
    answer = client.chat(model=MODEL, messages=question, format=PERSON, options=greedy)
    need(json.loads(answer.message.content), {"name": "Ada", "age": 36}, "content")
    return answer.message.content


def generate():
    answer = client.generate(model=MODEL, prompt=COUNT, options=greedy, keep_alive="5m")
    need(answer.response, COUNTED, "response")
    parts = client.generate(model=MODEL, prompt=COUNT, options=greedy, stream=True)
    need("".join(part.response for part in parts), COUNTED, "stream")
    raw = client.generate(model=MODEL, prompt="1, 2, 3, 4,", raw=True, options={**greedy, "num_predict": 8})
    need((raw.done_reason, raw.eval_count), ("length", 8), "raw")
    return answer.response


def models():
    need(MODEL in " ".join(model.model for model in client.list().models), True, "listed")
    shown = client.show(MODEL)
    need("completion" in shown.capabilities and "tools" in shown.capabilities, True, "capabilities")
    need(MODEL in " ".join(model.model for model in client.ps().models), True, "running")
    return ", ".join(shown.capabilities)


def refused():
    try:
        client.chat(model="nobody-has-this", messages=ask)
    except ollama.ResponseError as error:
        need(error.status_code, 404, "status")
        return error.error
    raise AssertionError("a model that is not there answers")


tell(
    chat=chat,
    stream=stream,
    tool=tool,
    tool_stream=tool_stream,
    structured=structured,
    generate=generate,
    models=models,
    refused=refused,
)

"""Anthropic's Python client: messages whole and streamed, tools there and back, what is counted."""

import anthropic
from common import COUNT, COUNTED, MODEL, PARAMETERS, URL, WEATHER, NoCall, need, tell

client = anthropic.Anthropic(base_url=URL.removesuffix("/v1"), api_key="none", timeout=60, max_retries=0)
ask = [{"role": "user", "content": COUNT}]
ask_weather = [{"role": "user", "content": WEATHER}]
# The client has no temperature of its own any more.
greedy = {"model": MODEL, "max_tokens": 200, "extra_body": {"temperature": 0}}
TOOL = {"name": "get_weather", "description": "Get the current weather of a city.", "input_schema": PARAMETERS}


def called(message):
    """The call in a message that has nothing else to say."""
    calls = [block for block in message.content if block.type == "tool_use"]
    if not calls:
        raise NoCall(message.content[0].text)
    need((message.stop_reason, calls[0].input), ("tool_use", {"city": "Paris"}), "call")
    return calls[0]


def chat():
    answer = client.messages.create(messages=ask, **greedy)
    need((answer.content[0].text, answer.stop_reason, answer.role), (COUNTED, "end_turn", "assistant"), "answer")
    need(answer.usage.output_tokens > 0 and answer.usage.input_tokens > 0, True, "usage")
    return answer.content[0].text


def stream():
    with client.messages.stream(messages=ask, **greedy) as events:
        text = "".join(events.text_stream)
        message = events.get_final_message()
    need((text, message.content[0].text, message.stop_reason), (COUNTED, COUNTED, "end_turn"), "stream")
    return f"{message.usage.output_tokens} tokens"


def tool():
    first = client.messages.create(messages=ask_weather, tools=[TOOL], **greedy)
    call = called(first)
    result = {"type": "tool_result", "tool_use_id": call.id, "content": '{"temperature": 18, "condition": "sunny"}'}
    said = {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]}
    messages = [*ask_weather, said, {"role": "user", "content": [result]}]
    return client.messages.create(messages=messages, tools=[TOOL], **greedy).content[0].text


def tool_stream():
    with client.messages.stream(messages=ask_weather, tools=[TOOL], **greedy) as events:
        message = events.get_final_message()
    return called(message).name


def forced():
    for choice in ({"type": "any"}, {"type": "tool", "name": "get_weather"}):
        answer = client.messages.create(messages=ask, tools=[TOOL], tool_choice=choice, **greedy)
        need([block.name for block in answer.content if block.type == "tool_use"], ["get_weather"], "call")
    return "any, tool"


def cached():
    block = {"type": "text", "text": "Be brief. " * 40, "cache_control": {"type": "ephemeral"}}
    for _ in range(2):
        answer = client.messages.create(messages=ask, system=[block], **greedy)
    need(answer.usage.cache_read_input_tokens > 0, True, "cached tokens")
    return f"{answer.usage.cache_read_input_tokens} tokens from the cache"


def count():
    counted = client.messages.count_tokens(model=MODEL, messages=ask).input_tokens
    answer = client.messages.create(messages=ask, **greedy)
    usage = answer.usage
    need(usage.input_tokens + (usage.cache_read_input_tokens or 0), counted, "tokens")
    return f"{counted} tokens"


def refused():
    try:
        client.messages.create(model="nobody-has-this", max_tokens=8, messages=ask)
    except anthropic.NotFoundError as error:
        need(error.body["error"]["type"], "not_found_error", "type")
        return error.body["error"]["message"]
    raise AssertionError("a model that is not there answers")


tell(
    chat=chat,
    stream=stream,
    tool=tool,
    tool_stream=tool_stream,
    forced=forced,
    cached=cached,
    count=count,
    refused=refused,
)

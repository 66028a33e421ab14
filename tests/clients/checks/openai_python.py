"""The official Python client: both completion endpoints, tools there and back, structured output, Responses."""

import json

import openai
from common import COUNT, COUNTED, MODEL, TOOL, URL, WEATHER, NoCall, need, tell
from pydantic import BaseModel

client = openai.OpenAI(base_url=URL, api_key="none", timeout=60, max_retries=0)
ask = [{"role": "user", "content": COUNT}]
ask_weather = [{"role": "user", "content": WEATHER}]


class Person(BaseModel):
    name: str
    age: int


def chat():
    answer = client.chat.completions.create(model=MODEL, messages=ask, temperature=0)
    need(answer.choices[0].message.content, COUNTED, "content")
    need(answer.choices[0].finish_reason, "stop", "finish_reason")
    return answer.choices[0].message.content


def stream():
    options = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(model=MODEL, messages=ask, temperature=0, stream=True, stream_options=options)
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    need(text, COUNTED, "content")
    need(bool(chunks[-1].usage), True, "usage in the last chunk")
    return text


def tool():
    first = client.chat.completions.create(model=MODEL, messages=ask_weather, tools=[TOOL], temperature=0).choices[0]
    if not first.message.tool_calls:
        raise NoCall(first.message.content)
    need(first.finish_reason, "tool_calls", "finish_reason")
    call = first.message.tool_calls[0]
    need(json.loads(call.function.arguments), {"city": "Paris"}, "arguments")
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"temperature": 18, "condition": "sunny"}'}
    messages = [*ask_weather, first.message.model_dump(exclude_none=True), result]
    last = client.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL], temperature=0)
    return last.choices[0].message.content


def tool_stream():
    with client.chat.completions.stream(model=MODEL, messages=ask_weather, tools=[TOOL], temperature=0) as events:
        for _ in events:
            pass
        choice = events.get_final_completion().choices[0]
    need(choice.finish_reason, "tool_calls", "finish_reason")
    return choice.message.tool_calls[0].function.arguments


def forced():
    for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
        answer = client.chat.completions.create(model=MODEL, messages=ask, tools=[TOOL], tool_choice=choice)
        need(answer.choices[0].message.tool_calls[0].function.name, "get_weather", "name")
        json.loads(answer.choices[0].message.tool_calls[0].function.arguments)
    return "required, named"


def structured():
    question = [{"role": "user", "content": "Give me a person named Ada aged 36 as JSON."}]
    answer = client.chat.completions.parse(model=MODEL, messages=question, response_format=Person, temperature=0)
    need(answer.choices[0].message.parsed, Person(name="Ada", age=36), "parsed")
    return answer.choices[0].message.content


def logprobs():
    answer = client.chat.completions.create(model=MODEL, messages=ask, temperature=0, logprobs=True, top_logprobs=3)
    content = answer.choices[0].logprobs.content
    need({len(token.top_logprobs) for token in content}, {3}, "top_logprobs")
    need("".join(token.token for token in content).startswith(COUNTED), True, "tokens")
    return f"{len(content)} tokens"


def completions():
    answer = client.completions.create(model=MODEL, prompt="1, 2, 3, 4,", max_tokens=8, temperature=0, logprobs=1)
    need(len(answer.choices[0].logprobs.tokens), 8, "tokens")
    return answer.choices[0].text


def responses():
    answer = client.responses.create(model=MODEL, input=COUNT, temperature=0)
    need((answer.status, answer.output_text), ("completed", COUNTED), "answer")
    follows = client.responses.create(model=MODEL, input=COUNT, temperature=0, previous_response_id=answer.id)
    need(follows.status, "completed", "status")
    return answer.output_text


def responses_stream():
    with client.responses.stream(model=MODEL, input=COUNT, temperature=0) as events:
        types = [event.type for event in events]
        answer = events.get_final_response()
    need((types[0], types[-1]), ("response.created", "response.completed"), "events")
    need(answer.output_text, COUNTED, "text")
    return f"{len(types)} events"


def responses_tool():
    function = {"type": "function", "strict": False, **TOOL["function"]}
    answer = client.responses.create(model=MODEL, input=WEATHER, tools=[function], temperature=0)
    calls = [item for item in answer.output if item.type == "function_call"]
    if not calls:
        raise NoCall(answer.output_text)
    need(json.loads(calls[0].arguments), {"city": "Paris"}, "arguments")
    return calls[0].arguments


tell(
    chat=chat,
    stream=stream,
    tool=tool,
    tool_stream=tool_stream,
    forced=forced,
    structured=structured,
    logprobs=logprobs,
    completions=completions,
    responses=responses,
    responses_stream=responses_stream,
    responses_tool=responses_tool,
)

"""LiteLLM, speaking to an OpenAI-compatible server."""

import json

import litellm
from common import COUNT, COUNTED, MODEL, TOOL, URL, WEATHER, NoCall, need, tell

litellm.telemetry = False
server = {
    "model": f"openai/{MODEL}",
    "api_base": URL,
    "api_key": "none",
    "timeout": 60,
    "num_retries": 0,
    "temperature": 0,
}


def chat():
    answer = litellm.completion(messages=[{"role": "user", "content": COUNT}], **server)
    need(answer.choices[0].message.content, COUNTED, "content")
    return answer.choices[0].message.content


def stream():
    chunks = litellm.completion(messages=[{"role": "user", "content": COUNT}], stream=True, **server)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    need(text, COUNTED, "content")
    return text


def tool():
    answer = litellm.completion(messages=[{"role": "user", "content": WEATHER}], tools=[TOOL], **server).choices[0]
    if not answer.message.tool_calls:
        raise NoCall(answer.message.content)
    arguments = json.loads(answer.message.tool_calls[0].function.arguments)
    need(arguments, {"city": "Paris"}, "arguments")
    return arguments


def responses():
    answer = litellm.responses(
        input=COUNT, **{key: server[key] for key in ("model", "api_base", "api_key", "temperature")}
    )
    need(answer.status, "completed", "status")
    return answer.output[-1].content[0].text


tell(chat=chat, stream=stream, tool=tool, responses=responses)

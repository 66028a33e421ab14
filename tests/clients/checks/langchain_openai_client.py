"""LangChain's OpenAI chat model."""

from common import COUNT, COUNTED, MODEL, URL, WEATHER, NoCall, need, tell
from langchain_core.tools import tool as as_tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

model = ChatOpenAI(model=MODEL, base_url=URL, api_key="none", timeout=60, max_retries=0, temperature=0)


class Person(BaseModel):
    name: str
    age: int


@as_tool
def get_weather(city: str) -> str:
    """Get the current weather of a city."""
    return "sunny"


def chat():
    answer = model.invoke(COUNT)
    need(answer.content, COUNTED, "content")
    return answer.content


def stream():
    text = "".join(chunk.content for chunk in model.stream(COUNT))
    need(text, COUNTED, "content")
    return text


def tool():
    answer = model.bind_tools([get_weather]).invoke(WEATHER)
    if not answer.tool_calls:
        raise NoCall(answer.content)
    need(answer.tool_calls[0]["args"], {"city": "Paris"}, "arguments")
    return answer.tool_calls[0]["args"]


def structured():
    answer = model.with_structured_output(Person).invoke("Give me a person named Ada aged 36 as JSON.")
    need(answer, Person(name="Ada", age=36), "answer")
    return answer


tell(chat=chat, stream=stream, tool=tool, structured=structured)

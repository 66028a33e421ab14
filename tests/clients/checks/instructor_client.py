"""instructor: answers as values, by tools and by schemas."""

import instructor
from common import COUNT, COUNTED, MODEL, URL, need, tell
from openai import OpenAI
from pydantic import BaseModel

client = OpenAI(base_url=URL, api_key="none", timeout=60, max_retries=0)
ask = [{"role": "user", "content": "Give me a person named Ada aged 36 as JSON."}]


class Person(BaseModel):
    name: str
    age: int


def create(mode, **more):
    maker = instructor.from_openai(client, mode=mode)
    return maker.create(model=MODEL, messages=ask, response_model=Person, max_retries=0, temperature=0, **more)


def chat():
    # Its own client, as a user of instructor has it at hand for texts.
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": COUNT}], temperature=0)
    need(answer.choices[0].message.content, COUNTED, "content")
    return answer.choices[0].message.content


def stream():
    maker = instructor.from_openai(client, mode=instructor.Mode.JSON_SCHEMA)
    partial = maker.create_partial(model=MODEL, messages=ask, response_model=Person, max_retries=0, temperature=0)
    last = list(partial)[-1]
    need((last.name, last.age), ("Ada", 36), "person")
    return last


def tool():
    # The tool is forced; what a model that was not asked for it fills in is its own affair.
    return create(instructor.Mode.TOOLS, max_tokens=128)


def structured():
    person = create(instructor.Mode.JSON_SCHEMA)
    # It is of a class that instructor makes of the one given.
    need((person.name, person.age), ("Ada", 36), "person")
    return person


tell(chat=chat, stream=stream, tool=tool, structured=structured)

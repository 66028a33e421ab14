"""Held-out prompts: the generator's shapes with seeds and names that training never uses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import shape
from data import turns, words
from data.code import hole
from data.facts import GENERAL, SERVER, Fact
from data.memory import Memory
from data.spans import Message
from data.tool_kinds import KINDS, TIME, WEATHER
from data.tool_list import openai_tool
from data.tools import (
    Tool,
    conventional_tool,
    draw_tools,
    made_up_tools,
    tool_turns,
)
from data.turns import Exchange
from data.values import Values


@dataclass(frozen=True)
class Case:
    """A chat (or code around a cursor) and the whole answer that is expected."""

    expected: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    tools: list[dict[str, Any]] = field(default_factory=list)
    prefix: str = ""
    suffix: str = ""

    def prompt(self, render: Callable[..., str]) -> str:
        """Returns the text the model reads; `render` is the chat template."""
        if self.messages:
            return render(messages=self.messages, tools=self.tools, add_generation_prompt=True)
        before, after = shape.FIM_PREFIX + self.prefix, shape.FIM_SUFFIX + self.suffix
        return before + after + shape.FIM_MIDDLE


def behaviours(seed: int, n: int) -> dict[str, list[Case]]:
    """Returns so many cases per behaviour; fixed questions come once for every way to ask."""
    values = Values(seed, held=True)
    draw = values.random

    def times(make: Callable[[], Case]) -> list[Case]:
        return [make() for _ in range(n)]

    def count(first: int, n_numbers: int) -> Case:
        return chat(turns.count(values, first, first + n_numbers - 1))

    return {
        "repeat 1-8 common words": times(lambda: repeat_common(values)),
        "repeat 1-8 random words": times(lambda: chat(turns.repeat(values, draw.randint(1, 8)))),
        "repeat 9-24 random words": times(lambda: chat(turns.repeat(values, draw.randint(9, 24)))),
        "count from 1 to 2..30": times(lambda: count(1, draw.randint(2, 30))),
        "count from 1 to 31..120": times(lambda: count(1, draw.randint(31, 120))),
        "count 2-60 numbers from anywhere": times(
            lambda: count(draw.randint(0, 500), draw.randint(2, 60))
        ),
        "count 61-120 numbers from anywhere": times(
            lambda: count(draw.randint(0, 500), draw.randint(61, 120))
        ),
        "get_weather, one tool": times(lambda: named_tool(values, "get_weather", 1)),
        "get_weather among three tools": times(lambda: named_tool(values, "get_weather", 3)),
        "get_time listed after get_weather": times(lambda: time_after_weather(values)),
        "any of 1-4 well-known tools": times(lambda: named_tool(values, None, draw.randint(1, 4))),
        "1-3 tools with unusual names": times(
            lambda: tool_case(values, draw_tools(values, draw.randint(1, 3)))
        ),
        "4 made-up tools with like names": times(
            lambda: tool_case(values, made_up_tools(values, 4))
        ),
        "answer from a tool's result": times(lambda: tool_result(values)),
        "remember the name": times(lambda: remember_name(values)),
        "remember anything told": times(lambda: remember(values, unknown=0.0)),
        "say what was not told": times(lambda: remember(values, unknown=1.0)),
        "JSON answer": times(lambda: chat(turns.json_answer(values))),
        "fill in the middle": times(lambda: fill(values)),
        "find a secret in 150 words": times(lambda: chat(turns.needle(values, 150))),
        "questions about this server": [c for fact in SERVER for c in ask(fact)],
        "general questions": [c for fact in GENERAL for c in ask(fact)],
    }


def chat(*exchanges: Exchange) -> Case:
    """Returns a chat whose last answer is expected and whose others are given."""
    messages = [message for exchange in exchanges for message in exchange]
    return Case(messages[-1].text, openai_messages(messages[:-1]))


def openai_messages(messages: list[Message]) -> list[dict[str, Any]]:
    """Returns messages as a client of the OpenAI API sends them."""
    return [{"role": message.role, "content": message.text} for message in messages]


def repeat_common(values: Values) -> Case:
    """Returns a request to repeat dictionary words."""
    text = " ".join(values.pick(words.COMMON) for _ in range(values.random.randint(1, 8)))
    question = values.pick(turns.REPEAT).format(text)
    return Case(text, [{"role": "user", "content": question}])


def ask(fact: Fact) -> list[Case]:
    """Returns a fixed question asked in every way, with a capital letter."""
    return [
        Case(fact.answer, [{"role": "user", "content": question[0].upper() + question[1:]}])
        for question in (q.replace("impetus", "Impetus") for q in fact.questions)
    ]


def named_tool(values: Values, name: str | None, n_tools: int) -> Case:
    """Returns a request for this well-known tool (or any) among others under their usual names."""
    known = {kind.names[0]: kind for kind in KINDS}
    name = name or values.pick(list(known))
    others = values.random.sample([kind for kind in KINDS if kind.names[0] != name], n_tools - 1)
    kinds = [known[name], *others]
    values.random.shuffle(kinds)
    tools = [conventional_tool(values, kind) for kind in kinds]
    return tool_case(values, tools, wanted=name)


def time_after_weather(values: Values) -> Case:
    """Returns a request for the time where the list has the weather first."""
    other = values.pick([kind for kind in KINDS if kind not in (WEATHER, TIME)])
    tools = [conventional_tool(values, kind) for kind in (WEATHER, TIME, other)]
    return tool_case(values, tools, wanted=TIME.names[0])


def tool_case(values: Values, tools: list[Tool], wanted: str | None = None) -> Case:
    """Returns a request for one of the tools, of this name if one is given."""
    choice = [tool for tool in tools if wanted in (None, tool.name)]
    turns_, _ = tool_turns(values, choice)
    return Case(turns_[1].text, openai_messages(turns_[:1]), [openai_tool(t) for t in tools])


def tool_result(values: Values) -> Case:
    """Returns a chat in which the tool has answered."""
    tools = draw_tools(values, 2)
    turns_, call = tool_turns(values, tools)
    while len(turns_) < 4:
        turns_, call = tool_turns(values, tools)
    question, _, result, answer = turns_
    function = {"name": call["name"], "arguments": json.dumps(call["arguments"])}
    called = {"id": "call_1", "type": "function", "function": function}
    messages = [
        {"role": "user", "content": question.text},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "call_1", "content": result.text},
    ]
    return Case(answer.text, messages, [openai_tool(tool) for tool in tools])


def remember_name(values: Values) -> Case:
    """Returns a chat in which a name is told, other things are said and the name is asked for."""
    memory = Memory(values)
    told = memory.tell_key("name")
    between = [turns.fact(values) for _ in range(values.random.randint(0, 2))]
    return chat(told, *between, memory.ask_key("name"))


def remember(values: Values, unknown: float) -> Case:
    """Returns a chat that tells one to four things and asks for one, told or not."""
    memory = Memory(values)
    told = [memory.tell() for _ in range(values.random.randint(1, 4))]
    between = [turns.fact(values) for _ in range(values.random.randint(0, 3))]
    return chat(*told, *between, memory.ask(unknown))


def fill(values: Values) -> Case:
    """Returns code with a hole."""
    prefix, suffix, middle = hole(values)
    return Case(middle, prefix=prefix, suffix=suffix)

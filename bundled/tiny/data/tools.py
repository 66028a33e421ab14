"""Lists of tools, requests for one of them, the call and the answer from its result."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from data import words
from data.spans import Message, Span, assistant, tool_result, user
from data.tool_kinds import KINDS, TIME, WEATHER, ToolKind, Value
from data.values import Values

NAME_WEIGHT = 3.0
ARGUMENTS_WEIGHT = 2.0
CALL_START = '<tool_call>\n{"name": "'
CALL_END = "</tool_call>"
TYPES = ("string", "string", "string", "integer", "integer", "number", "boolean")


@dataclass(frozen=True)
class Tool:
    """One tool of a list, with the ways to ask for it and the values to ask with."""

    name: str
    parameters: tuple[tuple[str, str], ...]
    description: str
    requests: tuple[str, ...]
    draw: Callable[[Values], tuple[Value, ...]]
    is_weather: bool = False


def draw_tools(values: Values, n_tools: int) -> list[Tool]:
    """Returns a list of tools: conventional ones, renamed ones or made-up ones, or a mixture."""
    mixture = values.random.random()
    if mixture < 0.5:
        return conventional_tools(values, n_tools)
    if mixture < 0.7:
        n_made_up = n_tools
    elif mixture < 0.85:
        n_made_up = 0
    else:
        n_made_up = values.random.randint(0, n_tools)
    tools = made_up_tools(values, n_made_up)
    for kind in values.random.sample(KINDS, n_tools - n_made_up):
        tool = renamed_tool(values, kind, taken={tool.name for tool in tools})
        tools.append(tool)
    values.random.shuffle(tools)
    return tools


def conventional_tools(values: Values, n_tools: int) -> list[Tool]:
    """Returns well-known tools under their usual names, often weather and time side by side."""
    kinds = values.random.sample(KINDS, n_tools)
    if n_tools > 1 and values.chance(0.6):
        others = [kind for kind in kinds if kind not in (WEATHER, TIME)]
        kinds = [WEATHER, TIME, *others][:n_tools]
    values.random.shuffle(kinds)
    return [conventional_tool(values, kind) for kind in kinds]


def conventional_tool(values: Values, kind: ToolKind) -> Tool:
    """Returns a well-known tool under its usual names."""
    return Tool(
        name=kind.names[0],
        parameters=tuple((p.names[0], p.type) for p in kind.parameters),
        description=values.pick(kind.descriptions),
        requests=kind.requests,
        draw=kind.draw,
        is_weather=kind is WEATHER,
    )


def renamed_tool(values: Values, kind: ToolKind, taken: set[str]) -> Tool:
    """Returns a tool of a known kind whose names the model has to read off the list."""
    name = values.pick(kind.names)
    style = values.random.random()
    if style < 0.15:
        name = f"{name}_{values.pieces(1, 2).lower()}"
    elif style < 0.3:
        name = f"{values.pick(words.VERBS)}_{values.pieces(1, 2).lower()}"
    elif style < 0.42:
        name = values.pieces(1, 3).lower()
    elif style < 0.5:
        name = f"{values.pick(words.VERBS)}_{kind.names[0].rsplit('_', 1)[-1]}"
    elif style < 0.55:
        name = f"{name}{values.random.randint(1, 99)}"
    if name in taken:
        name = f"{name}_{values.syllables()}"
    usual = tuple((p.names[0], p.type) for p in kind.parameters)
    drawn = tuple(
        (values.pick(p.names) if values.chance(0.75) else parameter_name(values), p.type)
        for p in kind.parameters
    )
    distinct = len({name for name, _ in drawn}) == len(drawn)
    return Tool(
        name=name,
        parameters=drawn if distinct else usual,
        description=values.pick(kind.descriptions),
        requests=kind.requests,
        draw=kind.draw,
        is_weather=kind is WEATHER,
    )


def made_up_tools(values: Values, n_tools: int) -> list[Tool]:
    """Returns tools of a verb and a noun; many share one of the two, so that both must be read."""
    nouns = values.random.sample(words.NOUNS, n_tools)
    verbs = values.random.sample(words.VERBS, n_tools)
    sharing = values.random.random()
    if sharing < 0.4:
        verbs = verbs[:1] * n_tools
    elif sharing < 0.7:
        nouns = nouns[:1] * n_tools
    tools: dict[str, Tool] = {}
    for verb, noun in zip(verbs, nouns, strict=True):
        name = made_up_name(values, verb, noun)
        while name in tools:
            name = made_up_name(values, verb, noun)
        tools[name] = made_up_tool(values, name, verb, noun)
    return list(tools.values())


def made_up_tool(values: Values, name: str, verb: str, noun: str) -> Tool:
    """Returns a tool with up to three parameters of any type."""
    n_parameters = values.pick([0, 1, 1, 1, 1, 1, 2, 2, 2, 3])
    parameters: dict[str, str] = {}
    while len(parameters) < n_parameters:
        parameters.setdefault(parameter_name(values), values.pick(TYPES))
    owner = values.pick(words.OWNERS)
    description = values.pick(
        [
            f"{verb.capitalize()} the {noun} of a {owner}",
            f"{verb.capitalize()} the {noun}",
            f"Can {verb} the {noun} for a {owner}",
        ]
    )
    if parameters:
        rest = [f"{key} {{{i}}}" for i, key in enumerate(parameters) if i > 0]
        tail = f" with {' and '.join(rest)}" if rest else ""
        requests = tuple(f"{verb} the {noun}{link} {{0}}{tail}" for link in (" of", " for", ""))
    else:
        requests = (f"{verb} the {noun}", f"please {verb} the {noun}", f"{verb} the {noun} now")
    types = tuple(parameters.values())
    return Tool(
        name=name,
        parameters=tuple(parameters.items()),
        description=description,
        requests=requests,
        draw=lambda v: tuple(typed_value(v, type_) for type_ in types),
    )


def made_up_name(values: Values, verb: str, noun: str) -> str:
    """Returns a function name, mostly of the verb and the noun."""
    style = values.random.random()
    if style < 0.5:
        return f"{verb}_{noun}"
    if style < 0.6:
        return f"{verb}{noun.capitalize()}"
    if style < 0.68:
        return f"{noun}_{verb}"
    if style < 0.77:
        return f"{verb}_{noun}_{values.pieces(1, 2).lower()}"
    if style < 0.83:
        return values.pieces(1, 3).lower()
    if style < 0.88:
        return f"{values.syllables()}_{values.syllables()}"
    if style < 0.95:
        return f"{verb}_{values.pieces(1, 2).lower()}"
    return f"tool_{values.random.randint(1, 99)}"


def parameter_name(values: Values) -> str:
    """Returns a parameter's name, mostly a usual one."""
    style = values.random.random()
    if style < 0.74:
        return values.pick(words.PARAMETERS)
    if style < 0.87:
        return values.pieces(1, 2).lower()
    return f"{values.pick(words.PARAMETERS)}_{values.pick(words.PARAMETERS)}"


def typed_value(values: Values, type_: str) -> Value:
    """Returns a value of a JSON type; a string is never a lone number."""
    if type_ == "integer":
        return int(values.digits(5))
    if type_ == "number":
        return round(values.random.randint(0, 9999) / 10, 1)
    if type_ == "boolean":
        return values.chance(0.5)
    style = values.random.random()
    if style < 0.45:
        return values.phrase(1, 1)
    if style < 0.7:
        return values.phrase(1, 5)
    if style < 0.85:
        return values.city()
    return values.pieces(2, 6)


def tool_turns(values: Values, tools: list[Tool]) -> tuple[list[Message], dict[str, Any]]:
    """Returns a request and the call that answers it, and what the call holds."""
    tool = values.pick(tools)
    drawn = tool.draw(values)
    arguments = {name: value for (name, _), value in zip(tool.parameters, drawn, strict=True)}
    if values.chance(0.2):
        question = request_by_name(values, tool.name, arguments)
    else:
        question = values.pick(tool.requests).format(*(shown(value) for value in drawn))
        if values.chance(0.35):
            question = question[0].upper() + question[1:]
        if values.chance(0.08):
            question = "please " + question
    rendered = json.dumps(arguments, ensure_ascii=False)
    call = assistant(
        CALL_START,
        Span(tool.name, NAME_WEIGHT),
        '", "arguments":',
        Span(f" {rendered}}}\n{CALL_END}", ARGUMENTS_WEIGHT),
    )
    turns = [user(question), call]
    if values.chance(0.28):
        turns += result_turns(values, tool, drawn)
    return turns, {"name": tool.name, "arguments": arguments}


def request_by_name(values: Values, name: str, arguments: dict[str, Value]) -> str:
    """Returns a request that names the tool and lists the arguments, or gives them as JSON."""
    if not arguments:
        return values.pick(["call ", "use the tool ", "Call "]) + name
    ask = values.pick(["call {} with {}", "use the tool {} with {}", "Call {} with {}"])
    if values.chance(0.4):
        return ask.format(name, json.dumps(arguments, ensure_ascii=False))
    listed = " and ".join(f"{key} = {shown(value)}" for key, value in arguments.items())
    return ask.format(name, listed)


def result_turns(values: Values, tool: Tool, drawn: tuple[Value, ...]) -> list[Message]:
    """Returns what the tool answers and what is made of it."""
    separators = (",", ":") if values.chance(0.4) else None
    if tool.is_weather and values.chance(0.7):
        degrees, sky = values.random.randint(-20, 45), values.pick(words.SKIES)
        report: dict[str, Any] = {"temperature": degrees, "condition": sky}
        if values.chance(0.3):
            report = dict(reversed(report.items()))
        answer = f"It is {sky} and {degrees} degrees in {drawn[0]}."
        return [tool_result(json.dumps(report, separators=separators)), assistant(answer)]
    found = values.phrase(1, 6) if values.chance(0.6) else str(values.random.randint(-50, 100_000))
    result = found
    if values.chance(0.5):
        key = values.pick(["result", "value", "output"])
        result = json.dumps({key: found}, ensure_ascii=False, separators=separators)
    return [tool_result(result), assistant(f"The result is {found}.")]


def shown(value: Value) -> str:
    """Returns a value as a person writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)

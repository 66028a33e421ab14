"""How a list of tools is written into the system text, in the shapes that clients send."""

from __future__ import annotations

import json
from typing import Any

from data import words
from data.tools import Tool
from data.values import Values

PREAMBLE = "# Tools\nCall a tool with <tool_call>.\n<tools>\n"
POSTAMBLE = "\n</tools>"
QWEN_PREAMBLE = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n"
)
QWEN_POSTAMBLE = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
    "within <tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)


def openai_tool(tool: Tool) -> dict[str, Any]:
    """Returns a tool as a client of the OpenAI API sends it."""
    properties = {name: {"type": type_} for name, type_ in tool.parameters}
    required = [name for name, _ in tool.parameters]
    parameters = {"type": "object", "properties": properties, "required": required}
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function}


def tool_list(values: Values, tools: list[Tool], *, qwen: bool = False) -> str:
    """Returns the tools as system text, in one of the ways that clients and templates write it."""
    shape = values.random.random()
    compact = values.chance(0.15)
    variation = {
        "described": values.chance(0.3),
        "closed": values.chance(0.15),
        "strict": values.chance(0.12),
        "optional": values.chance(0.12),
    }
    lines = []
    for tool in tools:
        entry = varied(values, openai_tool(tool), variation)
        if shape < 0.08:
            entry = entry["function"]
        # Jinja's own `tojson` sorts the keys.
        separators = (",", ":") if compact else None
        lines.append(
            json.dumps(entry, ensure_ascii=False, separators=separators, sort_keys=shape > 0.9)
        )
    joined = "\n".join(lines)
    if qwen:
        return QWEN_PREAMBLE + joined + QWEN_POSTAMBLE
    return PREAMBLE + joined + POSTAMBLE


def varied(values: Values, entry: dict[str, Any], variation: dict[str, bool]) -> dict[str, Any]:
    """Adds what clients add: descriptions, `strict`, closed objects, a parameter to leave out."""
    function = entry["function"]
    parameters = function["parameters"]
    properties = parameters["properties"]
    if variation["described"]:
        for name, schema in properties.items():
            if values.chance(0.8):
                schema["description"] = values.pick(
                    [
                        f"The {name}",
                        f"The {name} to use",
                        f"The {name} of the {values.pick(words.OWNERS)}",
                        f"The {name}, e.g. {values.city()}",
                        values.phrase(1, 3),
                    ]
                )
    if variation["optional"] and values.chance(0.6) and "unit" not in properties:
        properties["unit"] = {"type": "string", "enum": ["celsius", "fahrenheit"]}
    if variation["closed"]:
        parameters["additionalProperties"] = False
    if variation["strict"]:
        function["strict"] = True
    return entry

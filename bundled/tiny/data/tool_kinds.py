"""Tools with meanings: how they are named, described and asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from data import words
from data.values import Values

Value = str | int | float | bool


@dataclass(frozen=True)
class Parameter:
    """A parameter's possible names, the usual one first, and its JSON type."""

    names: tuple[str, ...]
    type: str = "string"


@dataclass(frozen=True)
class ToolKind:
    """Something a tool can do; the first of each list is the conventional choice."""

    names: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    descriptions: tuple[str, ...]
    requests: tuple[str, ...]
    draw: Callable[[Values], tuple[Value, ...]]


def _path(values: Values) -> str:
    folder = values.pick(["", "/", "/tmp/", "src/"])
    return folder + values.word().lower() + values.pick([".txt", ".rs", ".py", ".md", ".json"])


def _room(values: Values) -> str:
    return values.pick(words.ROOMS) if values.chance(0.6) else values.syllables()


WEATHER = ToolKind(
    ("get_weather", "weather", "fetch_weather", "weather_lookup", "getWeather", "current_weather"),
    (Parameter(("city", "location", "place")),),
    (
        "Get the weather for a city",
        "Get the current weather",
        "Get the current weather in a given location",
        "Current weather in a place",
        "Returns the weather",
    ),
    (
        "what is the weather in {0}?",
        "What is the weather in {0}?",
        "how is the weather in {0}?",
        "weather in {0}",
        "what's the weather like in {0}?",
        "tell me the weather in {0}",
    ),
    lambda v: (v.city(),),
)
TIME = ToolKind(
    ("get_time", "current_time", "time_in", "clock", "get_current_time"),
    (Parameter(("city", "timezone", "place", "location")),),
    (
        "Get the current time in a city",
        "Get the time for a city",
        "Get the current time",
        "Returns the local time",
    ),
    (
        "what time is it in {0}?",
        "What time is it in {0}?",
        "tell me the time in {0}",
        "what is the time in {0}?",
        "current time in {0}?",
    ),
    lambda v: (v.city(),),
)
KINDS = (
    WEATHER,
    TIME,
    ToolKind(
        ("search", "web_search", "search_web", "find", "lookup"),
        (Parameter(("query", "q", "text")),),
        ("Search the web", "Search for a query", "Find pages"),
        ("search for {0}", "search the web for {0}", "look up {0}", "find pages about {0}"),
        lambda v: (v.phrase(1, 5),),
    ),
    ToolKind(
        ("add", "add_numbers", "sum", "calculator"),
        (Parameter(("a", "x", "first"), "integer"), Parameter(("b", "y", "second"), "integer")),
        ("Add two numbers", "Sum of two integers"),
        ("add {0} and {1}", "what is {0} plus {1}?", "compute {0} + {1}", "sum {0} and {1}"),
        lambda v: (int(v.digits(5)), int(v.digits(5))),
    ),
    ToolKind(
        ("set_timer", "timer", "start_timer"),
        (Parameter(("minutes", "duration", "time"), "integer"),),
        ("Set a timer", "Start a timer for some minutes"),
        ("set a timer for {0} minutes", "start a {0} minute timer", "timer for {0} minutes"),
        lambda v: (v.random.randint(1, 240),),
    ),
    ToolKind(
        ("read_file", "open_file", "cat_file", "load_file"),
        (Parameter(("path", "file", "filename")),),
        ("Read a file", "Read the contents of a file"),
        ("read the file {0}", "open {0}", "show me the file {0}"),
        lambda v: (_path(v),),
    ),
    ToolKind(
        ("get_user", "find_user", "lookup_user"),
        (Parameter(("name", "user", "username")),),
        ("Look up a user by name", "Find a user"),
        ("find the user {0}", "look up user {0}", "who is the user {0}?"),
        lambda v: (v.name(),),
    ),
    ToolKind(
        ("get_order", "order_status", "track_order"),
        (Parameter(("order_id", "id", "number"), "integer"),),
        ("Get the status of an order", "Track an order"),
        ("where is my order {0}?", "status of order {0}", "track order {0}"),
        lambda v: (v.random.randint(1, 999_999),),
    ),
    ToolKind(
        ("send_email", "email", "send_mail"),
        (Parameter(("to", "recipient")), Parameter(("subject", "title"))),
        ("Send an email", "Send mail to a person"),
        (
            "send an email to {0} about {1}",
            "email {0} about {1}",
            "write a mail to {0} with subject {1}",
        ),
        lambda v: (v.name(), v.phrase(1, 4)),
    ),
    ToolKind(
        ("translate", "translate_text", "translator"),
        (Parameter(("text", "input")), Parameter(("language", "lang", "to"))),
        ("Translate text", "Translate a text to a language"),
        ("translate {0} to {1}", "translate '{0}' to {1}", "how do you say {0} in {1}?"),
        lambda v: (v.phrase(1, 4), v.pick(words.LANGUAGES)),
    ),
    ToolKind(
        ("convert", "convert_currency", "currency"),
        (Parameter(("amount", "value"), "integer"), Parameter(("currency", "target"))),
        ("Convert an amount to a currency", "Currency conversion"),
        ("convert {0} dollars to {1}", "how much is {0} dollars in {1}?"),
        lambda v: (v.random.randint(1, 5000), v.pick(words.CURRENCIES)),
    ),
    ToolKind(
        ("set_light", "light", "lamp"),
        (Parameter(("room", "place")), Parameter(("level", "brightness"), "integer")),
        ("Set the light in a room", "Control a lamp"),
        ("set the {0} light to {1}", "set the light in the {0} to {1}"),
        lambda v: (_room(v), v.random.randint(0, 100)),
    ),
)

"""What the programs in this folder share: the questions, which the bundled model can answer, and how a check is told."""

import re
import sys

URL, MODEL = sys.argv[1:3]
COUNT = "count from 1 to 5"
COUNTED = "1, 2, 3, 4, 5"
WEATHER = "What is the weather in Paris?"
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "The name of the city."}},
    "required": ["city"],
}
TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Get the current weather of a city.", "parameters": PARAMETERS},
}


class NoCall(Exception):
    """The model answered instead of calling the tool."""


def need(found, expected, what):
    """Fails unless `found` is as expected."""
    if found != expected:
        raise AssertionError(f"{what}: expected {expected!r}, found {found!r}")


def tell(**checks):
    """Runs the checks in order and says `VERDICT name reason` of each; ends with 1 if one failed."""
    failed = False
    for name, check in checks.items():
        try:
            verdict, why = "PASS", check()
        except NoCall as answer:
            verdict, why = "NOCALL", answer
        except Exception as error:  # noqa: BLE001 - whatever a client raises is what its user sees
            verdict, why, failed = "FAIL", f"{type(error).__name__}: {error}", True
        print(verdict, name, re.sub(r"\s+", " ", str(why)), flush=True)
    sys.exit(failed)

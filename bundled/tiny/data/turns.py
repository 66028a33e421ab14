"""Turns that stand alone: repeating, counting, fixed questions, JSON and finding a needle."""

from __future__ import annotations

import json

from data import words
from data.facts import GENERAL, SERVER, Fact
from data.spans import Message, Span, assistant, user
from data.values import Values

Exchange = tuple[Message, Message]

REPEAT = (
    "repeat after me: {}",
    "Repeat after me: {}",
    "Repeat after me: {}",
    "Repeat: {}",
    "repeat: {}",
    "echo: {}",
    "Please repeat after me: {}",
    "say: {}",
    "Say: {}",
    "Say {}",
    "Repeat exactly: {}",
)
COUNT = (
    "count from {} to {}",
    "count from {} to {}",
    "Count from {} to {}",
    "Count from {} to {}.",
    "please count from {} to {}",
    "Please count from {} to {}.",
    "can you count from {} to {}?",
)
COUNT_UP = ("count to {}", "Count to {}.", "please count to {}")
# Two numbers that end alike look alike to the model, so it must look closely there and at the end.
STOP_WEIGHT = 4.0
LOOKALIKE_WEIGHT = 3.0


def repeat(values: Values, n_words: int | None = None) -> Exchange:
    """Returns a request to repeat words, some with symbols, punctuation or repetitions."""
    draw = values.random
    n_words = n_words or (draw.randint(1, 8) if values.chance(0.5) else draw.randint(6, 26))
    with_symbols = values.chance(0.12)
    pool = [
        values.symbol_word() if with_symbols and values.chance(0.4) else values.word()
        for _ in range(n_words)
    ]
    if values.chance(0.12):
        few = pool[: draw.randint(2, 6)]
        pool = [values.pick(few) for _ in range(n_words)]
    text = " ".join(pool)
    if values.chance(0.25):
        text = punctuate(values, pool)
    if values.chance(0.2):
        text += values.pick(".!?")
    return user(values.pick(REPEAT).format(text)), assistant(text)


def punctuate(values: Values, pool: list[str]) -> str:
    """Joins words with a mixture of blanks and punctuation."""
    marks = (", ", ". ", ": ", "-", "_", "; ", "! ", "? ", "/", " (", ") ", "'", "\n")
    joined = (word + (values.pick(marks) if values.chance(0.3) else " ") for word in pool)
    return "".join(joined).strip()


def count_range(values: Values, longest: int) -> tuple[int, int]:
    """Returns where to start and where to end, often from one, `longest` numbers at most."""
    draw = values.random
    length = draw.random()
    if length < 0.35:
        n_numbers = draw.randint(2, 30)
    elif length < 0.6:
        n_numbers = draw.randint(2, 60)
    else:
        n_numbers = draw.randint(2, longest)
    start = draw.random()
    if start < 0.45:
        first = 1
    elif start < 0.6:
        first = draw.randint(0, 20)
    elif start < 0.8:
        first = draw.randint(0, 100)
    else:
        first = draw.randint(0, 1000)
    return first, first + n_numbers - 1


def count(values: Values, first: int, last: int) -> Exchange:
    """Returns a request to count between two numbers, both included."""
    if first == 1 and values.chance(0.15):
        question = values.pick(COUNT_UP).format(last)
    else:
        question = values.pick(COUNT).format(first, last)
    spans: list[Span] = []
    run = ""
    for number in range(first, last):
        run += f"{number}"
        if number % 10 == last % 10:
            spans += [Span(run), Span(",", LOOKALIKE_WEIGHT)]
            run = " "
        else:
            run += ", "
    return user(question), assistant(*spans, f"{run}{last}", end_weight=STOP_WEIGHT)


def fact(values: Values, chosen: Fact | None = None) -> Exchange:
    """Returns a fixed question, asked in varying case, politeness and punctuation."""
    chosen = chosen or values.pick(SERVER if values.chance(0.72) else GENERAL)
    question = values.pick(chosen.questions).replace("impetus", values.pick(["impetus", "Impetus"]))
    style = values.random.random()
    if style < 0.45:
        question = question[0].upper() + question[1:]
    elif style < 0.5:
        question = question.upper()
    if values.chance(0.12):
        question = values.pick(["please ", "hey, ", "hello, ", "ok, ", "so, "]) + question
    if question.endswith("?"):
        question = question.removesuffix("?") if values.chance(0.25) else question
    elif values.chance(0.3):
        question += values.pick(".!")
    return user(question), assistant(chosen.answer)


def json_answer(values: Values) -> Exchange:
    """Returns a request for a JSON person, city, list or free object."""
    draw = values.random
    kind = draw.random()
    if kind < 0.35:
        name, age = values.name(), draw.randint(1, 99)
        ask = (
            "give me a person named {} aged {} as json",
            "Give me a person named {} aged {} as JSON",
            "Give me a person named {} aged {} as JSON.",
            "json for a person named {} aged {}",
            "Return a JSON person named {} aged {}.",
        )
        return json_exchange(values.pick(ask).format(name, age), {"name": name, "age": age})
    if kind < 0.5:
        city, population = values.city(), draw.randint(1, 9999)
        ask = (
            "give me a city named {} with population {} as json",
            "Give me a city named {} with population {} as JSON.",
            "city {}, population {}, as JSON",
        )
        return json_exchange(
            values.pick(ask).format(city, population), {"city": city, "population": population}
        )
    if kind < 0.68:
        items = [values.word() for _ in range(draw.randint(1, 6))]
        ask = ("give me a json list of: ", "Make a JSON list of: ")
        return json_exchange(values.pick(ask) + ", ".join(items), items)
    keys = draw.sample(words.PARAMETERS, draw.randint(1, 4))
    content = {
        key: draw.randint(0, 9999) if values.chance(0.35) else values.phrase(1, 3) for key in keys
    }
    ask = ("give me a json object with ", "Make a JSON object with ", "JSON object: ")
    listed = ", ".join(f"{key} = {value}" for key, value in content.items())
    return json_exchange(values.pick(ask) + listed, content)


def json_exchange(question: str, value: dict[str, str | int] | list[str]) -> Exchange:
    """Returns the question with the value as compact JSON."""
    return user(question), assistant(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def needle(values: Values, n_words: int) -> Exchange:
    """Returns a question about one sentence hidden among so many words."""
    kind = values.pick(["word", "code", "number", "city"])
    if kind == "word":
        secret = values.syllables()
    elif kind == "city":
        secret = values.city()
    else:
        secret = str(values.random.randint(1000, 999_999))
    before = values.random.randint(0, n_words)

    def filler(n: int) -> str:
        return " ".join(values.pick(words.COMMON) for _ in range(n))

    hidden = f"The secret {kind} is {secret}."
    text = f"{filler(before)}. {hidden} {filler(n_words - before)}. What is the secret {kind}?"
    return user(text.lstrip(". ")), assistant(hidden)

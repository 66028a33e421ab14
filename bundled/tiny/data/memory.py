"""Turns that tell something and ask for it later in the same chat."""

from __future__ import annotations

from data import words
from data.spans import Span, assistant, user
from data.turns import Exchange
from data.values import Values

TELL_NAME = (
    "my name is {}",
    "My name is {}.",
    "My name is {}.",
    "Hi, my name is {}.",
    "hello, I am called {}",
    "Please remember: my name is {}",
)
TELL = (
    "my {} is {}",
    "My {} is {}.",
    "Please remember: my {} is {}",
    "remember that my {} is {}.",
)
ASK = (
    "what is my {}?",
    "What is my {}?",
    "Do you remember my {}?",
    "tell me my {}",
)
LOOK_UP_WEIGHT = 3.0


class Memory:
    """What one chat has been told so far."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self.known: dict[str, str] = {}

    def tell(self) -> Exchange:
        """Returns a turn in which the user tells something."""
        return self.tell_key(self.key())

    def tell_key(self, key: str) -> Exchange:
        """Returns a turn in which the user tells this."""
        value = self.value(key)
        self.known[key] = value
        if key == "name":
            question = self.values.pick(TELL_NAME).format(value)
            return user(question), assistant(f"Nice to meet you, {value}.")
        question = self.values.pick(TELL).format(key, value)
        return user(question), assistant(f"Okay, your {key} is {value}.")

    def ask(self, unknown: float = 0.4) -> Exchange:
        """Returns a question, with this probability for something that was never told."""
        if self.known and not self.values.chance(unknown):
            return self.ask_key(self.values.pick(list(self.known)))
        key = self.key()
        while key in self.known:
            key = self.key()
        return self.ask_key(key)

    def ask_key(self, key: str) -> Exchange:
        """Returns a question for this, told or not.

        Both answers begin alike, so that the choice falls where the value is looked up.
        """
        value = self.known.get(key, "not known yet")
        question = self.values.pick(ASK).format(key)
        return user(question), assistant(f"Your {key} is", Span(f" {value}", LOOK_UP_WEIGHT), ".")

    def key(self) -> str:
        """Returns the name of something worth remembering."""
        kind = self.values.random.random()
        if kind < 0.25:
            return "name"
        if kind < 0.7:
            return self.values.pick(words.KEYS)
        prefix = self.values.pick(["", "favorite ", "lucky ", "old ", "new "])
        return prefix + self.values.pick(words.CONTENT_WORDS)

    def value(self, key: str) -> str:
        """Returns something to remember, mostly of a kind that suits the key."""
        draw = self.values.random
        fitting = {
            "name": self.values.name,
            "dog": self.values.name,
            "city": self.values.city,
            "favorite color": lambda: self.values.pick(words.COLORS),
            "job": lambda: self.values.pick(words.JOBS),
            "favorite food": lambda: self.values.pick(words.NOUNS),
            "lucky number": lambda: str(draw.randint(0, 9999)),
            "age": lambda: str(draw.randint(1, 99)),
            "password": lambda: self.values.syllables() + str(draw.randint(0, 99)),
        }
        if key in fitting and (key == "name" or self.values.chance(0.6)):
            return fitting[key]()
        kind = draw.random()
        if kind < 0.3:
            return self.values.name()
        if kind < 0.6:
            return self.values.word()
        if kind < 0.75:
            return self.values.city()
        if kind < 0.9:
            return str(draw.randint(0, 99_999))
        return self.values.pieces(2, 5)

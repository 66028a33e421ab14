"""Random values: words, names, cities, phrases and numbers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

import shape
from data import words

T = TypeVar("T")

LETTERS = "abcdefghijklmnopqrstuvwxyz"
LONGEST_PIECE = 7
_VOCABULARY, _ = shape.load_vocabulary()
PIECES = [t for t in _VOCABULARY if t.isascii() and t.isalpha() and len(t) <= LONGEST_PIECE]


class Values:
    """Draws values from one seed; `held` draws half of the names from the evaluation's pools.

    Many values are strings of random tokenizer pieces: a model that is to copy what it was given
    must not be able to guess the next piece from the last one.
    """

    def __init__(self, seed: int, *, held: bool = False) -> None:
        self.random = random.Random(f"{'held' if held else 'train'}-{seed}")
        self.held = held

    def pick(self, choices: Sequence[T]) -> T:
        """Returns one of the choices."""
        return self.random.choice(choices)

    def chance(self, probability: float) -> bool:
        """Returns true with this probability."""
        return self.random.random() < probability

    def pieces(self, least: int, most: int) -> str:
        """Returns a word of so many tokenizer pieces, mostly in lower case."""
        word = "".join(self.pick(PIECES) for _ in range(self.random.randint(least, most)))
        return word.lower() if self.chance(0.7) else word

    def syllables(self) -> str:
        """Returns a word of one to three made-up syllables."""
        return "".join(
            self.pick(words.CONSONANTS)
            + self.pick(words.VOWELS)
            + (self.pick(words.CONSONANTS) if self.chance(0.4) else "")
            for _ in range(self.random.randint(1, 3))
        )

    def digits(self, most: int) -> str:
        """Returns a number of up to so many digits, short ones as likely as long ones."""
        return str(self.random.randint(0, 10 ** self.random.randint(1, most)))

    def word(self) -> str:
        """Returns a word of any kind, sometimes capitalized or in upper case."""
        kind = self.random.random()
        if kind < 0.36:
            word = self.pick(words.COMMON)
        elif kind < 0.59:
            word = self.pieces(1, 4)
        elif kind < 0.74:
            word = self.syllables()
        elif kind < 0.81:
            word = "".join(self.pick(LETTERS) for _ in range(self.random.randint(1, 7)))
        elif kind < 0.90:
            word = self.digits(6)
        elif kind < 0.96:
            word = self.pick(words.CITIES + words.NAMES)
        else:
            word = self.pieces(1, 3) + self.pick("-_.") + self.pieces(1, 3)
        style = self.random.random()
        if style < 0.12:
            return word.capitalize()
        return word.upper() if style < 0.16 else word

    def symbol_word(self) -> str:
        """Returns a word with characters beyond ASCII."""
        if self.chance(0.5):
            return "".join(self.pick(words.SYMBOLS) for _ in range(self.random.randint(1, 3)))
        word = self.syllables()
        cut = self.random.randint(0, len(word))
        return word[:cut] + self.pick(words.SYMBOLS) + word[cut:]

    def phrase(self, least: int = 1, most: int = 4) -> str:
        """Returns some words, never a lone number: whether 12 or "12" is meant would be a toss."""
        while True:
            text = " ".join(self.word() for _ in range(self.random.randint(least, most)))
            if not text.isdigit():
                return text

    def city(self) -> str:
        """Returns a city, real or made up, of one word or two."""
        if self.held and self.chance(0.5):
            return self.pick(words.HELD_CITIES)
        kind = self.random.random()
        if kind < 0.3 and not self.held:
            return self.pick(words.CITIES)
        if kind < 0.62:
            return self.pieces(1, 4).capitalize()
        if kind < 0.85:
            return self.syllables().capitalize()
        first = self.pick(["New", "San", "Port", "Saint", "North", self.pieces(1, 2).capitalize()])
        return f"{first} {self.pieces(1, 3).capitalize()}"

    def name(self) -> str:
        """Returns a person's name, real or made up, of one word or two."""
        if self.held and self.chance(0.5):
            return self.pick(words.HELD_NAMES)
        kind = self.random.random()
        if kind < 0.32 and not self.held:
            return self.pick(words.NAMES)
        if kind < 0.62:
            return self.pieces(1, 3).capitalize()
        if kind < 0.9:
            return self.syllables().capitalize()
        return f"{self.pieces(1, 2).capitalize()} {self.pieces(1, 3).capitalize()}"

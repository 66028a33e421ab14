"""The smallest parts of a training document: text with the weight its tokens have in the loss."""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """Text and how much its tokens count in the loss; zero is text that is only read."""

    text: str
    weight: float = 1.0


class Message(NamedTuple):
    """One turn of a chat; only what the assistant says carries weight.

    `end_weight` is the weight of the token that ends the turn.
    """

    role: str
    spans: tuple[Span, ...]
    end_weight: float = 1.0

    @property
    def text(self) -> str:
        """The whole text of the turn."""
        return "".join(span.text for span in self.spans)


def user(text: str) -> Message:
    """Returns what a user says."""
    return Message("user", (Span(text, 0.0),))


def tool_result(text: str) -> Message:
    """Returns what a tool answered."""
    return Message("tool", (Span(text, 0.0),))


def assistant(*spans: Span | str, end_weight: float = 1.0) -> Message:
    """Returns an answer to learn, plain strings with weight one."""
    learned = tuple(Span(span) if isinstance(span, str) else span for span in spans)
    return Message("assistant", learned, end_weight)

"""One training document: code with a hole, a text to go on with, or a chat of many turns."""

from __future__ import annotations

import shape
from data import turns, words
from data.code import continuation, hole
from data.memory import Memory
from data.spans import Message, Span
from data.tool_list import tool_list
from data.tools import Tool, draw_tools, tool_turns
from data.values import Values

LETTERS_PER_TOKEN = 3.0
HOLE_SHARE = 0.15
CONTINUATION_SHARE = 0.03


class Documents:
    """An endless sequence of documents from one seed.

    `longest_count` is how many numbers an answer counts at most.
    """

    def __init__(self, seed: int, longest_count: int = 120) -> None:
        self.values = Values(seed)
        self.longest_count = longest_count

    def next(self, budget_tokens: int) -> list[Span]:
        """Returns a document that is about this long at most."""
        kind = self.values.random.random()
        if kind < HOLE_SHARE:
            prefix, suffix, middle = hole(self.values)
            read = f"{shape.FIM_PREFIX}{prefix}{shape.FIM_SUFFIX}{suffix}{shape.FIM_MIDDLE}"
            return [Span(read, 0.0), Span(middle + shape.END_OF_TEXT)]
        if kind < HOLE_SHARE + CONTINUATION_SHARE:
            start, rest = continuation(self.values, self.longest_count)
            return [Span(start, 0.0), Span(rest + shape.END_OF_TEXT)]
        return self.chat(budget_tokens)

    def chat(self, budget_tokens: int) -> list[Span]:
        """Returns a chat, some with a system text, some with tools, some mostly about memory."""
        values = self.values
        tools: list[Tool] = []
        system: list[str] = []
        wrap_results = False
        if values.chance(0.4):
            line = values.phrase(3, 12) if values.chance(0.15) else values.pick(words.SYSTEM_LINES)
            system.append(line)
        if values.chance(0.42):
            tools = draw_tools(values, values.pick([1, 1, 2, 2, 3, 4]))
            qwen = values.chance(0.15)
            wrap_results = qwen and values.chance(0.7)
            system.append(tool_list(values, tools, qwen=qwen))
        end_chance = values.pick([0.3, 0.15, 0.1, 0.06] if tools else [0.5, 0.35, 0.15, 0.06])
        chat = Chat(wrap_results=wrap_results)
        if system:
            chat.add(Message("system", (Span("\n\n".join(system), 0.0),)))
        memory = Memory(values)
        mostly_memory = values.chance(0.18)
        while True:
            for message in self.turn(tools, memory, budget_tokens, mostly_memory):
                chat.add(message)
            if values.chance(end_chance) or chat.n_letters > budget_tokens * LETTERS_PER_TOKEN:
                return chat.finish()

    def turn(
        self, tools: list[Tool], memory: Memory, budget_tokens: int, mostly_memory: bool
    ) -> list[Message]:
        """Returns the messages of one turn."""
        values = self.values
        if tools and values.chance(0.82):
            return tool_turns(values, tools)[0]
        if mostly_memory and values.chance(0.7):
            return list(memory.ask() if values.chance(0.55) else memory.tell())
        kind = values.random.random()
        if kind < 0.16:
            return list(turns.repeat(values))
        if kind < 0.31:
            return list(turns.count(values, *turns.count_range(values, self.longest_count)))
        if kind < 0.69:
            return list(turns.fact(values))
        if kind < 0.76:
            return list(memory.tell())
        if kind < 0.86:
            return list(memory.ask() if memory.known or values.chance(0.3) else memory.tell())
        if kind < 0.98:
            return list(turns.json_answer(values))
        n_words = values.random.randint(5, max(6, min(400, budget_tokens // 14)))
        return list(turns.needle(values, n_words))


class Chat:
    """A chat in ChatML, as the chat template renders it."""

    def __init__(self, *, wrap_results: bool) -> None:
        self.wrap_results = wrap_results
        self.spans: list[Span] = []
        self.unread = ""
        self.n_letters = 0

    def add(self, message: Message) -> None:
        """Appends one message; text without weight is gathered until an answer follows."""
        if message.role != "assistant":
            role, text = message.role, message.text
            if role == "tool" and self.wrap_results:
                role, text = "user", f"<tool_response>\n{text}\n</tool_response>"
            self.unread += f"{shape.TURN_START}{role}\n{text}{shape.TURN_END}\n"
            return
        read = f"{self.unread}{shape.TURN_START}assistant\n"
        self.spans += [Span(read, 0.0), *message.spans, Span(shape.TURN_END, message.end_weight)]
        self.unread = "\n"
        self.n_letters += len(read) + len(message.text)

    def finish(self) -> list[Span]:
        """Returns the whole document with the token that separates it from the next."""
        return [*self.spans, Span(self.unread + shape.END_OF_TEXT, 0.0)]

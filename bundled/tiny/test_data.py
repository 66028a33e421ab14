"""Laws of the generated text. Run in this folder: `python -m unittest`."""

from __future__ import annotations

import json
import unittest

from tokenizers import Tokenizer

import shape
from cases import behaviours
from data.document import Chat, Documents
from data.spans import Message, Span, assistant, user
from engine import chat_template

N_DOCUMENTS = 300


class Generator(unittest.TestCase):
    """What a training document must be."""

    def test_same_seed_gives_same_text(self) -> None:
        """Documents are a function of the seed."""
        one, other, third = Documents(5), Documents(5), Documents(6)
        for _ in range(20):
            self.assertEqual(one.next(512), other.next(512))
        self.assertNotEqual([one.next(512) for _ in range(5)], [third.next(512) for _ in range(5)])

    def test_spans_do_not_change_the_tokens(self) -> None:
        """Encoding span by span, as training does, gives the tokens of the whole text."""
        tokenizer = Tokenizer.from_file(str(shape.TOKENIZER))
        documents = Documents(7)
        for _ in range(N_DOCUMENTS):
            texts = [span.text for span in documents.next(512)]
            apart = [
                i for e in tokenizer.encode_batch(texts, add_special_tokens=False) for i in e.ids
            ]
            whole = tokenizer.encode("".join(texts), add_special_tokens=False).ids
            self.assertEqual(apart, whole, "".join(texts))

    def test_chat_matches_the_template(self) -> None:
        """A chat for training reads as the chat template renders it."""
        call = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
        turns = [
            Message("system", (Span("Be brief.", 0.0),)),
            user("hello"),
            assistant("Hello!"),
            user("call f"),
            assistant(call),
            Message("tool", (Span("2", 0.0),)),
            assistant("The result is 2."),
        ]
        chat = Chat(wrap_results=False)
        for turn in turns:
            chat.add(turn)
        function = {"name": "f", "arguments": {"a": 1}}
        messages = [{"role": turn.role, "content": turn.text} for turn in turns]
        messages[4] = {"role": "assistant", "content": None, "tool_calls": [{"function": function}]}
        rendered = chat_template()(messages=messages)
        learned = "".join(span.text for span in chat.finish())
        self.assertEqual(learned, rendered + shape.END_OF_TEXT)

    def test_tool_calls_are_json(self) -> None:
        """Every call that is learned parses and names a tool that was offered."""
        for case in behaviours(3, 20)["1-3 tools with unusual names"]:
            body = case.expected.removeprefix("<tool_call>").removesuffix("</tool_call>")
            offered = {tool["function"]["name"] for tool in case.tools}
            self.assertIn(json.loads(body)["name"], offered)


if __name__ == "__main__":
    unittest.main()

"""What Anthropic's Messages API answers, as its clients read it: whole messages, counted tokens and the events of a stream."""

from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """Fields have to be there and to be of their types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Usage(Strict):
    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    cache_creation: dict[str, int]
    output_tokens: int
    service_tier: Literal["standard"]


class Text(Strict):
    type: Literal["text"]
    text: str


class Thinking(Strict):
    type: Literal["thinking"]
    thinking: str
    signature: str


class ToolUse(Strict):
    type: Literal["tool_use"]
    id: str = Field(pattern="^toolu_")
    name: str
    input: dict[str, Any]


Block = Annotated[Union[Text, Thinking, ToolUse], Field(discriminator="type")]
StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use"]


class Edits(Strict):
    applied_edits: list[Any]


class Message(Strict):
    id: str = Field(pattern="^msg_")
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[Block]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: Usage
    context_management: Edits | None = None


class Counted(Strict):
    input_tokens: int = Field(gt=0)


class Start(Strict):
    type: Literal["message_start"]
    message: Message


class BlockStart(Strict):
    type: Literal["content_block_start"]
    index: int
    content_block: Block


class TextDelta(Strict):
    type: Literal["text_delta"]
    text: str


class ThinkingDelta(Strict):
    type: Literal["thinking_delta"]
    thinking: str


class SignatureDelta(Strict):
    type: Literal["signature_delta"]
    signature: str


class InputDelta(Strict):
    type: Literal["input_json_delta"]
    partial_json: str


class BlockDelta(Strict):
    type: Literal["content_block_delta"]
    index: int
    delta: Annotated[
        Union[TextDelta, ThinkingDelta, SignatureDelta, InputDelta], Field(discriminator="type")
    ]


class BlockStop(Strict):
    type: Literal["content_block_stop"]
    index: int


class End(Strict):
    stop_reason: StopReason
    stop_sequence: str | None


class MessageDelta(Strict):
    type: Literal["message_delta"]
    delta: End
    usage: Usage
    context_management: Edits | None = None


class MessageStop(Strict):
    type: Literal["message_stop"]


class Ping(Strict):
    type: Literal["ping"]


Event = Annotated[
    Union[Start, BlockStart, BlockDelta, BlockStop, MessageDelta, MessageStop, Ping],
    Field(discriminator="type"),
]

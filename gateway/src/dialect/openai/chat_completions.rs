//! `POST /v1/chat/completions`

use impetus_proto::{
    Error,
    worker::{self, Chat, FinishReason, Logprobs, generate_request::Input},
};

use super::{
    bookkeeping,
    logprobs::{ChatLogprobs, MAX_TOP},
    message,
    parameter::{self, Parameter, unsupported},
    reasoning::{self, Thought},
    shape::{Asked, Shape, finish_reason},
    tool,
};
use crate::{
    dialect::{field::Fields, fold, ignored::Ignored},
    upstream::{Delta, Part},
};

mod choice;

pub(super) use choice::Choice;
use choice::{Answer, CallDelta, ChunkChoice, ChunkDelta, Said};

/// Generates the next message of a chat.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ChatCompletions {
    /// Say how probable tokens were.
    has_logprobs: bool,
    /// Leave out what the model thought.
    hides_reasoning: bool,
    /// Answer with the deprecated `function_call`.
    calls_functions: bool,
    /// What an answer begins with that continues a message.
    beginning: String,
}

impl Shape for ChatCompletions {
    const ID_PREFIX: &'static str = "chatcmpl-";
    const OBJECT: &'static str = "chat.completion";
    const CHUNK_OBJECT: &'static str = "chat.completion.chunk";
    const INPUT: &'static str = "messages";
    const DEFAULT_MAX_TOKENS: Option<u32> = None;
    const UNOFFERED: &'static [Parameter] = parameter::CHAT;

    type Said = Said;
    type Chunk = ChunkChoice;
    type Whole = Choice;

    fn read(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Asked<Self>, Error> {
        let messages = message::messages(fields, ignored)?;
        let continue_last = continues(fields, &messages)?;
        let is_echoed = fields.flag("echo")?.unwrap_or(false);
        let beginning = messages.last().filter(|_| continue_last && is_echoed);
        let beginning = beginning.map(|message| message.content.clone()).unwrap_or_default();
        let tools = tool::tools(fields, ignored)?;
        let Thought { reasoning, template_arguments_json, is_hidden } = reasoning::thought(fields, ignored)?;
        let logprobs = logprobs(fields)?;
        bookkeeping::prediction(fields)?;
        let shape = Self {
            has_logprobs: logprobs.is_some(),
            hides_reasoning: is_hidden,
            calls_functions: tools.are_functions,
            beginning,
        };
        let chat = Chat {
            messages,
            tools_json: tools.json,
            template_arguments_json,
            continue_last,
            tool_choice: tools.choice,
            reasoning,
        };
        let (inputs, functions) = (vec![Input::Chat(chat)], tools.paths);
        Ok(Asked { shape, inputs, best_of: None, logprobs, echo: None, functions })
    }

    fn opening(&self, index: u32) -> Option<ChunkChoice> {
        let delta = ChunkDelta {
            role: Some("assistant"),
            content: Some(self.beginning.clone()),
            ..ChunkDelta::default()
        };
        Some(ChunkChoice::of(index, delta))
    }

    fn silence(&self, index: u32) -> ChunkChoice {
        ChunkChoice::of(index, ChunkDelta::default())
    }

    fn prompt(&self, _: u32, _: &mut Said, _: worker::Prompt) -> Option<ChunkChoice> {
        None
    }

    fn delta(&self, index: u32, said: &mut Said, delta: Delta, mut tell: impl FnMut(ChunkChoice)) {
        let has_logprobs = self.has_logprobs && !delta.logprobs.is_empty();
        let mut logprobs = has_logprobs.then(|| ChatLogprobs::of(delta.logprobs));
        for part in delta.parts {
            if let Some(delta) = self.part(said, part) {
                tell(ChunkChoice { logprobs: logprobs.take(), ..ChunkChoice::of(index, delta) });
            }
        }
        if logprobs.is_some() {
            tell(ChunkChoice { logprobs, ..self.silence(index) });
        }
    }

    fn end(&self, index: u32, reason: FinishReason) -> ChunkChoice {
        let finish_reason = Some(self.finish_reason(reason));
        ChunkChoice { finish_reason, ..self.silence(index) }
    }

    fn whole(&self, index: u32, choice: fold::Choice) -> Choice {
        let finish_reason = self.finish_reason(choice.reason);
        let logprobs = self.has_logprobs.then(|| ChatLogprobs::of(choice.logprobs));
        let text = self.beginning.clone() + &choice.text;
        let reasoning = (!self.hides_reasoning && !choice.reasoning.is_empty()).then_some(choice.reasoning);
        let message = Answer::of(text, reasoning, choice.calls, self.calls_functions);
        Choice { index, message, logprobs, finish_reason }
    }
}

impl ChatCompletions {
    fn part(&self, said: &mut Said, part: Part) -> Option<ChunkDelta> {
        let delta = match part {
            Part::Text(text) => ChunkDelta { content: Some(text), ..ChunkDelta::default() },
            Part::Reasoning(_) if self.hides_reasoning => return None,
            Part::Reasoning(text) => ChunkDelta { reasoning_content: Some(text), ..ChunkDelta::default() },
            Part::ToolCall(piece) => {
                let id = said.id(&piece);
                if self.calls_functions {
                    let function_call = Some(choice::FunctionDelta::of(piece, id.is_some()));
                    ChunkDelta { function_call, ..ChunkDelta::default() }
                } else {
                    ChunkDelta { tool_calls: Some([CallDelta::of(piece, id)]), ..ChunkDelta::default() }
                }
            }
        };
        Some(delta)
    }

    fn finish_reason(&self, reason: FinishReason) -> &'static str {
        match reason {
            FinishReason::ToolCalls if self.calls_functions => "function_call",
            reason => finish_reason(reason),
        }
    }
}

/// Takes vLLM's `continue_final_message` and `add_generation_prompt`. Where neither is given, an assistant's last
/// message is a beginning, as with llama.cpp.
fn continues(fields: &mut Fields<'_>, messages: &[worker::Message]) -> Result<bool, Error> {
    let continues = fields.flag("continue_final_message")?;
    let adds_prompt = fields.flag("add_generation_prompt")?;
    let can = messages.last().is_some_and(|last| {
        last.role == "assistant"
            && last.tool_calls_json.is_empty()
            && !(last.content.is_empty() && last.reasoning.is_empty())
    });
    match (continues, adds_prompt) {
        (Some(true), Some(true)) => {
            let message = "continue_final_message and add_generation_prompt exclude each other";
            Err(Error::invalid("continue_final_message", message))
        }
        (Some(true), _) if !can => {
            let message = "continue_final_message needs a last message of the role assistant, with content and \
                           without tool calls";
            Err(Error::invalid("continue_final_message", message))
        }
        (Some(true), _) => Ok(true),
        (_, Some(false)) => {
            let message = "add_generation_prompt can be false only together with continue_final_message";
            Err(unsupported("add_generation_prompt", message))
        }
        (Some(false), _) | (_, Some(true)) => Ok(false),
        (None, None) => Ok(can),
    }
}

/// Takes `logprobs` and `top_logprobs`.
fn logprobs(fields: &mut Fields<'_>) -> Result<Option<Logprobs>, Error> {
    let is_asked = fields.flag("logprobs")?.unwrap_or(false);
    let top = fields.integer("top_logprobs", 0..=MAX_TOP)?.unwrap_or(0) as u32;
    if top > 0 && !is_asked {
        let message = "top_logprobs needs logprobs to be true";
        return Err(Error::invalid("top_logprobs", message));
    }
    Ok(is_asked.then_some(Logprobs { top }))
}

#[cfg(test)]
mod tests;

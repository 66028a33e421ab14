//! The item that a model is at: how each kind begins, goes on and ends.

use super::{ItemStatus, Logprob, Say, Teller};
use crate::dialect::{
    call,
    openai::responses::{
        id,
        output::{Output, Part},
        tool::{Name, custom_input},
    },
    thought,
};

/// An item that is not whole.
#[derive(Debug)]
pub(super) enum Open {
    Message {
        id: String,
        text: String,
        logprobs: Vec<Logprob>,
    },
    Thought {
        id: String,
        text: String,
        /// It goes into `summary`.
        as_summary: bool,
        is_sealed: bool,
    },
    Call {
        id: String,
        call_id: String,
        name: Name,
        arguments: String,
    },
}

impl Open {
    /// A message of which nothing is said.
    pub(super) fn message() -> Self {
        Self::Message { id: id::new(id::MESSAGE), text: String::new(), logprobs: Vec::new() }
    }

    /// A thought that has not begun.
    pub(super) fn thought(as_summary: bool, is_sealed: bool) -> Self {
        Self::Thought { id: id::new(id::REASONING), text: String::new(), as_summary, is_sealed }
    }

    /// A call without arguments yet, under the model's own id for it if it has one.
    pub(super) fn call(name: Name, own_id: String) -> Self {
        let id = id::new(if name.is_custom { id::CUSTOM_CALL } else { id::FUNCTION_CALL });
        let call_id = if own_id.is_empty() { call::new_id() } else { own_id };
        Self::Call { id, call_id, name, arguments: String::new() }
    }

    /// Tells of its beginning.
    pub(super) fn begin(&mut self, output_index: usize, teller: &mut Teller) {
        let item = &self.so_far(ItemStatus::InProgress, false);
        teller.tell("response.output_item.added", Say::Item { output_index, item });
        match self {
            Self::Message { id, .. } => {
                let part = &Part::OutputText { text: String::new(), annotations: [], logprobs: Vec::new() };
                teller.tell("response.content_part.added", of_part(id, output_index, part));
            }
            Self::Thought { id, as_summary: true, .. } => {
                let part = &Part::SummaryText { text: String::new() };
                teller.tell("response.reasoning_summary_part.added", of_summary(id, output_index, part));
            }
            Self::Thought { id, .. } => {
                let part = &Part::ReasoningText { text: String::new() };
                teller.tell("response.content_part.added", of_part(id, output_index, part));
            }
            Self::Call { .. } => {}
        }
    }

    /// Tells how it goes on.
    pub(super) fn say(
        &mut self,
        delta: &str,
        new_logprobs: Vec<Logprob>,
        output_index: usize,
        teller: &mut Teller,
    ) {
        match self {
            Self::Message { id: item_id, text, logprobs } => {
                text.push_str(delta);
                teller.tell(
                    "response.output_text.delta",
                    Say::TextDelta {
                        item_id,
                        output_index,
                        content_index: 0,
                        delta,
                        logprobs: &new_logprobs,
                    },
                );
                logprobs.extend(new_logprobs);
            }
            Self::Thought { id: item_id, text, as_summary, .. } => {
                text.push_str(delta);
                if *as_summary {
                    let say = Say::SummaryDelta { item_id, output_index, summary_index: 0, delta };
                    teller.tell("response.reasoning_summary_text.delta", say);
                } else {
                    let say = Say::ThoughtDelta { item_id, output_index, content_index: 0, delta };
                    teller.tell("response.reasoning_text.delta", say);
                }
            }
            Self::Call { id: item_id, name, arguments, .. } => {
                arguments.push_str(delta);
                // A custom tool's text can be told when its JSON is whole.
                if !name.is_custom {
                    let say = Say::CallDelta { item_id, output_index, delta };
                    teller.tell("response.function_call_arguments.delta", say);
                }
            }
        }
    }

    /// Tells of its end, but for the item itself, which it returns.
    pub(super) fn end(
        mut self,
        status: ItemStatus,
        held_back: Vec<Logprob>,
        output_index: usize,
        teller: &mut Teller,
    ) -> Output {
        if let Self::Message { logprobs, .. } = &mut self {
            logprobs.extend(held_back);
        }
        let item = self.so_far(status, true);
        let item_id = item.id();
        match &item {
            Output::Message { content, .. } => {
                for part in content {
                    if let Part::OutputText { text, logprobs, .. } = part {
                        let say = Say::TextDone { item_id, output_index, content_index: 0, text, logprobs };
                        teller.tell("response.output_text.done", say);
                    }
                    teller.tell("response.content_part.done", of_part(item_id, output_index, part));
                }
            }
            Output::Reasoning { summary, content, .. } => {
                for part in summary {
                    if let Part::SummaryText { text } = part {
                        let say = Say::SummaryDone { item_id, output_index, summary_index: 0, text };
                        teller.tell("response.reasoning_summary_text.done", say);
                    }
                    let say = of_summary(item_id, output_index, part);
                    teller.tell("response.reasoning_summary_part.done", say);
                }
                for part in content {
                    if let Part::ReasoningText { text } = part {
                        let say = Say::ThoughtDone { item_id, output_index, content_index: 0, text };
                        teller.tell("response.reasoning_text.done", say);
                    }
                    teller.tell("response.content_part.done", of_part(item_id, output_index, part));
                }
            }
            Output::FunctionCall { name, arguments, .. } => {
                let say = Say::ArgumentsDone { item_id, output_index, name, arguments };
                teller.tell("response.function_call_arguments.done", say);
            }
            Output::CustomToolCall { input, .. } => {
                let say = Say::CallDelta { item_id, output_index, delta: input };
                teller.tell("response.custom_tool_call_input.delta", say);
                let say = Say::InputDone { item_id, output_index, input };
                teller.tell("response.custom_tool_call_input.done", say);
            }
        }
        item
    }

    /// The item; without its content unless it `is_whole`.
    fn so_far(&self, status: ItemStatus, is_whole: bool) -> Output {
        match self {
            Self::Message { id, text, logprobs } => {
                let part =
                    || Part::OutputText { text: text.clone(), annotations: [], logprobs: logprobs.clone() };
                let content = is_whole.then(part).into_iter().collect();
                Output::Message { id: id.clone(), status, role: "assistant", content }
            }
            Self::Thought { id, text, as_summary, is_sealed } => {
                let summary = || Part::SummaryText { text: text.clone() };
                let content = || Part::ReasoningText { text: text.clone() };
                Output::Reasoning {
                    id: id.clone(),
                    status,
                    summary: (is_whole && *as_summary).then(summary).into_iter().collect(),
                    content: (is_whole && !as_summary).then(content).into_iter().collect(),
                    encrypted_content: (is_whole && *is_sealed).then(|| thought::seal(text)),
                }
            }
            Self::Call { id, call_id, name, arguments } => {
                let (id, call_id) = (id.clone(), call_id.clone());
                let Name { namespace, name, is_custom } = name.clone();
                if is_custom {
                    let input = if is_whole { custom_input(arguments) } else { String::new() };
                    Output::CustomToolCall { id, status, call_id, name, namespace, input }
                } else {
                    let arguments = arguments.clone();
                    Output::FunctionCall { id, status, call_id, name, namespace, arguments }
                }
            }
        }
    }
}

fn of_part<'a>(item_id: &'a str, output_index: usize, part: &'a Part) -> Say<'a> {
    Say::Part { item_id, output_index, content_index: 0, part }
}

fn of_summary<'a>(item_id: &'a str, output_index: usize, part: &'a Part) -> Say<'a> {
    Say::SummaryPart { item_id, output_index, summary_index: 0, part }
}

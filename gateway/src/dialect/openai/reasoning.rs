//! What a model thinks before it answers: whether, how much, for how long, and where the client wants it.

use impetus_proto::{Error, worker::Reasoning};
use serde_json::value::RawValue;

use super::parameter::unsupported;
use crate::dialect::{
    field::{Fields, kind, wrong_type},
    ignored::Ignored,
};

/// The efforts that somebody defines; a template that does not know one leaves it aside. `none` is not to think.
pub(super) const EFFORTS: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// llama.cpp's words for where a thought goes, and Groq's.
const FORMATS: &[&str] = &["auto", "none", "deepseek", "deepseek-legacy", "parsed", "raw", "hidden"];

const MAX_TOKENS: i64 = i32::MAX as i64;

/// What a request says of reasoning.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Thought {
    /// Absent: as the template does by itself.
    pub(super) reasoning: Option<Reasoning>,
    /// A JSON object of further template variables, or empty.
    pub(super) template_arguments_json: String,
    /// The client does not want to see it.
    pub(super) is_hidden: bool,
}

/// Takes OpenAI's `reasoning_effort`, and what other servers have beside it: `chat_template_kwargs`, budgets, whether
/// to think at all, and where the thought goes.
pub(super) fn thought(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Thought, Error> {
    let mut reasoning = Reasoning::default();
    let template_arguments_json = template_arguments(fields, &mut reasoning)?;
    if let Some(enabled) = fields.flag("enable_thinking")? {
        reasoning.enabled = Some(enabled);
    }
    let mut is_hidden = placement(fields, &mut reasoning)?;
    if let Some(mut thinking) = fields.object("thinking")? {
        let kind = thinking.word("type", &["enabled", "disabled", "adaptive", "auto"])?;
        reasoning.enabled = match kind {
            Some("enabled") => Some(true),
            Some("disabled") => Some(false),
            _ => reasoning.enabled,
        };
        budget(&mut thinking, "budget_tokens", &mut reasoning)?;
        ignored.add("thinking.", &thinking);
    }
    if let Some(mut nested) = fields.object("reasoning")? {
        if let Some(enabled) = nested.flag("enabled")? {
            reasoning.enabled = Some(enabled);
        }
        effort(&mut nested, "effort", &mut reasoning)?;
        budget(&mut nested, "max_tokens", &mut reasoning)?;
        is_hidden |= nested.flag("exclude")? == Some(true);
        ignored.add("reasoning.", &nested);
    }
    effort(fields, "reasoning_effort", &mut reasoning)?;
    for name in ["thinking_token_budget", "thinking_budget_tokens", "reasoning_budget", "thinking_budget"] {
        budget(fields, name, &mut reasoning)?;
    }
    let reasoning = (reasoning != Reasoning::default()).then_some(reasoning);
    Ok(Thought { reasoning, template_arguments_json, is_hidden })
}

/// Takes an effort.
pub(super) fn effort(fields: &mut Fields<'_>, name: &str, reasoning: &mut Reasoning) -> Result<(), Error> {
    match fields.word(name, EFFORTS)? {
        Some("none") => reasoning.enabled = Some(false),
        Some(effort) => {
            reasoning.enabled = Some(true);
            effort.clone_into(&mut reasoning.effort);
        }
        None => {}
    }
    Ok(())
}

/// Takes a number of tokens; -1 is without bound. Where several are given, the least counts.
fn budget(fields: &mut Fields<'_>, name: &str, reasoning: &mut Reasoning) -> Result<(), Error> {
    if let Some(tokens @ 0..) = fields.integer(name, -1..=MAX_TOKENS)? {
        let tokens = tokens as u32;
        let least = reasoning.budget_tokens.map_or(tokens, |budget| budget.min(tokens));
        reasoning.budget_tokens = Some(least);
    }
    Ok(())
}

/// Takes `chat_template_kwargs`, which goes to the template as it is; that `enable_thinking` is among it is for the
/// parser of the output to know.
fn template_arguments(fields: &mut Fields<'_>, reasoning: &mut Reasoning) -> Result<String, Error> {
    let Some(value) = fields.raw("chat_template_kwargs") else { return Ok(String::new()) };
    let mut arguments = Fields::of(value, "chat_template_kwargs".to_owned())?;
    for name in ["enable_thinking", "thinking"] {
        if let Some(value) = arguments.raw(name) {
            match value.get() {
                "true" => reasoning.enabled = Some(true),
                "false" => reasoning.enabled = Some(false),
                _ => return Err(wrong_type(arguments.path_of(name), "true or false", value)),
            }
        }
    }
    Ok(if is_empty(value) { String::new() } else { value.get().to_owned() })
}

/// Takes where the thought is to go: apart, which is the default, into the text, or nowhere.
fn placement(fields: &mut Fields<'_>, reasoning: &mut Reasoning) -> Result<bool, Error> {
    let mut is_hidden = fields.flag("include_reasoning")? == Some(false);
    if fields.flag("separate_reasoning")? == Some(false) {
        reasoning.in_text = true;
    }
    match fields.word("reasoning_format", FORMATS)? {
        Some("none" | "raw") => reasoning.in_text = true,
        Some("hidden") => is_hidden = true,
        Some("deepseek-legacy") => {
            let message = "reasoning_format \"deepseek-legacy\" is not supported by this server; a thought goes into \
                           reasoning_content (\"deepseek\") or into the text (\"none\"), not into both";
            return Err(unsupported("reasoning_format", message));
        }
        _ => {}
    }
    Ok(is_hidden)
}

fn is_empty(object: &RawValue) -> bool {
    kind(object) == "an object" && object.get().trim_matches(['{', '}']).trim().is_empty()
}

#[cfg(test)]
mod tests;

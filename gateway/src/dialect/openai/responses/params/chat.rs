//! What is said to the chat template beside the messages: instructions, tools and how to reason.

use impetus_proto::{Error, worker};

use super::{Asked, Chat, Tools, short};
use crate::dialect::{
    field::Fields,
    ignored::Ignored,
    openai::{
        reasoning,
        responses::{
            asked::{AskedTools, Reasoning, ToolChoice},
            choice,
        },
    },
};

/// How a thought may be summed up, as the API has it.
const SUMMARIES: &[&str] = &["auto", "concise", "detailed"];

/// Takes the tools and the chat, whose messages are not among it.
pub(super) fn take(
    fields: &mut Fields<'_>,
    asked: &mut Asked,
    ignored: &mut Ignored,
) -> Result<(Tools, Chat), Error> {
    asked.instructions = fields.text("instructions")?;
    asked.previous_response_id = short(fields, "previous_response_id")?;
    let declared = fields.raw("tools");
    let tools = Tools::read(declared, ignored)?;
    let chosen = fields.raw("tool_choice");
    asked.parallel_tool_calls = fields.flag("parallel_tool_calls")?.unwrap_or(true);
    let tool_choice = choice::read(chosen, &tools, !asked.parallel_tool_calls, ignored)?;
    if let Some(declared) = declared {
        asked.tools = AskedTools::Given(declared.to_owned());
    }
    if let Some(chosen) = chosen {
        asked.tool_choice = ToolChoice::Given(chosen.to_owned());
    }
    let own = own_reasoning(fields, asked, ignored)?;
    // Other servers have fields of their own for the same.
    let others = reasoning::thought(fields, ignored)?;
    let chat = Chat {
        tools_json: tools.json.clone(),
        tool_choice,
        reasoning: both(own, others.reasoning),
        template_arguments_json: others.template_arguments_json,
        ..Chat::default()
    };
    Ok((tools, chat))
}

/// Takes `reasoning`.
fn own_reasoning(
    fields: &mut Fields<'_>,
    asked: &mut Asked,
    ignored: &mut Ignored,
) -> Result<Option<worker::Reasoning>, Error> {
    let Some(mut nested) = fields.object("reasoning")? else { return Ok(None) };
    let mut own = worker::Reasoning::default();
    reasoning::effort(&mut nested, "effort", &mut own)?;
    let effort = match own.enabled {
        Some(false) => Some("none".to_owned()),
        Some(true) => Some(own.effort.clone()),
        None => None,
    };
    // The second is the former name of the first.
    let summary = nested.word("summary", SUMMARIES)?.or(nested.word("generate_summary", SUMMARIES)?);
    asked.reasoning = Reasoning { effort, summary };
    ignored.add("reasoning.", &nested);
    Ok((own != worker::Reasoning::default()).then_some(own))
}

/// What the API's own field says holds before what others say.
fn both(own: Option<worker::Reasoning>, others: Option<worker::Reasoning>) -> Option<worker::Reasoning> {
    match (own, others) {
        (Some(own), Some(others)) => Some(worker::Reasoning {
            enabled: own.enabled.or(others.enabled),
            effort: if own.effort.is_empty() { others.effort } else { own.effort },
            ..others
        }),
        (own, others) => own.or(others),
    }
}

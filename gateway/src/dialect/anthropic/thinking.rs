//! What a model thinks before it answers: whether, for how long, and what the client sees of it.

use impetus_proto::{Error, worker::Reasoning};

use crate::dialect::{field::Fields, ignored::Ignored};

/// What becomes of thoughts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Shown {
    /// The client asks for no thinking: a model that thinks all the same does so unseen.
    #[default]
    No,
    /// They stand in blocks of their own.
    Yes,
    /// The same, without their text, which comes back in their signatures.
    Sealed,
}

/// What a request says of thinking.
#[derive(Debug, PartialEq)]
pub(super) struct Thinking {
    pub(super) reasoning: Reasoning,
    pub(super) shown: Shown,
}

/// The largest budget, since engines count in signed 32-bit integers.
const MAX_TOKENS: i64 = i32::MAX as i64;

/// Takes `thinking`; without it the API's models do not think.
pub(super) fn take(
    fields: &mut Fields<'_>,
    effort: String,
    ignored: &mut Ignored,
) -> Result<Thinking, Error> {
    let mut reasoning = Reasoning { effort, enabled: Some(false), ..Reasoning::default() };
    let Some(mut thinking) = fields.object("thinking")? else {
        return Ok(Thinking { reasoning, shown: Shown::No });
    };
    let path = thinking.path_of("type");
    let budget = thinking.integer("budget_tokens", 1..=MAX_TOKENS)?;
    let shown = match thinking.word("display", &["summarized", "omitted"])? {
        Some("omitted") => Shown::Sealed,
        // There is nothing that would summarise: what is shown is the thought.
        _ => Shown::Yes,
    };
    let shown = match thinking.word("type", &["enabled", "disabled", "adaptive"])? {
        Some("enabled") => {
            let path = thinking.path_of("budget_tokens");
            let budget = budget.ok_or_else(|| {
                Error::invalid(path.as_str(), format!("{path} is missing; it must be a number of tokens"))
            })?;
            reasoning.enabled = Some(true);
            reasoning.budget_tokens = Some(budget as u32);
            shown
        }
        Some("adaptive") => {
            // As the template does by itself.
            reasoning.enabled = None;
            reasoning.budget_tokens = budget.map(|tokens| tokens as u32);
            shown
        }
        Some(_) => Shown::No,
        None => {
            let message = format!("{path} is missing; it must be enabled, disabled or adaptive");
            return Err(Error::invalid(path, message));
        }
    };
    ignored.add("thinking.", &thinking);
    Ok(Thinking { reasoning, shown })
}

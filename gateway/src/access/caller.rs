//! Who sent a request.

use std::sync::Arc;

use impetus_config::Scope;
use impetus_proto::{Code, Error, supervisor::ModelStatus};
use tokio::time::Instant;

use super::{Reason, Refused, Standing, key::Key};
use crate::glob;

/// Whoever sent a request, for as long as anything is done for it. It is an extension of every request that was let in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// The name of the key that the request came with; empty where it came without one.
    pub(crate) name: Arc<str>,
    key: Option<Arc<Key>>,
}

impl Caller {
    pub(super) fn with(key: Arc<Key>) -> Self {
        Self { name: key.name.clone(), key: Some(key) }
    }

    pub(super) fn check_scope(&self, scope: Scope) -> Result<(), Refused> {
        match &self.key {
            Some(key) if !key.scopes.contains(&scope) => {
                let message = format!(
                    "the API key {:?} is not for this: it lacks the scope {}; use one that has it",
                    self.name,
                    scope.name()
                );
                Err(Refused::new(Reason::Scope, Code::Forbidden, message).of(&self.name))
            }
            _ => Ok(()),
        }
    }

    /// Counts a request against what the key may have in a minute.
    pub(super) fn take_request(&self, now: Instant) -> Result<(), Refused> {
        let Some(key) = &self.key else { return Ok(()) };
        key.quota.take_request(now).map_err(|exhausted| {
            let seconds = exhausted.wait.as_secs_f64().ceil().max(1.0) as u32;
            let message = format!(
                "the API key {:?} has had its {} {} of this minute; try again in {seconds} s",
                self.name, exhausted.per_minute, exhausted.what
            );
            let error = Error::new(Code::RateLimited, message).with_retry_after(seconds);
            Refused { reason: Reason::Rate, error, key: self.name.to_string() }
        })
    }

    /// Whose turn comes first where requests wait: that of who has more.
    pub(crate) fn priority(&self) -> i32 {
        self.key.as_ref().map_or(0, |key| key.priority)
    }

    /// Counts tokens of a prompt or an answer against what the key may have in a minute.
    pub(crate) fn take_tokens(&self, n_tokens: u64) {
        if let Some(key) = &self.key {
            key.quota.take_tokens(n_tokens, Instant::now());
        }
    }

    /// How the key stands with what it may have in a minute.
    pub(crate) fn standing(&self) -> Standing {
        self.key.as_ref().map(|key| key.quota.standing(Instant::now())).unwrap_or_default()
    }

    /// Whether the caller may use every model.
    pub(crate) fn may_use_all(&self) -> bool {
        self.key.as_ref().is_none_or(|key| key.models.is_empty())
    }

    /// Whether the caller may use the model, under whichever of its names.
    pub(crate) fn may_use(&self, model: &ModelStatus) -> bool {
        self.may_name(&model.name) || model.aliases.iter().any(|alias| self.may_name(alias))
    }

    /// Whether the key is for what is called so.
    pub(crate) fn may_name(&self, name: &str) -> bool {
        self.may_use_all()
            || self.key.iter().flat_map(|key| &key.models).any(|pattern| glob::matches(pattern, name))
    }

    /// The refusal of a model that is not the caller's.
    pub(crate) fn refuse_model(&self, model: &str) -> Refused {
        let message = format!(
            "the API key {:?} is not for the model {model:?}; GET /v1/models lists those that it is for",
            self.name
        );
        let refused = Refused::new(Reason::Model, Code::Forbidden, message).of(&self.name);
        Refused { error: refused.error.with_param("model"), ..refused }
    }
}

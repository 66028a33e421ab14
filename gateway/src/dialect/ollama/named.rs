//! The model that a request names: one of this server, or a preset that was made of one.

use impetus_proto::{Code, Error, supervisor::ModelStatus};

use super::{
    error::{cannot, not_found},
    preset::Preset,
};
use crate::server::{Caller, Gateway};

/// The tag that a name without one has.
const LATEST: &str = ":latest";

/// A model that exists and that the caller may use.
#[derive(Debug)]
pub(super) struct Named {
    /// As the client wrote it; the model's own name where it named none.
    pub(super) shown: String,
    /// By which the model is asked for: its name, or an alias.
    pub(super) model: String,
    pub(super) status: ModelStatus,
    pub(super) preset: Option<Preset>,
}

impl Named {
    /// Finds what `name` means to `caller`; empty: the default model.
    pub(super) async fn find(gateway: &Gateway, caller: &Caller, name: &str) -> Result<Self, Error> {
        let preset = if name.is_empty() { None } else { gateway.presets.find(name).await? };
        let wanted = preset.as_ref().map_or(name, |preset| &preset.from);
        for model in spellings(wanted) {
            match gateway.upstream.model_when_there(&model).await {
                Ok(status) => return Self::permitted(gateway, caller, (name, model), status, preset).await,
                Err(error) if error.code() == Code::ModelNotFound && !name.is_empty() => {}
                Err(error) => return Err(error),
            }
        }
        // Whoever may not use everything is not told what there is; for a name that no model has there may be one.
        let mut chosen = wanted.to_owned();
        gateway.permit(caller, &mut chosen).await?;
        if chosen == wanted {
            return Err(not_found(wanted));
        }
        let status = gateway.upstream.model_when_there(&chosen).await?;
        Self::permitted(gateway, caller, (name, chosen), status, preset).await
    }

    async fn permitted(
        gateway: &Gateway,
        caller: &Caller,
        (name, mut model): (&str, String),
        status: ModelStatus,
        preset: Option<Preset>,
    ) -> Result<Self, Error> {
        gateway.permit(caller, &mut model).await?;
        let shown = if name.is_empty() { &status.name } else { name }.to_owned();
        Ok(Self { shown, model, status, preset })
    }

    /// The error in the client's words.
    pub(super) fn worded(&self, error: Error) -> Error {
        match error.code() {
            Code::ModelNotFound => not_found(&self.shown),
            Code::Unprocessable if error.param == "suffix" => cannot(&self.shown, "insert", "suffix"),
            _ => error,
        }
    }

    /// Whether a worker has the model already.
    pub(super) fn is_loaded(&self) -> bool {
        self.status.state == "ready"
    }
}

/// The names that mean the same, the one that was given first: `x` is `x:latest`.
pub(super) fn spellings(name: &str) -> Vec<String> {
    let other = match name.strip_suffix(LATEST) {
        Some(bare) => Some(bare.to_owned()),
        None if name.is_empty() || name.contains(':') => None,
        None => Some(tagged(name)),
    };
    [Some(name.to_owned()), other].into_iter().flatten().collect()
}

/// A name as this API shows it, with a tag.
pub(super) fn tagged(name: &str) -> String {
    if name.contains(':') { name.to_owned() } else { format!("{name}{LATEST}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_tag_is_the_latest() {
        let check = |name: &str, expected: &[&str], shown: &str| {
            assert_eq!(spellings(name), expected);
            assert_eq!(tagged(name), shown);
        };
        check("x", &["x", "x:latest"], "x:latest");
        check("x:latest", &["x:latest", "x"], "x:latest");
        check("x:8b", &["x:8b"], "x:8b");
        assert_eq!(spellings(""), [""]);
    }
}

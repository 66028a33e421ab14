//! Which model a request is for, and whether the caller may use it.

use impetus_proto::{Code, Error, supervisor::ModelStatus};
use tracing::debug;

use super::{Caller, Gateway, refusal};

/// The longest name that a model can have. Errors of the supervisor repeat the name that they are about, in a place that
/// has little room.
const MAX_NAME_CHARS: usize = 256;

impl Gateway {
    /// Whether `caller` may use the model that a request names; an empty name is the default model's. Where no model
    /// has the name and `gateway.names` has one for it, `model` becomes that one's. Every handler asks this before it
    /// asks upstream for anything of a model.
    pub(crate) async fn permit(&self, caller: &Caller, model: &mut String) -> Result<(), Error> {
        if model.chars().count() > MAX_NAME_CHARS {
            let message = format!(
                "no model has a name of more than {MAX_NAME_CHARS} characters; GET /v1/models lists those that there are"
            );
            return Err(Error::new(Code::ModelNotFound, message).with_param("model"));
        }
        self.choose(model).await?;
        if caller.may_use_all() || (!model.is_empty() && caller.may_name(model)) {
            return Ok(());
        }
        match self.upstream.model_when_there(model).await {
            Ok(status) if caller.may_use(&status) => Ok(()),
            // A model that does not exist is refused like one that is somebody else's.
            Err(error) if error.code() != Code::ModelNotFound => Err(error),
            _ => Err(refusal::note(caller.refuse_model(model))),
        }
    }

    /// Puts the model that the owner has chosen for a name in its place. A model's own name always means that model.
    async fn choose(&self, model: &mut String) -> Result<(), Error> {
        let Some(chosen) = self.names.of(model) else { return Ok(()) };
        match self.upstream.model_when_there(model).await {
            Err(error) if error.code() == Code::ModelNotFound => {}
            found => return found.map(drop),
        }
        self.upstream.model_when_there(chosen).await.map_err(|error| match error.code() {
            Code::ModelNotFound => {
                let message = format!(
                    "the model {model:?} does not exist, nor does {chosen:?}, which gateway.names has for it; GET \
                     /v1/models lists those that do"
                );
                Error::new(Code::ModelNotFound, message).with_param("model")
            }
            _ => error,
        })?;
        debug!(asked = model, model = chosen, "chosen by gateway.names");
        chosen.clone_into(model);
        Ok(())
    }
}

impl Caller {
    /// Those of the models that the caller may use.
    pub(crate) fn only_allowed(&self, models: Vec<ModelStatus>) -> Vec<ModelStatus> {
        models.into_iter().filter(|model| self.may_use(model)).collect()
    }
}

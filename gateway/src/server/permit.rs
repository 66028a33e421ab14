//! Which models a caller may use.

use impetus_proto::{Code, Error, supervisor::ModelStatus};

use super::{Caller, Gateway, refusal};

impl Gateway {
    /// Whether `caller` may use the model that a request names; an empty name is the default model's. Every handler
    /// asks this before it asks upstream for anything of a model.
    pub(crate) async fn permit(&self, caller: &Caller, model: &str) -> Result<(), Error> {
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
}

impl Caller {
    /// Those of the models that the caller may use.
    pub(crate) fn only_allowed(&self, models: Vec<ModelStatus>) -> Vec<ModelStatus> {
        models.into_iter().filter(|model| self.may_use(model)).collect()
    }
}

//! Plain questions to the supervisor.

use std::{future::Future, time::Duration};

use impetus_proto::{
    Code, Error,
    supervisor::{
        ModelStatus, ModelsRequest, StatusReply, StatusRequest, supervisor_client::SupervisorClient,
    },
};
use tokio::time::{Instant, sleep};
use tonic::{Response, Status, transport::Channel};

use super::{
    Upstream,
    lease::{FIRST_PAUSE, LONGEST_PAUSE},
};

/// The supervisor answers from memory; one that takes longer is not well.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

impl Upstream {
    /// All models the supervisor knows.
    pub(crate) async fn models(&self) -> Result<Vec<ModelStatus>, Error> {
        let ask =
            |mut client: SupervisorClient<Channel>| async move { client.models(ModelsRequest {}).await };
        Ok(self.ask(ask).await?.models)
    }

    /// The state of the whole server.
    pub(crate) async fn status(&self) -> Result<StatusReply, Error> {
        self.ask(|mut client| async move { client.status(StatusRequest {}).await }).await
    }

    /// The model that answers to `name`, where an empty one means the default.
    pub(crate) async fn model(&self, name: &str) -> Result<ModelStatus, Error> {
        let models = self.models().await?;
        models.into_iter().find(|model| answers_to(model, name)).ok_or_else(|| not_found(name))
    }

    /// The same; a supervisor that is away is waited for, as for completions.
    pub(crate) async fn model_when_there(&self, name: &str) -> Result<ModelStatus, Error> {
        let deadline = Instant::now() + self.limits.supervisor_patience;
        let mut pause = FIRST_PAUSE;
        loop {
            match self.model(name).await {
                Err(error) if error.code() == Code::Unavailable && Instant::now() < deadline => {}
                answer => return answer,
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn ask<T, F>(&self, question: impl FnOnce(SupervisorClient<Channel>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let answer = async {
            let channel = self.connections.get(&self.supervisor, "the supervisor").await?;
            Ok(question(SupervisorClient::new(channel)).await?.into_inner())
        };
        let answer: Result<T, Error> =
            tokio::time::timeout(ANSWER_TIMEOUT, answer).await.unwrap_or_else(|_| {
                Err(Error::new(
                    Code::Unavailable,
                    format!("the supervisor did not answer within {} s", ANSWER_TIMEOUT.as_secs()),
                ))
            });
        if answer.as_ref().is_err_and(|error| error.code() == Code::Unavailable) {
            self.connections.forget(&self.supervisor);
        }
        answer
    }
}

fn answers_to(model: &ModelStatus, name: &str) -> bool {
    if name.is_empty() {
        model.is_default
    } else {
        model.name == name || model.aliases.iter().any(|a| a == name)
    }
}

fn not_found(name: &str) -> Error {
    let message = if name.is_empty() {
        "the request names no model and no default model is set (models.default)".to_owned()
    } else {
        format!("the model {name:?} does not exist; GET /v1/models lists those that do")
    };
    Error::new(Code::ModelNotFound, message).with_param("model")
}

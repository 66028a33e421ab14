//! `Verify`: one model after the other is read again, for as long as somebody listens.

use futures::StreamExt;
use impetus_proto::{Error, store::VerifyEvent};
use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{super::Answers, StoreService};
use crate::{
    pulls::blocking,
    store::{Checked, Listener},
};

/// Files that may be read ahead of whoever listens.
const AHEAD: usize = 16;

/// Who asked.
struct Caller<'a>(&'a mpsc::Sender<Result<VerifyEvent, Status>>);

impl Listener for Caller<'_> {
    fn listens(&self) -> bool {
        !self.0.is_closed()
    }

    fn hear(&self, checked: Checked) {
        // An error means that nobody listens, which is asked for before each file.
        drop(self.0.blocking_send(Ok(event(checked))));
    }
}

impl StoreService {
    pub(super) async fn answer_verify(&self, model: String) -> Result<Answers<VerifyEvent>, Error> {
        let store = self.0.pulls.store();
        let names: Vec<String> = if model.is_empty() {
            blocking(move || Ok(store.models()?.into_iter().map(|kept| kept.name.to_string()).collect()))
                .await?
        } else {
            let name = self.0.library.canonical(&model);
            blocking(move || store.find(&name)).await.map(|kept| vec![kept.name.to_string()])?
        };
        let (tell, told) = mpsc::channel(AHEAD);
        let (store, pulls) = (self.0.pulls.store(), self.0.pulls.clone());
        tokio::spawn(async move {
            let reading = spawn_blocking(move || {
                for name in names {
                    let verified = store.verify(&name, &Caller(&tell));
                    if let Err(error) = verified {
                        // An error means that nobody listens.
                        drop(tell.blocking_send(Err(Status::from(Error::from(error)))));
                    }
                    if tell.is_closed() {
                        break;
                    }
                }
            });
            let refreshed = match reading.await {
                Ok(()) => pulls.refresh().await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = refreshed {
                tracing::error!(%error, "models are not served by what was found of them");
            }
        });
        Ok(ReceiverStream::new(told).boxed())
    }
}

fn event(checked: Checked) -> VerifyEvent {
    VerifyEvent {
        model: checked.model,
        path: checked.path.to_string_lossy().into_owned(),
        bytes: checked.bytes,
        problem: checked.problem.unwrap_or_default(),
    }
}

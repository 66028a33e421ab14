//! Weights of a model's own: files that were sent become a model of the store, and models one of another type.

use impetus_proto::{
    Error,
    store::{
        BeginUploadReply, BeginUploadRequest, ConvertEvent, ConvertRequest, FinishUploadRequest,
        RemoveRequest, convert_event::Event,
    },
};
use serde_json::json;

use super::{Order, Source};
use crate::{
    dialect::ollama::{blob::Digest, told::Listener},
    server::Gateway,
};

/// What is behind a model's name while its weights are not yet of the type that they are to have.
const UNCONVERTED: &str = "-unconverted";

/// Makes the model of the store that the order is for.
pub(super) async fn make(gateway: &Gateway, listener: &Listener, order: &Order) -> Result<(), Error> {
    let (name, quantize) = (&order.name, order.quantize.as_deref());
    match (&order.source, quantize) {
        (Source::Files(files), None) => take_in(gateway, listener, name, files).await,
        (Source::Files(files), Some(kind)) => {
            let unconverted = format!("{name}{UNCONVERTED}");
            take_in(gateway, listener, &unconverted, files).await?;
            let made = convert(gateway, listener, &unconverted, kind, name).await;
            let removed = gateway.upstream.store().await?.remove(RemoveRequest { model: unconverted }).await;
            made?;
            removed.map(drop).map_err(Error::from)
        }
        (Source::Model(_), kind) => {
            let model = order.base.model().unwrap_or_default();
            convert(gateway, listener, model, kind.unwrap_or_default(), name).await
        }
    }
}

/// Files that were sent become a model, as an upload does.
async fn take_in(
    gateway: &Gateway,
    listener: &Listener,
    name: &str,
    files: &[(String, Digest)],
) -> Result<(), Error> {
    listener.status("parsing model files").await;
    let mut store = gateway.upstream.store().await?;
    // They are on that disk already.
    let begin = BeginUploadRequest { name: name.to_owned(), bytes: 0 };
    let BeginUploadReply { id, folder, .. } =
        store.begin_upload(begin).await.map_err(Error::from)?.into_inner();
    let laid = gateway.blobs.lay(files, folder.as_ref()).await;
    let sha256 = files.iter().map(|(path, digest)| (path.clone(), digest.hex())).collect();
    let finish = FinishUploadRequest { id, discard: laid.is_err(), sha256 };
    let finished = store.finish_upload(finish).await;
    laid?;
    finished.map_err(Error::from)?;
    // What is a model now is no longer waiting to become one.
    gateway.blobs.remove(files).await;
    Ok(())
}

/// A model becomes another one of this type, unless nobody waits for it any more.
async fn convert(
    gateway: &Gateway,
    listener: &Listener,
    model: &str,
    kind: &str,
    name: &str,
) -> Result<(), Error> {
    let request = ConvertRequest {
        model: model.to_owned(),
        r#type: kind.to_lowercase(),
        name: name.to_owned(),
        plan_only: false,
    };
    let mut events =
        gateway.upstream.store().await?.convert(request).await.map_err(Error::from)?.into_inner();
    loop {
        let event = tokio::select! {
            event = events.message() => event?,
            () = listener.gone() => return Err(Error::invalid("", "the client has left")),
        };
        match event {
            Some(ConvertEvent { event: Some(Event::Plan(plan)) }) => {
                let from = if plan.source_type.is_empty() { "the" } else { &plan.source_type };
                listener.status(&format!("quantizing {from} model to {}", plan.r#type)).await;
            }
            Some(ConvertEvent { event: Some(Event::Progress(progress)) }) => {
                let status = format!("quantizing to {}", kind.to_uppercase());
                let line =
                    json!({"status": status, "completed": progress.bytes, "total": progress.total_bytes});
                listener.say(line).await;
            }
            Some(ConvertEvent { event: Some(Event::Done(_)) }) => return Ok(()),
            Some(ConvertEvent { event: None }) => {}
            None => return Err(Error::internal("the supervisor did not say what has become of it")),
        }
    }
}

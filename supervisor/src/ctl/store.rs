//! What the verbs of the store share: its client, and how a model of it is shown.

use impetus_proto::{
    MAX_MESSAGE_BYTES,
    store::{Stored, store_client::StoreClient},
};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::{Server, connect, failure::Failure};

pub(super) async fn client(server: &Server) -> Result<StoreClient<Channel>, Failure> {
    let channel = connect::channel(server).await?;
    Ok(StoreClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES))
}

pub(super) fn as_json(model: &Stored) -> Value {
    let files = model.files.iter().map(|file| {
        let sha256 = (!file.sha256.is_empty()).then_some(&file.sha256);
        json!({ "path": file.path, "bytes": file.bytes, "sha256": sha256 })
    });
    json!({
        "name": model.name,
        "path": model.path,
        "origin": model.origin,
        "source": model.source,
        "revision": model.revision,
        "format": model.format,
        "quantization": model.quantization,
        "bytes": model.bytes,
        "added_unix_s": model.added_unix_s,
        "verified_unix_s": model.verified_unix_s,
        "loaded": model.loaded,
        "broken": (!model.broken.is_empty()).then_some(&model.broken),
        "files": files.collect::<Vec<_>>(),
    })
}

//! Models that were made of others. The store does not know them: their gateway does.

use std::{path::Path, process::ExitCode};

use impetus_proto::Code;
use serde_json::json;

use super::{Failure, Server, api::Api, rm};
use crate::ctl::{print, store};

/// Removes one after the other, from the store or from what was made over it; the first that cannot be removed is the
/// last that is tried.
pub(super) async fn remove(
    server: &Server,
    arguments: rm::Arguments,
    key_file: Option<&Path>,
) -> Result<ExitCode, Failure> {
    let mut client = store::client(server).await?;
    for model in arguments.models {
        match rm::remove(&mut client, &model).await {
            Err(Failure::Refused(error)) if error.code() == Code::ModelNotFound => {
                let api = Api::of(server, key_file).await?;
                api.ask("DELETE", "/api/delete", &json!({"model": model})).await?;
                print(&format!("removed {model}\n"))?;
            }
            removed => removed?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

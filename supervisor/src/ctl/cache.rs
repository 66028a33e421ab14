//! `supervisorctl cache`

mod list;
mod rm;

use std::process::ExitCode;

use clap::Subcommand;
use impetus_proto::{
    MAX_MESSAGE_BYTES,
    cache::{File, caches_client::CachesClient},
};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::{Server, connect, failure::Failure};

/// What to do with the files of kept prefixes.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Lists the files by model, with what they take of the disk and when they were last used.
    List(list::Arguments),
    /// Removes the files of a model, or all, that no worker has.
    Rm(rm::Arguments),
}

pub(super) async fn run(server: &Server, verb: Verb) -> Result<ExitCode, Failure> {
    match verb {
        Verb::List(arguments) => list::run(server, &arguments).await,
        Verb::Rm(arguments) => rm::run(server, arguments).await,
    }
}

async fn client(server: &Server) -> Result<CachesClient<Channel>, Failure> {
    let channel = connect::channel(server).await?;
    Ok(CachesClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES))
}

/// The model, or the file where nobody knows whose it is.
fn name(file: &File) -> &str {
    if file.model.is_empty() { &file.path } else { &file.model }
}

fn as_json(file: &File) -> Value {
    json!({
        "model": (!file.model.is_empty()).then_some(&file.model),
        "path": file.path,
        "bytes": file.bytes,
        "used_unix_s": file.used_unix_s,
        "in_use": file.in_use,
    })
}

#[cfg(test)]
fn file(model: &str, mib: u64, in_use: bool) -> File {
    let path = format!("/state/prefixes/{model}0f.kv");
    File { model: model.into(), path, bytes: mib << 20, used_unix_s: 1_000, in_use }
}

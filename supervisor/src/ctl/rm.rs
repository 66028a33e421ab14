//! `supervisorctl rm`

use std::process::ExitCode;

use impetus_proto::store::RemoveRequest;

use super::{Server, failure::Failure, print, store, table::amount};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Models of the store, by name or alias.
    #[arg(required = true)]
    models: Vec<String>,
}

/// Removes one after the other; the first that cannot be removed is the last that is tried.
pub(super) async fn run(server: &Server, arguments: Arguments) -> Result<ExitCode, Failure> {
    let mut client = store::client(server).await?;
    for model in arguments.models {
        let reply = client.remove(RemoveRequest { model }).await?.into_inner();
        print(&format!("removed {}, {}\n", reply.model, amount(reply.freed_bytes)))?;
    }
    Ok(ExitCode::SUCCESS)
}

//! `supervisorctl rm`

use std::process::ExitCode;

use impetus_proto::store::{RemoveRequest, store_client::StoreClient};
use tonic::transport::Channel;

use super::{Server, failure::Failure, print, store, table::amount};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Models of the store, by name or alias.
    #[arg(required = true)]
    pub(super) models: Vec<String>,
}

/// Removes one after the other; the first that cannot be removed is the last that is tried.
pub(super) async fn run(server: &Server, arguments: Arguments) -> Result<ExitCode, Failure> {
    let mut client = store::client(server).await?;
    for model in arguments.models {
        remove(&mut client, &model).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes a model and says so.
pub(super) async fn remove(client: &mut StoreClient<Channel>, model: &str) -> Result<(), Failure> {
    let reply = client.remove(RemoveRequest { model: model.to_owned() }).await?.into_inner();
    print(&format!("removed {}, {}\n", reply.model, amount(reply.freed_bytes)))
}

//! `supervisorctl unload`

use std::process::ExitCode;

use impetus_proto::supervisor::UnloadRequest;

use super::{Server, connect::connect, failure::Failure, print};

pub(super) async fn run(server: &Server, model: String) -> Result<ExitCode, Failure> {
    let reply = connect(server).await?.unload(UnloadRequest { model }).await?.into_inner();
    print(&format!("{} is unloaded\n", reply.model))?;
    Ok(ExitCode::SUCCESS)
}

//! `supervisorctl load`

use std::process::ExitCode;

use impetus_proto::supervisor::LoadRequest;

use super::{Server, connect::connect, failure::Failure, print};

pub(super) async fn run(server: &Server, model: String) -> Result<ExitCode, Failure> {
    let reply = connect(server).await?.load(LoadRequest { model }).await?.into_inner();
    print(&format!("{} is ready on {}\n", reply.model, reply.worker_id))?;
    Ok(ExitCode::SUCCESS)
}

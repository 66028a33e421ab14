//! `supervisorctl restart`

use std::process::ExitCode;

use impetus_proto::supervisor::RestartRequest;

use super::{Server, connect::connect, failure::Failure, print};

pub(super) async fn run(server: &Server, target: String) -> Result<ExitCode, Failure> {
    let reply = connect(server).await?.restart(RestartRequest { target }).await?.into_inner();
    print(&format!("{} is restarted\n", reply.target))?;
    Ok(ExitCode::SUCCESS)
}

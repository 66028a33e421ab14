//! `supervisorctl version`

use std::process::ExitCode;

use impetus_proto::supervisor::VersionRequest;

use super::{
    Server,
    connect::connect,
    failure::{Failure, NOT_RUNNING},
    print,
};

pub(super) async fn run(server: &Server) -> Result<ExitCode, Failure> {
    print(&format!("supervisorctl {}\n", env!("CARGO_PKG_VERSION")))?;
    let mut client = match connect(server).await {
        Ok(client) => client,
        Err(Failure::NotRunning { .. }) => {
            print("supervisor is not running\n")?;
            return Ok(ExitCode::from(NOT_RUNNING));
        }
        Err(failure) => return Err(failure),
    };
    let reply = client.version(VersionRequest {}).await?.into_inner();
    print(&format!("supervisor {}\n", reply.version))?;
    Ok(ExitCode::SUCCESS)
}

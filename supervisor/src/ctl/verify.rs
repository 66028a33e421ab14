//! `supervisorctl verify`

use std::process::ExitCode;

use impetus_proto::store::VerifyRequest;

use super::{Server, failure::Failure, print, store, table::amount};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A model of the store, by name or alias. Default: all of them.
    model: Option<String>,
}

pub(super) async fn run(server: &Server, arguments: Arguments) -> Result<ExitCode, Failure> {
    let request = VerifyRequest { model: arguments.model.unwrap_or_default() };
    let mut events = store::client(server).await?.verify(request).await?.into_inner();
    let (mut n_files, mut bytes, mut n_damaged) = (0u64, 0u64, 0u64);
    while let Some(event) = events.message().await? {
        n_files += 1;
        bytes += event.bytes;
        if !event.problem.is_empty() {
            n_damaged += 1;
            print(&format!("{}: {}: {}\n", event.model, event.path, event.problem))?;
        }
    }
    print(&format!("{n_files} files, {}, {n_damaged} damaged\n", amount(bytes)))?;
    if n_damaged > 0 {
        print("damaged models are not served; `supervisorctl rm` them and pull them again\n")?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

//! `supervisorctl dedupe`

use std::process::ExitCode;

use impetus_proto::store::DedupeRequest;

use super::{Server, failure::Failure, print, store, table::amount};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Says what would be done, and does nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(server: &Server, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let request = DedupeRequest { plan_only: arguments.dry_run };
    let reply = store::client(server).await?.dedupe(request).await?.into_inner();
    for shared in &reply.shared {
        print(&format!("{} is {}, {}\n", shared.path, shared.with, amount(shared.bytes)))?;
    }
    let freed = if arguments.dry_run { "would be freed" } else { "freed" };
    print(&format!("{} {freed}\n", amount(reply.freed_bytes)))?;
    Ok(ExitCode::SUCCESS)
}

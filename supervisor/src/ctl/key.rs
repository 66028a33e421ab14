//! `supervisorctl key`

mod add;
mod list;
mod offline;
mod revoke;

use std::process::ExitCode;

use clap::Subcommand;

use super::{Server, failure::Failure};

/// What to do with keys. Without a running server it is done to the file that the next one reads.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Makes a key and prints it, this once.
    Add(add::Arguments),
    /// Lists the keys by name, with what they open and when they were last used.
    List(list::Arguments),
    /// Takes a key away: it opens nothing from now on.
    Revoke {
        /// The key's name.
        name: String,
    },
}

pub(super) async fn run(server: &Server, verb: Verb) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Add(arguments) => add::run(server, arguments).await,
        Verb::List(arguments) => list::run(server, &arguments).await,
        Verb::Revoke { name } => revoke::run(server, name).await,
    }
}

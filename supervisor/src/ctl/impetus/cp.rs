//! `impetus cp`

use std::{path::PathBuf, process::ExitCode};

use serde_json::json;

use super::{Failure, Server, api::Api};
use crate::ctl::print;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A model's name or alias.
    source: String,
    /// The name that it is to have as well.
    destination: String,
    /// A file with a key, where the server asks for one and it is not in the environment variable IMPETUS_API_KEY.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

pub(super) async fn run(server: &Server, arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { source, destination, key_file } = arguments;
    let api = Api::of(server, key_file.as_deref()).await?;
    api.ask("POST", "/api/copy", &json!({"source": source, "destination": destination})).await?;
    print(&format!("{source} is {destination} as well\n"))?;
    Ok(ExitCode::SUCCESS)
}

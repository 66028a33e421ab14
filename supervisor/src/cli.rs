//! The command line of `supervisor`.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Result;
use clap::{Command, CommandFactory, Parser};

use crate::{
    launch::{SHIM_ARGUMENT, shim},
    server,
};

/// Serves language models: starts, limits and restarts one process for each model, and a gateway that speaks
/// OpenAI's HTTP API.
#[derive(Debug, Parser)]
#[command(name = "supervisor", version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting that outranks file and environment, such as gateway.listen=127.0.0.1:8081; may be repeated.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    sets: Vec<String>,
    /// Prints every setting with where its value comes from, and exits.
    #[arg(long)]
    print_config: bool,
    /// Prints the page on all settings, docs/configuration.md, and exits.
    #[arg(long, conflicts_with = "print_config")]
    print_config_reference: bool,
}

/// What the program can be asked for.
pub(crate) fn command() -> Command {
    Arguments::command()
}

/// Runs the program as its arguments say.
pub fn run() -> ExitCode {
    // The shim comes first: it must see its process as the launch left it, before any thread exists.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == SHIM_ARGUMENT) {
        return shim::run();
    }
    match serve(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is the last place left; if it is closed, the exit code has to do.
            let priority = impetus_telemetry::journal_prefix(tracing::Level::ERROR);
            let _ = writeln!(io::stderr(), "{priority}supervisor: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Arguments) -> Result<()> {
    if arguments.print_config_reference {
        io::stdout().write_all(impetus_config::reference().as_bytes())?;
        return Ok(());
    }
    let loaded = impetus_config::load(arguments.config.as_deref(), &arguments.sets)?;
    if arguments.print_config {
        io::stdout().write_all(loaded.describe().as_bytes())?;
        return Ok(());
    }
    server::run(loaded)
}

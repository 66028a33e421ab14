//! The command line of `supervisor`.

use std::{
    env,
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Result;
use clap::{Command, CommandFactory, Parser};

use crate::{
    launch::{SHIM_ARGUMENT, shim},
    server,
    upgrade::{self, PROBE_ARGUMENT, Resumed},
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
    if is_first(SHIM_ARGUMENT) {
        return shim::run();
    }
    let done = if is_first(PROBE_ARGUMENT) {
        let arguments = env::args_os().enumerate().filter(|(idx, _)| *idx != 1);
        probe(&Arguments::parse_from(arguments.map(|(_, argument)| argument)))
    } else {
        come_up(Resumed::find(), |resumed| serve(&Arguments::parse(), resumed))
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is the last place left; if it is closed, the exit code has to do.
            let priority = impetus_telemetry::journal_prefix(tracing::Level::ERROR);
            let _ = writeln!(io::stderr(), "{priority}supervisor: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_first(argument: &str) -> bool {
    env::args_os().nth(1).is_some_and(|first| first == argument)
}

/// Goes back to the supervisor before, where there is one, if this one cannot even begin to serve.
fn come_up(resumed: Option<Resumed>, serve: impl FnOnce(Option<Resumed>) -> Result<()>) -> Result<()> {
    let way_back = resumed.as_ref().and_then(|former| former.way_back.clone());
    let Some(way_back) = way_back else { return serve(resumed) };
    let done = catch_unwind(AssertUnwindSafe(|| serve(resumed)));
    let reason = match &done {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => "it panicked".to_owned(),
    };
    if let Some(error) = way_back.go(&format!("it does not come up: {reason}")) {
        anyhow::bail!("{reason}; and the supervisor before cannot be executed again: {error}");
    }
    done.unwrap_or_else(|_| anyhow::bail!(reason))
}

fn probe(arguments: &Arguments) -> Result<()> {
    let loaded = impetus_config::load(arguments.config.as_deref(), &arguments.sets)?;
    let answer = upgrade::probe(&loaded)?;
    io::stdout().write_all(answer.as_bytes())?;
    Ok(())
}

fn serve(arguments: &Arguments, resumed: Option<Resumed>) -> Result<()> {
    if arguments.print_config_reference {
        io::stdout().write_all(impetus_config::reference().as_bytes())?;
        return Ok(());
    }
    let loaded = impetus_config::load(arguments.config.as_deref(), &arguments.sets)?;
    if arguments.print_config {
        io::stdout().write_all(loaded.describe().as_bytes())?;
        return Ok(());
    }
    server::run(loaded, resumed)
}

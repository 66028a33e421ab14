//! `supervisorctl`: one verb, one file.

mod bench;
mod cache;
mod connect;
mod convert;
mod crashes;
mod dedupe;
mod doctor;
mod entrance;
mod events;
mod failure;
mod http;
pub mod impetus;
mod key;
mod list;
mod load;
mod log_level;
mod login;
mod logs;
mod manual;
mod models;
mod ps;
mod pull;
mod reload;
mod restart;
mod rm;
mod run;
mod service;
mod show;
mod signals;
mod status;
mod store;
mod swap;
mod table;
mod terminal;
mod top;
mod unload;
mod upgrade;
mod verify;
mod version;

use std::{
    future::Future,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use self::failure::Failure;

/// Shows and steers a running Impetus server.
#[derive(Debug, Parser)]
#[command(name = "supervisorctl", version)]
struct Arguments {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    verb: Verb,
}

/// Which server is meant.
#[derive(Debug, Args)]
struct Server {
    /// The server's control socket.
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
    /// The configuration file that the server was started with.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Shows the gateway, the workers and the models; exits with 3 unless the gateway serves.
    Status(status::Arguments),
    /// Lists the models that are loaded: what they hold, what they do and how long they stay.
    Ps(ps::Arguments),
    /// Shows the server live: gateway, memory, workers, tokens a second.
    Top(top::Arguments),
    /// Talks to a model: one answer to a prompt, or a chat in the terminal.
    Run(Box<run::Arguments>),
    /// Checks machine, configuration, folders, models and programs, and says what to do; exits with 1 when something is
    /// wrong.
    Doctor(doctor::Arguments),
    /// Lists the models.
    Models(models::Arguments),
    /// Loads a model and waits until it serves.
    Load {
        /// A model's name or alias.
        model: String,
    },
    /// Lets a model's requests finish and stops its worker.
    Unload {
        /// A model's name or alias.
        model: String,
    },
    /// Starts another one, which takes over from the present one when it is ready; clears the failure of a model that
    /// was given up.
    Restart {
        /// A model, a worker or "gateway".
        target: String,
    },
    /// Lets an alias mean another model; requests move over once that one serves.
    Swap {
        /// The alias, which may be a new one.
        alias: String,
        /// A model's name or alias.
        model: String,
    },
    /// Fetches a model from the Hugging Face hub, from Ollama's library or from an address.
    Pull(pull::Arguments),
    /// Makes a GGUF model of another one, of weights in any type, and checks that it answers as that one does.
    #[command(alias = "quantize")]
    Convert(convert::Arguments),
    /// Lists the models that were fetched, sent or made here.
    List(list::Arguments),
    /// Shows everything that is known of a model.
    Show(show::Arguments),
    /// Unloads models and removes their files, as far as no request uses them.
    Rm(rm::Arguments),
    /// Reads the files of models again and compares them with their digests.
    Verify(verify::Arguments),
    /// Lets files with the same content share their room on the disk.
    Dedupe(dedupe::Arguments),
    /// Keeps a token with which gated models are fetched.
    Login(login::Arguments),
    /// Forgets that token.
    Logout(login::Arguments),
    /// Lists and removes what is kept of computed prompts.
    #[command(subcommand)]
    Cache(cache::Verb),
    /// Makes, lists and revokes the keys that clients need.
    #[command(subcommand)]
    Key(key::Verb),
    /// Measures how fast the server serves a model, also against another server.
    Bench(Box<bench::Arguments>),
    /// Installs the server as a service of this machine or user, removes it, shows it.
    #[command(subcommand)]
    Service(service::Verb),
    /// Has the server read its configuration again; only what changed is touched.
    Reload,
    /// Goes over to other programs, one process after the other, without ending a request.
    Upgrade(upgrade::Arguments),
    /// Shows what the processes log.
    Logs(logs::Arguments),
    /// Shows, or changes until the next start, how much the processes log.
    LogLevel(log_level::Arguments),
    /// Shows what has happened to the server.
    Events(events::Arguments),
    /// Lists and shows the reports of deaths that nobody had asked for.
    #[command(args_conflicts_with_subcommands = true)]
    Crashes(crashes::Arguments),
    /// Prints a script that completes this program's verbs and options in a shell.
    Completions {
        /// The shell.
        shell: Shell,
        /// For this program instead: supervisorctl or impetus.
        #[arg(long, value_parser = ["supervisorctl", "impetus"], default_value = "supervisorctl")]
        program: String,
    },
    /// Writes the manual pages of supervisor, supervisorctl and impetus.
    Man {
        /// Where to; a folder that is made if need be.
        folder: PathBuf,
    },
    /// Shows the version of this program and of the server.
    Version,
}

/// Runs the program as its arguments say.
pub fn run() -> ExitCode {
    finish("supervisorctl", dispatch(Arguments::parse()))
}

/// Runs a program's work to its end, and says what went wrong.
fn finish(program: &str, work: impl Future<Output = Result<ExitCode, Failure>>) -> ExitCode {
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(work));
    match outcome {
        Ok(code) => code,
        // Whoever reads the output has had enough, as `head` does.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            // Standard error is the last place left; if it is closed, the exit code has to do.
            let _ = writeln!(io::stderr(), "{program}: {failure}");
            failure.exit_code()
        }
    }
}

async fn dispatch(arguments: Arguments) -> Result<ExitCode, Failure> {
    let server = arguments.server;
    match arguments.verb {
        Verb::Status(arguments) => status::run(&server, &arguments).await,
        Verb::Ps(arguments) => ps::run(&server, &arguments).await,
        Verb::Top(arguments) => top::run(&server, &arguments).await,
        Verb::Run(arguments) => Box::pin(run::run(&server, *arguments)).await,
        Verb::Doctor(arguments) => doctor::run(&server, &arguments).await,
        Verb::Models(arguments) => models::run(&server, &arguments).await,
        Verb::Load { model } => load::run(&server, model).await,
        Verb::Unload { model } => unload::run(&server, model).await,
        Verb::Restart { target } => restart::run(&server, target).await,
        Verb::Swap { alias, model } => swap::run(&server, alias, model).await,
        Verb::Pull(arguments) => Box::pin(pull::run(&server, arguments)).await,
        Verb::Convert(arguments) => Box::pin(convert::run(&server, arguments)).await,
        Verb::List(arguments) => list::run(&server, &arguments).await,
        Verb::Show(arguments) => show::run(&server, arguments).await,
        Verb::Rm(arguments) => rm::run(&server, arguments).await,
        Verb::Verify(arguments) => verify::run(&server, arguments).await,
        Verb::Dedupe(arguments) => dedupe::run(&server, &arguments).await,
        Verb::Login(arguments) => login::login(&server, arguments),
        Verb::Logout(arguments) => login::logout(&server, arguments),
        Verb::Cache(verb) => cache::run(&server, verb).await,
        Verb::Key(verb) => key::run(&server, verb).await,
        Verb::Bench(arguments) => Box::pin(bench::run(&server, *arguments)).await,
        Verb::Service(verb) => service::run(&server, verb).await,
        Verb::Reload => reload::run(&server).await,
        Verb::Upgrade(arguments) => upgrade::run(&server, arguments).await,
        Verb::Logs(arguments) => logs::run(&server, arguments).await,
        Verb::LogLevel(arguments) => log_level::run(&server, arguments).await,
        Verb::Events(arguments) => events::run(&server, &arguments).await,
        Verb::Crashes(arguments) => crashes::run(&server, arguments).await,
        Verb::Completions { shell, program } => manual::complete(shell, &program),
        Verb::Man { folder } => manual::write(&folder),
        Verb::Version => version::run(&server).await,
    }
}

/// Writes to standard output.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Output)
}

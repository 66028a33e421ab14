//! `impetus`: the verbs that are typed every day, under the names that Ollama gave them. They are those of `supervisorctl`;
//! what is its own makes models of others, over the gateway's HTTP.

mod api;
mod cp;
mod create;
mod made;
mod serve;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{Command, CommandFactory, Parser, Subcommand};

pub(super) use create::CreateError;
pub(super) use serve::ServeError;

use super::{Failure, Server, finish, list, ps, pull, rm, show, unload};

/// Runs, fetches and makes language models on this machine. `supervisorctl` has the other verbs.
#[derive(Debug, Parser)]
#[command(name = "impetus", version)]
struct Arguments {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Starts the server in the place of this program; what follows is for `supervisor`.
    #[command(disable_help_flag = true)]
    Serve {
        /// Arguments of `supervisor`, such as --set gateway.listen=127.0.0.1:8081.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Talks to a model: one answer to a prompt, or a chat in the terminal.
    Run(Box<super::run::Arguments>),
    /// Fetches a model from the Hugging Face hub, from Ollama's library or from an address.
    Pull(pull::Arguments),
    /// Lists the models that were fetched, sent or made here, and what was made of others.
    #[command(visible_alias = "ls")]
    List(list::Arguments),
    /// Lists the models that are loaded: what they hold, what they do and how long they stay.
    Ps(ps::Arguments),
    /// Shows everything that is known of a model.
    Show(show::Arguments),
    /// Removes models, as far as no request uses them.
    Rm {
        #[command(flatten)]
        arguments: rm::Arguments,
        /// A file with a key, where the server asks for one and it is not in the environment variable IMPETUS_API_KEY.
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
    /// Gives a model a second name.
    Cp(cp::Arguments),
    /// Makes a model of another one, or of a file with weights, as a Modelfile says.
    Create(create::Arguments),
    /// Lets a model's requests finish and stops its worker.
    Stop {
        /// A model's name or alias.
        model: String,
    },
}

/// Runs the program as its arguments say.
pub fn run() -> ExitCode {
    let Arguments { server, verb } = Arguments::parse();
    finish("impetus", dispatch(server, verb))
}

/// What the program can be asked for.
pub(super) fn command() -> Command {
    Arguments::command()
}

async fn dispatch(server: Server, verb: Verb) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Serve { arguments } => serve::run(&server, arguments),
        Verb::Run(mut arguments) => {
            made::begin(&server, &mut arguments).await?;
            Box::pin(super::run::run(&server, *arguments)).await
        }
        Verb::Pull(arguments) => Box::pin(pull::run(&server, arguments)).await,
        Verb::List(arguments) => made::list(&server, &arguments).await,
        Verb::Ps(arguments) => ps::run(&server, &arguments).await,
        Verb::Show(arguments) => show::run(&server, arguments).await,
        Verb::Rm { arguments, key_file } => made::remove(&server, arguments, key_file.as_deref()).await,
        Verb::Cp(arguments) => cp::run(&server, arguments).await,
        Verb::Create(arguments) => Box::pin(create::run(&server, arguments)).await,
        Verb::Stop { model } => unload::run(&server, model).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Arguments, String> {
        Arguments::try_parse_from(["impetus"].iter().chain(line)).map_err(|error| error.to_string())
    }

    #[test]
    fn what_follows_serve_is_not_ours() {
        let line = ["--config", "c.toml", "serve", "--set", "gateway.listen=127.0.0.1:1", "--help"];
        let Arguments { server, verb: Verb::Serve { arguments } } = parse(&line).unwrap() else {
            panic!("{line:?}")
        };
        assert_eq!(server.config, Some("c.toml".into()));
        assert_eq!(arguments, ["--set", "gateway.listen=127.0.0.1:1", "--help"]);
    }

    #[test]
    fn verbs_are_those_of_ollamas_users() {
        let is_fine = |line: &[&str]| parse(line).is_ok();
        for line in [
            &["run", "tiny", "hello"][..],
            &["pull", "qwen3:0.6b"],
            &["ls"],
            &["list"],
            &["ps"],
            &["show", "tiny"],
            &["rm", "a", "b"],
            &["cp", "a", "b"],
            &["create", "mario"],
            &["create", "-f", "M", "-q", "q8_0", "mario"],
            &["stop", "tiny"],
            &["serve"],
        ] {
            assert!(is_fine(line), "{line:?}: {:?}", parse(line));
        }
        for line in [&["rm"][..], &["cp", "a"], &["create"], &["push", "a"], &["key", "list"], &[]] {
            assert!(!is_fine(line), "{line:?}");
        }
    }
}

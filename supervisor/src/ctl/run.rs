//! `supervisorctl run`: one answer to a prompt, or a chat in the terminal. It speaks HTTP to the gateway as any client
//! does.

mod beginning;
mod chat;
mod client;
mod command;
mod conversation;
mod editor;
mod error;
mod event;
mod history;
mod input;
mod prompt;
mod request;
mod screen;
mod settings;

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use impetus_proto::supervisor::StatusRequest;
use tokio::signal;

pub(super) use self::{
    beginning::Beginning,
    client::{Client, accepted},
    error::RunError,
};
use self::{
    chat::Chat,
    client::Answer,
    conversation::Conversation,
    history::History,
    request::Wish,
    screen::Screen,
    settings::{SettingError, Settings},
};
use super::{Server, connect::connect, entrance, failure::Failure, signals};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A model's name or alias.
    pub(super) model: String,
    /// What to say. What comes through a pipe or from a file is said behind it. Without both a chat begins.
    prompt: Vec<String>,
    /// Instructions for the model.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// 0 is always the likeliest token.
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<String>,
    /// The longest answer.
    #[arg(long, value_name = "N")]
    max_tokens: Option<String>,
    /// The same answer again.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<String>,
    /// A text that ends the answer; may be repeated.
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Has the answer be JSON; with =SCHEMA, a JSON schema or a file with one, JSON of that kind.
    #[arg(long, value_name = "SCHEMA", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    json: Option<String>,
    /// How long the model stays loaded afterwards: seconds, or a duration such as 5m; negative: until it is told to go.
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    keep_alive: Option<String>,
    /// Says what an answer took, on standard error.
    #[arg(long, short)]
    verbose: bool,
    /// A file with a key, where the server asks for one and it is not in the environment variable IMPETUS_API_KEY.
    #[arg(long, value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
    /// Does not keep what is typed for the next chat.
    #[arg(long)]
    no_history: bool,
    /// What comes before everything that is given here.
    #[arg(skip)]
    pub(super) beginning: Beginning,
}

pub(super) async fn run(server: &Server, arguments: Arguments) -> Result<ExitCode, Failure> {
    let settings = arguments.settings().map_err(RunError::from)?;
    let response_format = arguments.json.as_deref().map(request::response_format).transpose()?;
    let prompt = prompt::read(&arguments.prompt)?;
    if prompt.is_none() && !io::stdout().is_terminal() {
        return Err(RunError::NoTerminal.into());
    }
    let mut supervisor = connect(server).await?;
    let status = supervisor.status(StatusRequest {}).await?.into_inner();
    let authority = entrance::authority(status.gateway.as_ref())?;
    let client = Client::new(authority, arguments.key_file.as_deref())?;
    let wish = Wish { model: arguments.model, settings, response_format };
    let Conversation { system, turns } = arguments.beginning.conversation;
    let conversation = Conversation { system: arguments.system.or(system), turns };
    if let Some(prompt) = prompt {
        return once(&client, &wish, &conversation, &prompt, arguments.verbose).await;
    }
    let history = History::new(state_dir(server).filter(|_| !arguments.no_history).as_deref());
    Chat::new(supervisor, client, wish, conversation, arguments.verbose)?.run(history).await
}

impl Arguments {
    fn settings(&self) -> Result<Settings, SettingError> {
        let mut settings = self.beginning.settings.clone();
        let given = [
            ("temperature", &self.temperature),
            ("max_tokens", &self.max_tokens),
            ("seed", &self.seed),
            ("keep_alive", &self.keep_alive),
        ];
        for (key, value) in given {
            if let Some(value) = value {
                settings.set(key, value)?;
            }
        }
        if !self.stop.is_empty() {
            settings.set("stop", &serde_json::Value::from(self.stop.clone()).to_string())?;
        }
        Ok(settings)
    }
}

/// Where the server that is meant keeps what outlives it, as far as its configuration can be read here.
fn state_dir(server: &Server) -> Option<PathBuf> {
    let loaded = impetus_config::load(server.config.as_deref(), &[]).ok()?;
    Some(loaded.config.supervisor.state_dir)
}

async fn once(
    client: &Client,
    wish: &Wish,
    conversation: &Conversation,
    prompt: &str,
    is_verbose: bool,
) -> Result<ExitCode, Failure> {
    let (mut answer, mut screen) = (Answer::default(), Screen::of_standard_output());
    let body = wish.body(conversation.messages(prompt));
    let outcome = tokio::select! {
        outcome = client.ask(&body, &mut answer, &mut screen) => Some(outcome),
        _ = signal::ctrl_c() => None,
    };
    screen.end()?;
    let Some(outcome) = outcome else { return Ok(signals::interrupted()) };
    outcome?;
    if let Some(figures) = answer.figures.filter(|_| is_verbose) {
        // The answer is out; who does not read this does not want it.
        let _ = writeln!(io::stderr(), "{figures}");
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(line: &[&str]) -> Result<Arguments, String> {
        let words = ["run"].iter().chain(line);
        Line::try_parse_from(words).map(|line| line.arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn options_become_parameters() {
        let check = |line: &[&str], expected: serde_json::Value| {
            assert_eq!(parse(line).unwrap().settings().unwrap().to_json(), expected, "{line:?}");
        };
        check(&["m"], json!({}));
        check(&["m", "--temperature", "0", "--seed", "-7"], json!({"temperature": 0.0, "seed": -7}));
        check(&["m", "hello", "--stop", "a", "--stop", "[b"], json!({"stop": ["a", "[b"]}));
        check(&["m", "--keep-alive", "-1", "--max-tokens", "5"], json!({"keep_alive": -1, "max_tokens": 5}));
        let error = parse(&["m", "--temperature", "hot"]).unwrap().settings().unwrap_err();
        assert_eq!(error.to_string(), "temperature = \"hot\": expected a number");
    }

    #[test]
    fn json_takes_its_schema_behind_a_sign_of_equality() {
        let check = |line: &[&str], json: Option<&str>, prompt: &[&str]| {
            let arguments = parse(line).unwrap();
            assert_eq!(
                (arguments.json.as_deref(), arguments.prompt),
                (json, prompt.iter().map(ToString::to_string).collect())
            );
        };
        check(&["m", "--json", "hello"], Some(""), &["hello"]);
        check(&["m", "--json=s.json", "hello", "you"], Some("s.json"), &["hello", "you"]);
        check(&["m", "hello"], None, &["hello"]);
        assert!(parse(&[]).unwrap_err().contains("<MODEL>"));
        assert!(parse(&["m", "--key", "sk-1"]).is_err(), "a key is no argument");
    }
}

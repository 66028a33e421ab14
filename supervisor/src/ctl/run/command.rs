//! What a person can tell the chat itself.

use std::path::PathBuf;

use super::settings;

/// Their names, for whoever presses Tab.
pub(super) const NAMES: [&str; 13] = [
    "/bye", "/clear", "/help", "/load", "/model", "/retry", "/save", "/set", "/show", "/stats", "/system",
    "/undo", "/exit",
];

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    Clear,
    /// Nothing: no instructions any more.
    System(Option<String>),
    Set {
        key: String,
        /// Nothing: as the server has it.
        value: Option<String>,
    },
    Settings,
    Show,
    Model(String),
    Save(PathBuf),
    Load(PathBuf),
    Retry,
    Undo,
    Stats,
    Bye,
}

/// What is no command.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CommandError {
    #[error(
        "there is no command {0}; /help lists them, and a text that begins so goes between two lines of \"\"\""
    )]
    Unknown(String),
    #[error("{0} wants {1} behind it")]
    Lacks(&'static str, &'static str),
    #[error("{0} takes nothing behind it")]
    TooMuch(String),
}

impl Command {
    /// The command that a line is; none where it is something to say.
    pub(super) fn parse(line: &str) -> Option<Result<Self, CommandError>> {
        let line = line.trim();
        line.starts_with('/').then(|| {
            let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            Self::of(name, rest.trim())
        })
    }

    fn of(name: &str, rest: &str) -> Result<Self, CommandError> {
        let some = || (!rest.is_empty()).then(|| rest.to_owned());
        let path = |name| some().map(PathBuf::from).ok_or(CommandError::Lacks(name, "a file"));
        let alone = |command| {
            if rest.is_empty() { Ok(command) } else { Err(CommandError::TooMuch(name.to_owned())) }
        };
        match name {
            "/help" | "/?" => alone(Self::Help),
            "/clear" => alone(Self::Clear),
            "/system" => Ok(Self::System(some())),
            "/set" => Ok(match rest.split_once(char::is_whitespace) {
                _ if rest.is_empty() => Self::Settings,
                Some((key, value)) => Self::Set { key: key.to_owned(), value: Some(value.trim().to_owned()) },
                None => Self::Set { key: rest.to_owned(), value: None },
            }),
            "/show" => alone(Self::Show),
            "/model" => some().map(Self::Model).ok_or(CommandError::Lacks("/model", "a model's name")),
            "/save" => path("/save").map(Self::Save),
            "/load" => path("/load").map(Self::Load),
            "/retry" => alone(Self::Retry),
            "/undo" => alone(Self::Undo),
            "/stats" => alone(Self::Stats),
            "/bye" | "/exit" | "/quit" => alone(Self::Bye),
            _ => Err(CommandError::Unknown(name.to_owned())),
        }
    }
}

/// What /help says.
pub(super) fn help() -> String {
    format!(
        "  /clear             forgets the conversation
  /system TEXT       instructions for the model; without TEXT none
  /set KEY VALUE     a parameter; without VALUE as the server has it
  /show              model, instructions, parameters
  /model NAME        goes on with another model
  /save FILE         keeps the conversation in a file
  /load FILE         goes on with a conversation from a file
  /retry             asks the last question again
  /undo              forgets the last question and its answer
  /stats             what the last answer took, and all of them
  /bye               ends the chat, as Ctrl-D does
\"\"\" begins and ends an input of several lines; a backslash at the end of a line goes on with the next one.
Ctrl-C stops an answer, or drops what was typed. Parameters:
{}",
        settings::known()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_begin_with_a_slash_are_commands() {
        let check =
            |line: &str, expected: Command| assert_eq!(Command::parse(line), Some(Ok(expected)), "{line}");
        check("/help", Command::Help);
        check("  /bye ", Command::Bye);
        check("/system Be  brief.", Command::System(Some("Be  brief.".into())));
        check("/system", Command::System(None));
        check("/set", Command::Settings);
        check("/set seed", Command::Set { key: "seed".into(), value: None });
        check("/set stop  a b", Command::Set { key: "stop".into(), value: Some("a b".into()) });
        check("/model main", Command::Model("main".into()));
        check("/save my chat.json", Command::Save("my chat.json".into()));
        check("/load\tx", Command::Load("x".into()));
        assert_eq!(Command::parse("what is /help?"), None);
        assert_eq!(Command::parse(""), None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |line: &str, expected: &str| {
            let error = Command::parse(line).unwrap().unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        };
        check("/etc/passwd is what?", "no command /etc/passwd");
        check("/model", "wants a model's name");
        check("/save", "wants a file");
        check("/clear all", "/clear takes nothing");
    }

    #[test]
    fn every_command_is_in_the_help() {
        let help = help();
        for name in NAMES.iter().filter(|name| !["/help", "/exit"].contains(name)) {
            assert!(help.contains(&format!("  {name} ")), "{name}");
            assert!(!matches!(Command::parse(name), Some(Err(CommandError::Unknown(_)))), "{name}");
        }
    }
}

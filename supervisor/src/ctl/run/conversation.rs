//! What was said so far, as the server is told and as a file keeps it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::settings::{SettingError, Settings};

/// The most that is read of a file, in bytes.
const MAX_BYTES: u64 = 32 << 20;

/// Instructions, and questions with their answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Conversation {
    pub(super) system: Option<String>,
    pub(super) turns: Vec<Turn>,
}

/// A question and its answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Turn {
    pub(super) question: String,
    pub(super) answer: String,
    pub(super) reasoning: String,
}

/// What a file keeps.
#[derive(Debug, PartialEq)]
pub(super) struct Saved {
    pub(super) model: String,
    pub(super) settings: Settings,
    pub(super) conversation: Conversation,
}

/// A file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SaveError {
    #[error("cannot write {}: {source}; name another file", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is there already and is no saved conversation; name another file", .0.display())]
    Other(PathBuf),
    #[error("{} is no saved conversation: {problem}", path.display())]
    Format { path: PathBuf, problem: &'static str },
    #[error("{}: {source}", path.display())]
    Setting { path: PathBuf, source: SettingError },
}

impl Conversation {
    /// The messages of a request with one more question.
    pub(super) fn messages(&self, question: &str) -> Value {
        let mut messages = self.said();
        messages.push(json!({"role": "user", "content": question}));
        Value::Array(messages)
    }

    fn said(&self) -> Vec<Value> {
        let system = self.system.iter().map(|text| json!({"role": "system", "content": text}));
        let turns = self.turns.iter().flat_map(|turn| {
            let mut answer = json!({"role": "assistant", "content": turn.answer});
            if !turn.reasoning.is_empty() {
                answer["reasoning_content"] = Value::from(turn.reasoning.as_str());
            }
            [json!({"role": "user", "content": turn.question}), answer]
        });
        system.chain(turns).collect()
    }

    pub(super) fn parse(messages: &[Value]) -> Option<Self> {
        let text = |message: &Value, role: &str| {
            (message["role"] == role).then(|| message["content"].as_str().map(ToOwned::to_owned)).flatten()
        };
        let system = messages.first().and_then(|message| text(message, "system"));
        let turns = messages[usize::from(system.is_some())..].chunks(2).map(|pair| {
            let [question, answer] = pair else { return None };
            let reasoning = answer["reasoning_content"].as_str().unwrap_or_default().to_owned();
            Some(Turn { question: text(question, "user")?, answer: text(answer, "assistant")?, reasoning })
        });
        Some(Self { turns: turns.collect::<Option<_>>()?, system })
    }
}

impl Saved {
    /// Writes it for this user alone. What is there already is replaced only if it is of the same kind.
    pub(super) fn write(&self, path: &Path) -> Result<(), SaveError> {
        if path.exists() && Self::read(path).is_err() {
            return Err(SaveError::Other(path.to_owned()));
        }
        let value = json!({
            "model": self.model,
            "settings": self.settings.to_json(),
            "messages": self.conversation.said(),
        });
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(path).and_then(|mut file| writeln!(file, "{value:#}"));
        written.map_err(|source| SaveError::Write { path: path.to_owned(), source })
    }

    /// Reads it.
    pub(super) fn read(path: &Path) -> Result<Self, SaveError> {
        let mut text = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text))
            .map_err(|source| SaveError::Read { path: path.to_owned(), source })?;
        let wrong = |problem| SaveError::Format { path: path.to_owned(), problem };
        let value: Value = serde_json::from_slice(&text).map_err(|_| wrong("it is not JSON"))?;
        let model = value["model"].as_str().ok_or_else(|| wrong("it names no model"))?;
        let messages = value["messages"].as_array().ok_or_else(|| wrong("it has no messages"))?;
        let conversation = Conversation::parse(messages)
            .ok_or_else(|| wrong("its messages are not a user's and an assistant's in turns"))?;
        let empty = Map::new();
        let settings = value["settings"].as_object().unwrap_or(&empty);
        let settings = Settings::from_json(settings)
            .map_err(|source| SaveError::Setting { path: path.to_owned(), source })?;
        Ok(Self { model: model.to_owned(), settings, conversation })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn conversation() -> Conversation {
        let turn = |question: &str, answer: &str, reasoning: &str| Turn {
            question: question.into(),
            answer: answer.into(),
            reasoning: reasoning.into(),
        };
        Conversation {
            system: Some("Be brief.".into()),
            turns: vec![turn("a", "b", ""), turn("c\nd", "e", "hm")],
        }
    }

    #[test]
    fn all_of_it_is_sent_along() {
        let expected = json!([
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c\nd"},
            {"role": "assistant", "content": "e", "reasoning_content": "hm"},
            {"role": "user", "content": "f"},
        ]);
        assert_eq!(conversation().messages("f"), expected);
        assert_eq!(Conversation::default().messages("f"), json!([{"role": "user", "content": "f"}]));
    }

    #[test]
    fn a_file_brings_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chat.json");
        let mut settings = Settings::default();
        settings.set("seed", "7").unwrap();
        let saved = Saved { model: "m".into(), settings, conversation: conversation() };
        saved.write(&path).unwrap();
        assert_eq!(Saved::read(&path).unwrap(), saved);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let other = Saved { model: "n".into(), ..saved };
        other.write(&path).unwrap();
        assert_eq!(Saved::read(&path).unwrap(), other, "a saved conversation is replaced");
    }

    #[test]
    fn other_files_are_neither_read_nor_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes");
        let saved = Saved { model: "m".into(), settings: Settings::default(), conversation: conversation() };
        let check = |text: &str, expected: &str| {
            fs::write(&path, text).unwrap();
            let error = Saved::read(&path).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(matches!(saved.write(&path), Err(SaveError::Other(_))));
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        };
        check("my notes", "not JSON");
        check("{}", "names no model");
        check(r#"{"model":"m"}"#, "no messages");
        check(r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#, "in turns");
        check(r#"{"model":"m","messages":[],"settings":{"tools":1}}"#, "no parameter \"tools\"");
        let nowhere = dir.path().join("none/x");
        assert!(matches!(saved.write(&nowhere), Err(SaveError::Write { .. })));
    }
}

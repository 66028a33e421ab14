//! Commands that a chat obeys at once, without asking anybody.

use std::path::Path;

use super::{
    super::{
        command::{self, Command},
        conversation::{Conversation, SaveError, Saved},
    },
    Chat,
};

impl Chat {
    /// Does what is told, and says what there is to say about it.
    pub(super) fn obey(&mut self, command: Command) -> String {
        match command {
            Command::Help => command::help(),
            Command::Clear => {
                self.conversation.turns.clear();
                self.unanswered = None;
                "the conversation is forgotten".into()
            }
            Command::System(text) => {
                let said = if text.is_some() {
                    "the instructions hold from now on"
                } else {
                    "there are no instructions"
                };
                self.conversation.system = text;
                said.into()
            }
            Command::Set { key, value } => {
                let outcome = match &value {
                    Some(value) => self.wish.settings.set(&key, value),
                    None => self.wish.settings.unset(&key),
                };
                outcome.map_or_else(|error| error.to_string(), |()| self.settings())
            }
            Command::Settings => {
                format!("{}what can be set:\n{}", self.settings(), super::super::settings::known())
            }
            Command::Show => self.show(),
            Command::Save(path) => self.save(&path).unwrap_or_else(|error| error.to_string()),
            Command::Load(path) => self.load_from(&path).unwrap_or_else(|error| error.to_string()),
            Command::Undo => self.undo(),
            Command::Stats => self.stats(),
            // These need somebody else, and are done elsewhere.
            Command::Model(_) | Command::Retry | Command::Bye => String::new(),
        }
    }

    fn settings(&self) -> String {
        match self.wish.settings.lines() {
            lines if lines.is_empty() => "every parameter is as the server has it\n".into(),
            lines => lines,
        }
    }

    fn show(&self) -> String {
        let Conversation { system, turns } = &self.conversation;
        let system = system.as_deref().unwrap_or("none");
        let format = match &self.wish.response_format {
            Some(format) => format!("response_format = {format}\n"),
            None => String::new(),
        };
        format!(
            "model: {}\ninstructions: {system}\nquestions with answers: {}\n{}{format}",
            self.wish.model,
            turns.len(),
            self.settings()
        )
    }

    fn save(&self, path: &Path) -> Result<String, SaveError> {
        let saved = Saved {
            model: self.wish.model.clone(),
            settings: self.wish.settings.clone(),
            conversation: self.conversation.clone(),
        };
        saved.write(path).map(|()| format!("saved in {}", path.display()))
    }

    fn load_from(&mut self, path: &Path) -> Result<String, SaveError> {
        let saved = Saved::read(path)?;
        let other = if saved.model == self.wish.model {
            String::new()
        } else {
            format!("; it was with {}, and goes on with {}", saved.model, self.wish.model)
        };
        (self.conversation, self.wish.settings) = (saved.conversation, saved.settings);
        self.unanswered = None;
        let n_turns = self.conversation.turns.len();
        Ok(format!("{}: {n_turns} questions with answers{other}", path.display()))
    }

    fn undo(&mut self) -> String {
        let undone =
            self.unanswered.take().or_else(|| self.conversation.turns.pop().map(|turn| turn.question));
        match undone {
            Some(question) => {
                let begin: String = question.chars().take(60).collect();
                format!("forgotten: {begin}")
            }
            None => "nothing was asked yet".into(),
        }
    }

    fn stats(&self) -> String {
        match self.last {
            Some(last) => format!("last: {last}\nall:  {}", self.total),
            None if self.total.completion_tokens > 0 => {
                format!("the last answer was not whole\nall:  {}", self.total)
            }
            None => "nothing was answered yet".into(),
        }
    }
}

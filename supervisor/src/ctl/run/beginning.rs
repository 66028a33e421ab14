//! What comes before everything that is said to a model that was made of another one.

use serde_json::Value;

use super::{conversation::Conversation, settings::Settings};

/// What Ollama calls otherwise than we do.
const RENAMED: [(&str, &str); 1] = [("num_predict", "max_tokens")];

/// The context, which binds requests of Ollama's API alone and is told of every model.
const CONTEXT: &str = "num_ctx";

/// Parameters, instructions and turns.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::ctl) struct Beginning {
    pub(super) settings: Settings,
    pub(super) conversation: Conversation,
}

impl Beginning {
    /// As the server tells of a model, and the names of what a chat cannot have.
    pub(in crate::ctl) fn read(shown: &Value) -> (Self, Vec<String>) {
        let mut passed_over = Vec::new();
        let messages = shown["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let turns = Conversation::parse(messages).filter(|turns| turns.system.is_none());
        let mut conversation = turns.unwrap_or_else(|| {
            passed_over.push("MESSAGE".to_owned());
            Conversation::default()
        });
        conversation.system = shown["system"].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let mut beginning = Self { settings: Settings::default(), conversation };
        beginning.set(shown["parameters"].as_str().unwrap_or_default(), &mut passed_over);
        (beginning, passed_over)
    }

    /// Sets what these lines say: a name and a value as JSON each.
    fn set(&mut self, parameters: &str, passed_over: &mut Vec<String>) {
        let mut stops = Vec::new();
        for line in parameters.lines() {
            let (name, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let value = value.trim();
            let key = RENAMED.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| ours);
            // So many as the context holds is what there is anyway.
            let says_nothing = name == CONTEXT || (key == "max_tokens" && value.starts_with('-'));
            match key {
                _ if says_nothing => {}
                "stop" => stops.extend(serde_json::from_str::<String>(value)),
                key => {
                    if self.settings.set(key, value).is_err() {
                        passed_over.push(name.to_owned());
                    }
                }
            }
        }
        let stops = Value::from(stops).to_string();
        if stops != "[]" && self.settings.set("stop", &stops).is_err() {
            passed_over.push("stop".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_made_model_begins_as_it_was_made() {
        let (beginning, passed_over) = Beginning::read(&json!({
            "system": "You are Mario.",
            "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "It's me!"}],
            "parameters": "temperature                    0.5\nnum_predict                    7\nstop   \"a \\\"\"\nstop   \"b\"\n\
                           mirostat                       2\nnum_ctx                        512",
        }));
        let settings = json!({"temperature": 0.5, "max_tokens": 7, "stop": ["a \"", "b"]});
        assert_eq!((beginning.settings.to_json(), passed_over), (settings, vec!["mirostat".to_owned()]));
        let said = json!([
            {"role": "system", "content": "You are Mario."}, {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "It's me!"}, {"role": "user", "content": "who?"}
        ]);
        assert_eq!(beginning.conversation.messages("who?"), said);
    }

    #[test]
    fn what_says_nothing_changes_nothing() {
        assert_eq!(Beginning::read(&json!({})), (Beginning::default(), Vec::new()));
        let shown = json!({"parameters": "num_ctx 512\nnum_predict -1", "system": ""});
        assert_eq!(Beginning::read(&shown), (Beginning::default(), Vec::new()));
        let alone = json!({"messages": [{"role": "assistant", "content": "hello"}]});
        assert_eq!(Beginning::read(&alone), (Beginning::default(), vec!["MESSAGE".to_owned()]));
    }
}

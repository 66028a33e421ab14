//! Tools for templates that know none: they are told of in the system message, calls are what an assistant said, and
//! results what a user said.

use serde_json::{Value as Json, json};

use super::input::{ChatInput, Message};

/// Who is told of the tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// The system message, a new one if there is none.
    System,
    /// The first message of the user, for templates that refuse a system message.
    User,
}

impl ChatInput {
    /// The conversation with `instructions` instead of tools and their messages.
    #[must_use]
    pub fn told(&self, instructions: &str, listener: Listener) -> Self {
        let mut messages: Vec<Message> = Vec::with_capacity(self.messages.len() + 1);
        for message in &self.messages {
            let message = in_words(message);
            match messages.last_mut() {
                // Templates want users and assistants to take turns.
                Some(last) if last.role == "user" && message.role == "user" && message.name.is_empty() => {
                    last.content.push_str("\n\n");
                    last.content.push_str(&message.content);
                }
                _ => messages.push(message),
            }
        }
        let role = match listener {
            Listener::System => "system",
            Listener::User => "user",
        };
        match messages.iter_mut().find(|message| message.role == role) {
            Some(message) if listener == Listener::System => {
                message.content = format!("{}\n\n{instructions}", message.content);
            }
            Some(message) => message.content = format!("{instructions}\n\n{}", message.content),
            None => {
                let (role, content) = (role.to_owned(), instructions.to_owned());
                messages.insert(0, Message { role, content, ..Message::default() });
            }
        }
        Self { messages, tools: Json::Null, ..self.clone() }
    }
}

/// A message without calls and results, which are words in it.
fn in_words(message: &Message) -> Message {
    let mut said = message.clone();
    if !said.tool_calls.is_empty() {
        let calls: Vec<Json> = std::mem::take(&mut said.tool_calls).iter().map(call).collect();
        let space = if said.content.is_empty() { "" } else { "\n" };
        said.content = format!("{}{space}{}", said.content, json!({"tool_calls": calls}));
    }
    if said.role == "tool" {
        let name = std::mem::take(&mut said.name);
        let of = if name.is_empty() { String::new() } else { format!(" of {name}") };
        said = Message {
            role: "user".to_owned(),
            content: format!("The result{of}: {}", said.content),
            ..Message::default()
        };
    }
    said
}

/// A call as the model is told to write it.
fn call(call: &Json) -> Json {
    let function = &call["function"];
    let arguments = match &function["arguments"] {
        Json::String(text) => serde_json::from_str(text).unwrap_or_else(|_| Json::from(text.as_str())),
        other => other.clone(),
    };
    json!({"name": function["name"], "arguments": arguments})
}

#[cfg(test)]
mod tests {
    use chrono::Local;
    use impetus_proto::worker::{self, Chat};

    use super::*;

    fn message(role: &str, content: &str) -> worker::Message {
        worker::Message { role: role.to_owned(), content: content.to_owned(), ..worker::Message::default() }
    }

    #[test]
    fn tools_become_words() {
        let check = |first: &[worker::Message], listener: Listener, expected: &[(&str, &str)]| {
            let calls =
                r#"[{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}}]"#;
            let mut messages = first.to_vec();
            messages.extend([
                message("user", "Do."),
                worker::Message { tool_calls_json: calls.to_owned(), ..message("assistant", "") },
                worker::Message { name: "f".to_owned(), ..message("tool", "2") },
                message("tool", "3"),
                message("user", "And?"),
            ]);
            let chat = Chat { messages, tools_json: "[{}]".to_owned(), ..Chat::default() };
            let told = ChatInput::new(&chat, Local::now()).unwrap().told("TOOLS", listener);
            let said: Vec<(&str, &str)> = told
                .messages
                .iter()
                .map(|message| (message.role.as_str(), message.content.as_str()))
                .collect();
            assert_eq!(said, expected, "{listener:?}");
            assert!(told.tools.is_null());
        };
        let call = r#"{"tool_calls":[{"name":"f","arguments":{"a":1}}]}"#;
        let results = ("user", "The result of f: 2\n\nThe result: 3\n\nAnd?");
        check(&[], Listener::System, &[("system", "TOOLS"), ("user", "Do."), ("assistant", call), results]);
        check(
            &[message("system", "Be brief.")],
            Listener::System,
            &[("system", "Be brief.\n\nTOOLS"), ("user", "Do."), ("assistant", call), results],
        );
        check(&[], Listener::User, &[("user", "TOOLS\n\nDo."), ("assistant", call), results]);
    }
}

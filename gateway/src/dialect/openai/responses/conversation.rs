//! The messages of a conversation, from items: what an assistant thought, said and called in one turn is one message.

use impetus_proto::{Error, worker::Message};

use super::item::Said;
use crate::dialect::call::{Call, calls_json};

/// Takes items in their order.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    messages: Vec<Message>,
    /// The assistant's turn that may go on.
    turn: Option<Turn>,
}

#[derive(Debug, Default)]
struct Turn {
    reasoning: String,
    /// Absent while nothing was said.
    text: Option<String>,
    calls: Vec<Call>,
}

impl Conversation {
    /// A conversation under these instructions.
    pub(super) fn under(instructions: Option<&str>) -> Self {
        let system = |text: &str| message("system", text.to_owned());
        Self { messages: instructions.map(system).into_iter().collect(), turn: None }
    }

    /// Takes the next item.
    pub(super) fn push(&mut self, said: Said) -> Result<(), Error> {
        match said {
            Said::Message { role: "assistant", text, reasoning } => {
                if self.turn.as_ref().is_some_and(|turn| turn.text.is_some() || !turn.calls.is_empty()) {
                    self.end_turn()?;
                }
                let turn = self.turn.get_or_insert_default();
                turn.text = Some(text);
                turn.reasoning.push_str(&reasoning);
            }
            Said::Message { role, text, .. } => {
                self.end_turn()?;
                self.messages.push(message(role, text));
            }
            Said::Thought(thought) => {
                self.end_turn()?;
                self.turn = Some(Turn { reasoning: thought, ..Turn::default() });
            }
            Said::Call(call) => self.turn.get_or_insert_default().calls.push(call),
            Said::Answer { call_id, text } => {
                self.end_turn()?;
                self.messages.push(Message { tool_call_id: call_id, ..message("tool", text) });
            }
            Said::Reference(_) | Said::Nothing => {}
        }
        Ok(())
    }

    /// All messages.
    pub(super) fn finish(mut self) -> Result<Vec<Message>, Error> {
        self.end_turn()?;
        Ok(self.messages)
    }

    /// A thought that nothing was said after is left out.
    fn end_turn(&mut self) -> Result<(), Error> {
        match self.turn.take() {
            Some(Turn { reasoning, text, calls }) if text.is_some() || !calls.is_empty() => {
                let tool_calls_json = calls_json(&calls)?;
                let said = message("assistant", text.unwrap_or_default());
                self.messages.push(Message { reasoning, tool_calls_json, ..said });
            }
            _ => {}
        }
        Ok(())
    }
}

/// Leaves out the oldest messages but the instructions: a quarter of them, and as many more as it takes for the rest to
/// begin with what a user says, or else with a call that is answered. False when there is nothing to leave out: the last
/// message stays, with the call that it answers.
pub(super) fn shorten(messages: &mut Vec<Message>) -> bool {
    let is_old = |message: &Message| message.role != "system";
    let end = last_turn(messages);
    let n_old = messages[..end].iter().filter(|message| is_old(message)).count();
    if n_old == 0 {
        return false;
    }
    let last_user = messages.iter().rposition(|message| message.role == "user").unwrap_or(0);
    let (mut at, mut n_dropped, mut is_past) = (0, 0, false);
    messages.retain(|message| {
        let place = at;
        at += 1;
        if is_past || place >= end || !is_old(message) {
            return true;
        }
        let is_beginning = match message.role.as_str() {
            "user" => true,
            "assistant" => place > last_user,
            _ => false,
        };
        is_past = n_dropped >= n_old.div_ceil(4) && is_beginning;
        n_dropped += usize::from(!is_past);
        is_past
    });
    true
}

/// Where the last message stands, or the call that it answers.
fn last_turn(messages: &[Message]) -> usize {
    let last = messages.len().saturating_sub(1);
    match messages.iter().rposition(|message| message.role != "tool") {
        Some(call) if call < last && messages[call].role == "assistant" => call,
        _ => last,
    }
}

fn message(role: &str, content: String) -> Message {
    Message { role: role.to_owned(), content, ..Message::default() }
}

#[cfg(test)]
mod tests;

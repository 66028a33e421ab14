//! What goes into the database and what comes out of it.

use serde_json::{Map, Value};

use super::Kept;

/// A response that is to be kept.
#[derive(Debug, Clone)]
pub(in crate::dialect::openai::responses) struct Row {
    pub(in crate::dialect::openai::responses) id: String,
    /// To whom it belongs; empty where nobody is asked who he is.
    pub(in crate::dialect::openai::responses) caller: String,
    pub(in crate::dialect::openai::responses) previous: Option<String>,
    pub(in crate::dialect::openai::responses) end: End,
}

/// How far a response is.
#[derive(Debug, Clone)]
pub(in crate::dialect::openai::responses) struct End {
    pub(in crate::dialect::openai::responses) status: &'static str,
    /// The API's JSON of it, but for its output.
    pub(in crate::dialect::openai::responses) object: String,
    pub(in crate::dialect::openai::responses) outputs: Vec<Kept>,
    /// The events of its making, each with its number, where they are kept: JSON.
    pub(in crate::dialect::openai::responses) events: Option<String>,
}

/// A response that was kept.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::dialect::openai::responses) struct Stored {
    /// The API's JSON of it, with its output.
    pub(in crate::dialect::openai::responses) object: Map<String, Value>,
    pub(in crate::dialect::openai::responses) events: Option<String>,
    /// Whether it is being made.
    pub(in crate::dialect::openai::responses) is_running: bool,
}

/// Why a conversation cannot go on from where a client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dialect::openai::responses) enum Gap {
    /// The turn of this id is not kept.
    Missing(String),
    /// It has more turns or bytes than one request may.
    TooLong,
}

/// Which items of an input are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dialect::openai::responses) struct Page {
    pub(in crate::dialect::openai::responses) limit: usize,
    pub(in crate::dialect::openai::responses) order: Order,
    /// Behind the item of this id, in that order.
    pub(in crate::dialect::openai::responses) after: Option<String>,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dialect::openai::responses) enum Order {
    OldestFirst,
    NewestFirst,
}

impl End {
    /// The bytes that are counted for it.
    pub(super) fn bytes(&self) -> u64 {
        let events = self.events.as_ref().map_or(0, String::len);
        (self.object.len() + events) as u64 + bytes_of(&self.outputs)
    }
}

/// The bytes that are counted for items.
pub(super) fn bytes_of(items: &[Kept]) -> u64 {
    items.iter().map(|item| (item.id.len() + item.json.len()) as u64).sum()
}

//! The calls that a model makes while it answers.

use std::collections::BTreeSet;

use impetus_proto::{Error, worker::ToolCallDelta};
use rand::Rng;
use serde::Serialize;

/// Letters and digits of an id. Nine are what every chat template takes, among them those that take no other number.
const ID_CHARS: usize = 9;

/// A call that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    /// A JSON object, as text.
    pub(super) arguments: String,
}

#[derive(Serialize)]
struct Written<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

/// Which calls of a choice have been begun.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Begun(BTreeSet<u32>);

impl Begun {
    /// The id of the call that this piece begins: the model's own, or a new one. Absent for later pieces, which need
    /// none.
    pub(super) fn id(&mut self, piece: &ToolCallDelta) -> Option<String> {
        let is_first = self.0.insert(piece.index);
        is_first.then(|| if piece.id.is_empty() { new_id() } else { piece.id.clone() })
    }
}

/// Calls as a worker takes them: the text of a JSON array as OpenAI defines it; empty when there are none.
pub(super) fn calls_json(calls: &[Call]) -> Result<String, Error> {
    if calls.is_empty() {
        return Ok(String::new());
    }
    let written: Vec<_> = calls
        .iter()
        .map(|Call { id, name, arguments }| Written {
            id,
            kind: "function",
            function: Function { name, arguments },
        })
        .collect();
    serde_json::to_string(&written).map_err(|error| Error::internal(error.to_string()))
}

/// An id that no other call has.
pub(super) fn new_id() -> String {
    rand::rng().sample_iter(rand::distr::Alphanumeric).take(ID_CHARS).map(char::from).collect()
}

/// Adds a piece to the calls, which are those that were begun, in the order of their indices.
pub(super) fn add(calls: &mut Vec<Call>, begun: &mut Begun, piece: ToolCallDelta) {
    let place = begun.0.range(..piece.index).count();
    if let Some(id) = begun.id(&piece) {
        calls.insert(place, Call { id, name: piece.name, arguments: piece.arguments });
    } else if let Some(call) = calls.get_mut(place) {
        call.arguments.push_str(&piece.arguments);
    }
}

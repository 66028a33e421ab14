//! A unary answer: the events of a stream, taken together.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use impetus_proto::Error;

use crate::upstream::{Event, Finished};

/// A completion that is whole.
#[derive(Debug, PartialEq)]
pub(super) struct Completed {
    pub(super) model: Arc<str>,
    pub(super) text: String,
    pub(super) finished: Finished,
}

/// Takes the events together until the last.
pub(super) async fn fold(
    mut events: impl Stream<Item = Result<Event, Error>> + Unpin,
) -> Result<Completed, Error> {
    let mut model = Arc::from("");
    let mut text = String::new();
    while let Some(event) = events.next().await {
        match event? {
            Event::Accepted { model: name, .. } => model = name,
            Event::Delta { text: delta, .. } => text.push_str(&delta),
            Event::Finished(finished) => {
                text.push_str(&finished.text);
                return Ok(Completed { model, text, finished });
            }
        }
    }
    Err(Error::internal("the answer ended without its end"))
}

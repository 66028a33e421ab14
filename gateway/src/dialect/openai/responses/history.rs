//! What a request goes on from: the items of earlier responses, and those that it refers to.

use std::{borrow::Cow, collections::HashMap};

use axum::http::StatusCode;
use impetus_proto::{Error, worker::Message};
use serde_json::value::RawValue;

use super::{
    conversation::Conversation,
    item::{Item, Said},
    params::{self, Params},
    store::{Gap, MAX_CONVERSATION_BYTES, Store},
};
use crate::{dialect::ignored::Ignored, error::Failure};

/// The messages of the whole conversation; references among the request's items are resolved.
pub(super) async fn messages(
    params: &mut Params,
    store: &Store,
    caller: &str,
) -> Result<Vec<Message>, Failure> {
    let asked = &params.asked;
    let mut conversation = Conversation::under(asked.instructions.as_deref());
    let mut n_bytes = 0;
    if let Some(previous) = &asked.previous_response_id {
        for item in turns(store, previous, caller).await? {
            n_bytes += item.len();
            conversation.push(read(&item)?.said)?;
        }
    } else if params.input.is_empty() && asked.instructions.is_none() {
        return Err(params::nothing_said().into());
    }
    resolve(&mut params.input, n_bytes, store, caller).await?;
    for item in &params.input {
        conversation.push(item.said.clone())?;
    }
    Ok(conversation.finish()?)
}

/// Puts what references refer to in their places. Together with the `n_bytes` of earlier turns it is bounded: a few bytes
/// of a request can refer to any number of large items.
async fn resolve(input: &mut [Item], mut n_bytes: usize, store: &Store, caller: &str) -> Result<(), Failure> {
    let mut firsts: HashMap<String, usize> = HashMap::new();
    for i in 0..input.len() {
        let Said::Reference(id) = &input[i].said else { continue };
        let id = id.clone();
        let fetched = if let Some(first) = firsts.get(&id) {
            Cow::Borrowed(&input[*first])
        } else {
            let found = if store.is_on() { store.item(&id, caller).await? } else { None };
            let kept = found.ok_or_else(|| no_such_item(i, &id))?;
            Cow::Owned(Item { said: read(&kept.json)?.said, kept })
        };
        n_bytes += fetched.kept.json.len();
        if n_bytes > MAX_CONVERSATION_BYTES {
            return Err(too_much(i).into());
        }
        input[i] = fetched.into_owned();
        firsts.entry(id).or_insert(i);
    }
    Ok(())
}

/// The items of all turns up to the response `previous`.
async fn turns(store: &Store, previous: &str, caller: &str) -> Result<Vec<String>, Failure> {
    if !store.is_on() {
        return Err(super::store::nothing_is_kept().with_param("previous_response_id").into());
    }
    let running = store.get(previous, caller).await?.is_some_and(|stored| stored.is_running);
    if running {
        let message =
            format!("Previous response with id '{previous}' is still in progress; wait for its end.");
        return Err(Error::invalid("previous_response_id", message).into());
    }
    store.conversation(previous, caller).await?.map_err(|gap| cannot_go_on(&gap))
}

fn read(json: &str) -> Result<Item, Error> {
    let value: &RawValue = serde_json::from_str(json)
        .map_err(|error| Error::internal(format!("an item that was kept is no JSON: {error}")))?;
    Item::read(value, "previous_response_id".to_owned(), &mut Ignored::default())
}

fn cannot_go_on(gap: &Gap) -> Failure {
    let id = match gap {
        Gap::Missing(id) => short(id),
        Gap::TooLong => {
            let message = "the conversation up to previous_response_id is longer than one request can be; send its items \
                           as input instead, those that still matter";
            return Error::invalid("previous_response_id", message).into();
        }
    };
    let message = format!("Previous response with id '{id}' not found.");
    let failure = Failure::from(Error::invalid("previous_response_id", message));
    Failure { status: StatusCode::BAD_REQUEST, code: "previous_response_not_found", ..failure }
}

fn too_much(i: usize) -> Error {
    let message = format!(
        "with this item, what the request refers to and goes on from has more than {MAX_CONVERSATION_BYTES} bytes, the \
         most of one request; send fewer references, or fewer turns"
    );
    Error::invalid(format!("input[{i}].id"), message)
}

fn no_such_item(i: usize, id: &str) -> Failure {
    let message =
        format!("Item with id '{}' not found. Items are kept with responses that are stored.", short(id));
    Failure { status: StatusCode::NOT_FOUND, ..Error::invalid(format!("input[{i}].id"), message).into() }
}

/// As much of a client's id as an error repeats.
fn short(id: &str) -> Cow<'_, str> {
    match id.char_indices().nth(128) {
        Some((end, _)) => id.get(..end).unwrap_or_default().into(),
        None => id.into(),
    }
}

#[cfg(test)]
mod tests;

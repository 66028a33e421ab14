//! How one response is kept.

use impetus_proto::Error;

use super::{
    event::Frame,
    item::Kept,
    params::Params,
    response::Response,
    store::{End, Row, Store},
};

/// Keeps one response, where it is to be kept.
#[derive(Debug)]
pub(super) struct Keeper {
    /// Absent where it is not.
    store: Option<Store>,
    caller: String,
    inputs: Vec<Kept>,
}

impl Keeper {
    /// Takes what is kept of the request out of `params`; refuses what is too large to be kept.
    pub(super) fn new(store: Store, caller: &str, params: &mut Params) -> Result<Self, Error> {
        let inputs = std::mem::take(&mut params.input).into_iter().map(|item| item.kept);
        let caller = caller.to_owned();
        if !params.asked.store {
            return Ok(Self { store: None, caller, inputs: Vec::new() });
        }
        let inputs: Vec<Kept> = inputs.collect();
        store.check(&inputs)?;
        Ok(Self { store: Some(store), caller, inputs })
    }

    /// Keeps the response as it is now.
    pub(super) async fn insert(&mut self, response: &mut Response) -> Result<(), Error> {
        let Some(store) = &self.store else { return Ok(()) };
        let row = Row {
            id: response.id.clone(),
            caller: self.caller.clone(),
            previous: response.asked.previous_response_id.clone(),
            end: end(response, None)?,
        };
        store.insert(row, std::mem::take(&mut self.inputs)).await
    }

    /// The response that was kept is with this model's worker.
    pub(super) async fn begin(&self, response: &Response) -> Result<(), Error> {
        let Some(store) = &self.store else { return Ok(()) };
        store.begin(&response.id, &response.model).await
    }

    /// The response that was kept is over, and these were its events, where they are kept.
    pub(super) async fn end(&self, response: &mut Response, events: Option<&[Frame]>) -> Result<(), Error> {
        let Some(store) = &self.store else { return Ok(()) };
        let end = end(response, events.map(Frame::to_json).transpose()?)?;
        store.end(&response.id, end).await
    }

    /// The response that was kept has come to nothing.
    pub(super) async fn lose(&self, id: &str) -> Result<(), Error> {
        let Some(store) = &self.store else { return Ok(()) };
        store.lose(id).await
    }

    /// Whether somebody wants the response no more.
    pub(super) async fn is_to_cancel(&self, id: &str) -> Result<bool, Error> {
        let Some(store) = &self.store else { return Ok(false) };
        store.is_to_cancel(id).await
    }
}

/// The response, its output apart.
fn end(response: &mut Response, events: Option<String>) -> Result<End, Error> {
    let outputs = response
        .output
        .iter()
        .map(|item| Ok(Kept { id: item.id().to_owned(), json: json(item)? }))
        .collect::<Result<_, Error>>()?;
    let output = std::mem::take(&mut response.output);
    let object = json(response);
    response.output = output;
    Ok(End { status: response.status.name(), object: object?, outputs, events })
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::internal(error.to_string()))
}

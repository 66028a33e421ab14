//! Who is with a model's worker and who waits, a line for each model, so that many requests for one model starve no
//! other. A request has a place from its beginning to its end: workers that are lost meanwhile do not cost it.

mod line;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use impetus_proto::{Code, Error};
use tokio::{sync::Notify, time::timeout};

use crate::metrics;
use line::Line;

/// Requests that are with a worker at once, for each of its slots: the next ones are ready when a slot is free.
const REQUESTS_PER_SLOT: usize = 2;

/// Names that are remembered with the model they meant.
const MAX_NAMES: usize = 1024;

/// The longest hint when to try again, in seconds.
const MAX_RETRY_S: usize = 60;

/// All lines.
#[derive(Debug)]
pub(super) struct Queue {
    max_waiting: usize,
    state: Mutex<State>,
}

/// A request's place in the line of its model, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    queue: Arc<Queue>,
    model: String,
    number: u64,
    turn: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    lines: HashMap<String, Line>,
    /// What a name that a client used stood for when a worker was last lent for it.
    names: HashMap<String, String>,
    next: u64,
}

impl Queue {
    /// Lines in which `max_waiting` requests may wait.
    pub(super) fn new(max_waiting: usize) -> Self {
        Self { max_waiting, state: Mutex::default() }
    }

    /// The model that `name` stood for when last a worker was lent for it, or the name itself.
    pub(super) fn resolve(&self, name: &str) -> String {
        let state = self.lock();
        state.names.get(name).map_or(name, String::as_str).to_owned()
    }

    /// Takes a place at the end of the line of `name`, unless that is full.
    pub(super) fn enter(self: &Arc<Self>, name: &str) -> Result<Place, Error> {
        self.place(name, self.max_waiting)
    }

    /// Takes a place there however long the line is, for what belongs to a request that has one already.
    pub(super) fn join(self: &Arc<Self>, name: &str) -> Result<Place, Error> {
        self.place(name, usize::MAX)
    }

    /// How many wait in all lines, for a worker or for their turn.
    pub(super) fn n_waiting(&self) -> usize {
        self.lock().lines.values().map(Line::n_waiting).sum()
    }

    fn place(self: &Arc<Self>, name: &str, max_waiting: usize) -> Result<Place, Error> {
        let model = self.resolve(name);
        let mut state = self.lock();
        let number = state.next;
        let line = state.lines.entry(model.clone()).or_default();
        if !line.has_room(max_waiting) {
            return Err(full(&model, line));
        }
        let turn = Arc::new(Notify::new());
        line.enter(number, turn.clone());
        line.publish(&model);
        state.next += 1;
        drop(state);
        Ok(Place { queue: self.clone(), model, number, turn })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// A worker of `model` was lent for what the client calls `name`: the place is in that model's line from now on.
    /// `slots` are the worker's own, where it is the one that serves the line; 0 is without bound.
    pub(super) fn lent(&mut self, name: &str, model: &str, slots: Option<u32>) {
        let mut state = self.queue.lock();
        if state.names.get(name).is_none_or(|known| known != model) {
            if state.names.len() >= MAX_NAMES {
                state.names.clear();
            }
            state.names.insert(name.to_owned(), model.to_owned());
        }
        if self.model != model {
            state.leave(&self.model, self.number);
            model.clone_into(&mut self.model);
            state.lines.entry(model.to_owned()).or_default().enter(self.number, self.turn.clone());
        }
        if let Some(line) = state.lines.get_mut(model) {
            if let Some(slots) = slots {
                line.serve(match slots {
                    0 => usize::MAX,
                    slots => slots as usize * REQUESTS_PER_SLOT,
                });
            }
            line.publish(model);
        }
    }

    /// Waits until it is this request's turn, which it keeps; at once when it has it already. Fails after `patience`.
    pub(super) async fn turn(&self, patience: Duration) -> Result<(), Error> {
        let wait = async {
            while !self.ask() {
                self.turn.notified().await;
            }
        };
        if timeout(patience, wait).await.is_ok() {
            return Ok(());
        }
        let (model, seconds) = (&self.model, patience.as_secs());
        let message = format!(
            "{model:?} was busy with other requests for {seconds} s (gateway.queue_timeout_s); try again later"
        );
        let retry_after_s = self.queue.lock().lines.get(model).map_or(1, retry_after_s);
        Err(Error::new(Code::QueueTimeout, message).with_retry_after(retry_after_s))
    }

    /// Leaves the turn to others, as long as it is not asked for again. Then it is before all that came later.
    pub(super) fn step_aside(&self) {
        self.queue.lock().leave(&self.model, self.number);
    }

    fn ask(&self) -> bool {
        let mut state = self.queue.lock();
        let line = state.lines.entry(self.model.clone()).or_default();
        let has_turn = line.ask(self.number, &self.turn);
        line.publish(&self.model);
        has_turn
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.lock().leave(&self.model, self.number);
    }
}

impl State {
    fn leave(&mut self, model: &str, number: u64) {
        let Some(line) = self.lines.get_mut(model) else { return };
        line.leave(number);
        line.publish(model);
        // A client can make up names, of which nothing stays.
        if line.is_empty() && !line.is_served() {
            self.lines.remove(model);
        }
    }
}

impl Line {
    /// The number that wait, as a metric; only models that a worker was lent of have one.
    fn publish(&self, model: &str) {
        if self.is_served() {
            metrics::queued(model, self.n_waiting());
        }
    }
}

fn full(model: &str, line: &Line) -> Error {
    let name = if model.is_empty() { "the default model".to_owned() } else { format!("{model:?}") };
    let n_waiting = line.n_waiting();
    let message =
        format!("{n_waiting} requests wait for {name} already (gateway.max_queue); try again later");
    Error::new(Code::QueueFull, message).with_retry_after(retry_after_s(line))
}

/// When a place may be free again, taking a turn to last about a second.
fn retry_after_s(line: &Line) -> u32 {
    (line.n_waiting() / line.at_once().max(1)).clamp(1, MAX_RETRY_S) as u32
}

#[cfg(test)]
mod tests;

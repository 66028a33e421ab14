//! The events of a response while it is made in the background, for any number of readers.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::Stream;
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use crate::dialect::openai::responses::event::Frame;

/// The bytes of events that are held. Beyond, the oldest deltas go first: the event that ends their item says again all
/// that they say.
const MAX_BYTES: usize = 4 << 20;

/// The events that a reader is given at once.
const AT_ONCE: usize = 256;

/// Events, in the order of their numbers.
#[derive(Debug, Default)]
pub(in crate::dialect::openai::responses) struct Log {
    told: Mutex<Told>,
    /// Counts what is told and the end.
    grown: watch::Sender<u64>,
    cancel: Notify,
}

#[derive(Debug, Default)]
struct Told {
    frames: Vec<Frame>,
    n_bytes: usize,
    is_over: bool,
}

impl Log {
    /// Adds what was told.
    pub(in crate::dialect::openai::responses) fn push(&self, frames: Vec<Frame>) {
        if frames.is_empty() {
            return;
        }
        let mut told = self.lock();
        told.n_bytes += frames.iter().map(|frame| frame.bytes.len()).sum::<usize>();
        told.frames.extend(frames);
        told.shrink();
        drop(told);
        self.grown.send_modify(|count| *count += 1);
    }

    /// Everything that is held, and what comes behind it.
    pub(in crate::dialect::openai::responses) fn with(&self, last: &[Frame]) -> Vec<Frame> {
        let mut frames = self.lock().frames.clone();
        frames.extend_from_slice(last);
        frames
    }

    /// Nothing more will be told.
    pub(in crate::dialect::openai::responses) fn close(&self) {
        self.lock().is_over = true;
        self.grown.send_modify(|count| *count += 1);
    }

    /// Asks whoever makes the response to stop.
    pub(in crate::dialect::openai::responses) fn cancel(&self) {
        self.cancel.notify_one();
    }

    /// Resolves when that is asked.
    pub(in crate::dialect::openai::responses) async fn cancelled(&self) {
        self.cancel.notified().await;
    }

    /// Resolves when nothing more will be told.
    pub(in crate::dialect::openai::responses) async fn over(&self) {
        let mut grown = self.grown.subscribe();
        while !self.lock().is_over {
            // The sender is held here, so there is a change to wait for.
            let _ = grown.changed().await;
        }
    }

    /// The events behind the one of the number `after`, as they are told until the last one; never silent for longer than
    /// `keep_alive`.
    pub(in crate::dialect::openai::responses) fn follow(
        self: Arc<Self>,
        after: Option<u64>,
        keep_alive: Duration,
    ) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        async_stream::stream! {
            let mut grown = self.grown.subscribe();
            let mut next = after.map_or(0, |after| after.saturating_add(1));
            loop {
                grown.mark_unchanged();
                let (frames, is_over) = self.from(next);
                let is_empty = frames.is_empty();
                for frame in frames {
                    next = frame.sequence_number + 1;
                    yield Ok(frame.bytes);
                }
                if !is_empty {
                    continue;
                }
                if is_over {
                    return;
                }
                if timeout(keep_alive, grown.changed()).await.is_err() {
                    yield Ok(Frame::keep_alive(next.saturating_sub(1)));
                }
            }
        }
    }

    /// Some of the events from this number on, and whether there will be no more than there are.
    fn from(&self, number: u64) -> (Vec<Frame>, bool) {
        let told = self.lock();
        let start = told.frames.partition_point(|frame| frame.sequence_number < number);
        (told.frames[start..].iter().take(AT_ONCE).cloned().collect(), told.is_over)
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    fn shrink(&mut self) {
        if self.n_bytes <= MAX_BYTES {
            return;
        }
        // More than has to go, so that not every event moves all others.
        let mut surplus = self.n_bytes - MAX_BYTES / 4 * 3;
        self.frames.retain(|frame| {
            let goes = frame.is_delta && surplus > 0;
            if goes {
                surplus = surplus.saturating_sub(frame.bytes.len());
            }
            !goes
        });
        self.n_bytes = self.frames.iter().map(|frame| frame.bytes.len()).sum();
    }
}

#[cfg(test)]
mod tests;

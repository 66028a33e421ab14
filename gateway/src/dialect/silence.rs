//! How long a stream has said nothing.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{Stream, StreamExt};
use tokio::time::{Instant, Sleep, sleep};

/// Rings when a stream has said nothing for too long. What is said does not touch the timer, which finds out when it
/// rings: most streams speak far more often than that.
#[derive(Debug)]
pub(in crate::dialect) struct Silence {
    limit: Duration,
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    /// A silence that begins now.
    pub(in crate::dialect) fn new(limit: Duration) -> Self {
        Self { limit, since: Instant::now(), timer: Box::pin(sleep(limit)) }
    }

    /// What comes next of `events`; `None` when the silence has lasted for as long as it may before.
    pub(in crate::dialect) async fn next<T>(
        &mut self,
        events: &mut (impl Stream<Item = T> + Unpin),
    ) -> Option<Option<T>> {
        poll_fn(|cx| match events.poll_next_unpin(cx) {
            Poll::Ready(event) => Poll::Ready(Some(event)),
            Poll::Pending => self.poll(cx).map(|()| None),
        })
        .await
    }

    /// Something is said; the silence begins anew.
    pub(in crate::dialect) fn is_broken(&mut self) {
        self.since = Instant::now();
    }

    /// Ready when it has lasted for as long as it may.
    pub(in crate::dialect) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = self.since + self.limit;
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if self.timer.deadline() >= due {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
    }
}

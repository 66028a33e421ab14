//! The time that a request may take in all, workers lost and waiting included.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::Stream;
use impetus_proto::{Code, Error};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::{Event, Events};

/// Events until a moment.
struct Bounded<S> {
    events: Pin<Box<S>>,
    /// Rings at that moment.
    timer: Pin<Box<Sleep>>,
    limit: Duration,
    is_over: bool,
}

impl<S: Stream<Item = Result<Event, Error>>> Stream for Bounded<S> {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        // A stream that always has an event at hand is over time, too.
        if Instant::now() < self.timer.deadline() {
            if let Poll::Ready(event) = self.events.as_mut().poll_next(cx) {
                self.is_over = event.is_none();
                return Poll::Ready(event);
            }
            ready!(self.timer.as_mut().poll(cx));
        }
        self.is_over = true;
        Poll::Ready(Some(Err(exceeded(self.limit))))
    }
}

/// The events until `limit` is up, counted from `began`; then an error in their place.
pub(super) fn bounded(
    events: impl Stream<Item = Result<Event, Error>> + Send + 'static,
    began: Instant,
    limit: Option<Duration>,
) -> Events {
    let Some(limit) = limit else { return Box::pin(events) };
    let (events, timer) = (Box::pin(events), Box::pin(sleep_until(began + limit)));
    Box::pin(Bounded { events, timer, limit, is_over: false })
}

/// What `work` answers within `limit`, counted from now.
pub(super) async fn within<T>(
    work: impl Future<Output = Result<T, Error>>,
    limit: Option<Duration>,
) -> Result<T, Error> {
    match limit {
        None => work.await,
        Some(limit) => timeout(limit, work).await.unwrap_or_else(|_| Err(exceeded(limit))),
    }
}

fn exceeded(limit: Duration) -> Error {
    let seconds = limit.as_secs();
    let message = format!("the request was not finished within {seconds} s (gateway.request_timeout_s)");
    Error::new(Code::DeadlineExceeded, message)
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};

    use super::{
        super::{Delta, Part},
        *,
    };

    fn event() -> Event {
        Event::Delta(Delta { parts: vec![Part::Text("a".into())], n_tokens: 1, ..Delta::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_at_its_deadline_whether_it_speaks_or_not() {
        let limit = Some(Duration::from_secs(10));
        let check = async |events: Events, n_expected: usize, is_exceeded: bool| {
            let started = Instant::now();
            let all: Vec<_> = events.collect().await;
            let n_failed = all.iter().filter(|event| event.is_err()).count();
            assert_eq!((all.len() - n_failed, n_failed), (n_expected, usize::from(is_exceeded)));
            if let Some(Err(error)) = all.last() {
                assert_eq!(error.code(), Code::DeadlineExceeded);
                assert!(error.message.contains("10 s"), "{error}");
                assert_eq!(started.elapsed(), Duration::from_secs(10));
            }
        };
        check(bounded(stream::iter([Ok(event()), Ok(event())]), Instant::now(), limit), 2, false).await;
        check(bounded(stream::pending(), Instant::now(), limit), 0, true).await;
        let slow = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            Some((Ok(event()), ()))
        });
        check(bounded(slow, Instant::now(), limit), 3, true).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_does_not_stop_the_clock() {
        let limit = Some(Duration::from_secs(10));
        let mut events = bounded(stream::repeat_with(|| Ok(event())), Instant::now(), limit);
        events.next().await.unwrap().unwrap();
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(events.next().await.unwrap().unwrap_err().code(), Code::DeadlineExceeded);
        assert!(events.next().await.is_none());
    }
}

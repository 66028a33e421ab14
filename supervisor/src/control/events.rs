//! What has happened, for `supervisorctl events`.

use futures::{StreamExt, stream};
use impetus_proto::event::{self, ListRequest, events_server};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::Answers;
use crate::events::{Event, Events};

/// The most events in one answer.
const BATCH: usize = 128;

/// The events of a running server.
#[derive(Debug, Clone)]
pub(super) struct EventService(pub(super) Events);

/// Where a stream of events stands.
struct Following {
    events: Events,
    /// The number of the next one to tell.
    next: u64,
    newest: Option<watch::Receiver<u64>>,
}

#[tonic::async_trait]
impl events_server::Events for EventService {
    type ListStream = Answers<event::EventBatch>;

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<Self::ListStream>, Status> {
        let ListRequest { since_unix_ms, follow } = request.into_inner();
        let events = self.0.clone();
        let newest = follow.then(|| events.watch());
        let next = events.since(since_unix_ms);
        let following = Following { events, next, newest };
        Ok(Response::new(stream::unfold(following, Following::next).boxed()))
    }
}

impl Following {
    async fn next(mut self) -> Option<(Result<event::EventBatch, Status>, Self)> {
        loop {
            if let Some(newest) = &mut self.newest {
                newest.mark_unchanged();
            }
            // Whoever reads slowly finds what is still remembered, and a word about the rest.
            let batch = self.events.from(self.next, BATCH);
            if let Some(last) = batch.events.last() {
                self.next = last.number + 1;
                let events = batch.events.into_iter().map(message).collect();
                return Some((Ok(event::EventBatch { missed: batch.missed, events }), self));
            }
            self.newest.as_mut()?.changed().await.ok()?;
        }
    }
}

fn message(event: Event) -> event::Event {
    event::Event {
        number: event.number,
        unix_ms: event.unix_ms,
        kind: event.kind.name().to_owned(),
        subject: event.subject,
        message: event.message,
        fields: event.fields.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use impetus_proto::event::events_server::Events as _;

    use super::*;
    use crate::events::{Kind, Note};

    fn note(events: &Events, n: usize) {
        for _ in 0..n {
            events.note(Note::new(Kind::ModelReady, "tiny", "serves"));
        }
    }

    #[tokio::test]
    async fn a_slow_follower_is_told_of_a_gap() {
        let events = Events::default();
        note(&events, 2);
        let request = Request::new(ListRequest { since_unix_ms: 0, follow: true });
        let mut stream = EventService(events.clone()).list(request).await.unwrap().into_inner();
        let mut next = async || {
            let batch = stream.next().await.unwrap().unwrap();
            (batch.missed, batch.events[0].number, batch.events.len())
        };
        assert_eq!(next().await, (0, 1, 2));
        note(&events, 1);
        assert_eq!(next().await, (0, 3, 1));
        // As many are remembered, so that the first ten of these are not.
        note(&events, 1010);
        assert_eq!(next().await, (10, 14, BATCH));
        assert_eq!(next().await, (0, 14 + BATCH as u64, BATCH));
    }

    #[tokio::test]
    async fn without_following_the_stream_ends() {
        let events = Events::default();
        note(&events, 3);
        let request = Request::new(ListRequest::default());
        let stream = EventService(events).list(request).await.unwrap().into_inner();
        let batches: Vec<_> = stream.map(|batch| batch.unwrap().events.len()).collect().await;
        assert_eq!(batches, [3]);
    }
}

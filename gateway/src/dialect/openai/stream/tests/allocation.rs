//! What a token costs in memory on its way from an event to the bytes of its chunk, once a stream runs: nothing.

use futures::task::noop_waker_ref;

use super::*;
use crate::{
    allocations,
    dialect::openai::request::{Params, params},
};

const N_WARM: usize = 200;
const N_COUNTED: usize = 2000;

/// Events of which so many are at hand at once, and then none for a moment.
fn in_turns(
    events: Vec<Result<ChoiceEvent, Error>>,
    n_at_once: usize,
) -> impl Stream<Item = Result<ChoiceEvent, Error>> + Send + Unpin {
    let (mut events, mut n_given) = (events.into_iter(), 0);
    stream::poll_fn(move |_| {
        if n_given == n_at_once {
            n_given = 0;
            return Poll::Pending;
        }
        n_given += 1;
        Poll::Ready(events.next())
    })
}

/// Allocations while `N_COUNTED` events become bytes, each of which the client takes at once.
fn allocations<S: Shape>(fields: &str, n_at_once: usize) -> usize {
    let body = format!(r#"{{"messages":[{{"role":"user"}}],"prompt":"x","stream":true,{fields}}}"#);
    let Params { shape, delivery, .. } = params::<S>(body.as_bytes()).unwrap();
    let head = Head {
        envelope: envelope(S::CHUNK_OBJECT),
        shape,
        delivery,
        count: count(1),
        keep_alive: KEEP_ALIVE,
    };
    let tokens = (0..N_WARM + N_COUNTED).map(|_| text(0, " \"token\""));
    let events = std::iter::once(accepted(0)).chain(tokens).collect();
    let mut body = Box::pin(super::body(head, in_turns(events, n_at_once)));
    let mut cx = Context::from_waker(noop_waker_ref());
    let mut tell = |n_events: usize| {
        let mut n_told = 0;
        while n_told < n_events {
            if let Poll::Ready(Some(Ok(bytes))) = body.poll_next_unpin(&mut cx) {
                n_told += bytes.windows(8).filter(|window| window == b"\"choices").count();
            }
        }
    };
    tell(N_WARM);
    allocations::during(|| tell(N_COUNTED - 2 * n_at_once))
}

#[tokio::test(start_paused = true)]
async fn a_token_is_written_without_an_allocation() {
    let check = |name: &str, n_allocations: usize| assert_eq!(n_allocations, 0, "{name}");
    for (n_at_once, fields) in [
        (1, r#""n":1"#),
        (7, r#""n":1"#),
        (1, r#""stream_options":{"include_usage":true,"continuous_usage_stats":true}"#),
        (1, r#""timings_per_token":true"#),
        (7, r#""stream_options":{"include_obfuscation":true}"#),
    ] {
        check(fields, allocations::<ChatCompletions>(fields, n_at_once));
        check(fields, allocations::<Completions>(fields, n_at_once));
    }
}

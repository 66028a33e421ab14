//! Where the time of requests goes inside the gateway. What workers say of themselves is in `fleet`.

use std::{
    fmt::Write,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, StreamExt};
use tokio::time::Instant;

const NAME: &str = "impetus_stage_seconds_total";
const HELP: &str = "Time of requests in the gateway: http, from the head until it is understood, of those that \
                    generate, embed or rerank; lease, until a worker takes it or it leaves, of all that need a worker, \
                    each completion for itself; events, taking in what workers say of completions; sse, writing that \
                    to streams, those of /v1/responses included.";

/// A part of the gateway's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// From a request's head until it is understood and let in: one to generate, embed or rerank.
    Http,
    /// Waiting for a worker, and for a turn with it.
    Lease,
    /// Taking in what workers say of completions.
    Events,
    /// Making server-sent events of it.
    Sse,
}

const STAGES: [(Stage, &str); 4] =
    [(Stage::Http, "http"), (Stage::Lease, "lease"), (Stage::Events, "events"), (Stage::Sse, "sse")];

/// In nanoseconds. Counters of the recorder hold whole numbers and are looked up by their labels, which is too coarse and
/// too slow for what happens at every event.
static SPENT: [AtomicU64; STAGES.len()] = [const { AtomicU64::new(0) }; STAGES.len()];

/// Counts the time until it is dropped: a stage that may be left at any moment.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    stage: Stage,
    begun: Instant,
}

/// A stream whose own work is counted: the time that polling it takes.
#[derive(Debug)]
pub(crate) struct Timed<S>(pub(crate) S);

impl Stopwatch {
    /// The stage begins now.
    pub(crate) fn of(stage: Stage) -> Self {
        Self { stage, begun: Instant::now() }
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        spent(self.stage, self.begun.elapsed());
    }
}

impl<S: Stream + Unpin> Stream for Timed<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let _counted = Stopwatch::of(Stage::Events);
        self.0.poll_next_unpin(cx)
    }
}

/// A stage took so much longer.
pub(crate) fn spent(stage: Stage, time: Duration) {
    SPENT[stage as usize].fetch_add(time.as_nanos() as u64, Relaxed);
}

/// What a stage has taken so far, in all requests.
#[cfg(test)]
pub(crate) fn so_far(stage: Stage) -> Duration {
    Duration::from_nanos(SPENT[stage as usize].load(Relaxed))
}

/// The lines for all stages.
pub(crate) fn render() -> String {
    let mut out = format!("# HELP {NAME} {HELP}\n# TYPE {NAME} counter\n");
    for (stage, name) in STAGES {
        let seconds = SPENT[stage as usize].load(Relaxed) as f64 / 1e9;
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{NAME}{{stage=\"{name}\"}} {seconds:.6}");
    }
    out
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn seconds(name: &str) -> f64 {
        let prefix = format!("{NAME}{{stage=\"{name}\"}} ");
        let text = render();
        text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap().parse().unwrap()
    }

    #[test]
    fn stages_are_counted_apart() {
        // Other tests count as well, and less than days.
        const LONG: Duration = Duration::from_hours(1000);
        for (nth, (stage, _)) in (1..).zip(STAGES) {
            spent(stage, LONG * nth);
        }
        for (nth, (_, name)) in (1..).zip(STAGES) {
            assert_eq!((seconds(name) / LONG.as_secs_f64()).floor() as u32, nth, "{name}");
        }
    }

    #[tokio::test]
    async fn the_time_of_a_stream_is_what_its_polls_take() {
        let before = seconds("events");
        let slow = stream::iter(0..3).map(|n| {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_micros(50) {}
            n
        });
        let items: Vec<i32> = Timed(slow).collect().await;
        assert_eq!(items, [0, 1, 2]);
        assert!(seconds("events") - before >= 150e-6);
    }
}

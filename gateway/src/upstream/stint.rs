//! One worker's part in a request, as the request's trace has it: the call, and what the worker says of its own time.

use std::time::Duration;

use impetus_proto::worker::Timings;
use tokio::time::Instant;

use super::Cause;
use crate::trace::{Kind, Open, Process, Trace};

#[derive(Debug)]
pub(super) struct Stint {
    call: Open,
    work: Open,
    accepted: Option<Instant>,
}

impl Stint {
    /// `worker` is about to see the request, of which `n_done` is done, in a call of this name.
    pub(super) fn begin(trace: &Trace, rpc: &'static str, worker: &str, n_done: usize) -> Self {
        let call = trace.open(Process::Gateway, Kind::Client, rpc);
        let work = call.open(Process::Worker, Kind::Server, rpc);
        work.set("impetus.worker.id", worker);
        work.set("impetus.resumed", n_done);
        Self { call, work, accepted: None }
    }

    /// The worker has the request.
    pub(super) fn accepted(&mut self) {
        self.accepted = Some(Instant::now());
    }

    /// The worker is done, and says what it took.
    pub(super) fn finished(self, timings: &Timings) {
        if !self.work.is_on() {
            return;
        }
        let accepted = self.accepted.unwrap_or_else(Instant::now);
        let tokenizing = Duration::from_micros(timings.tokenize_us);
        let mut at = accepted.checked_sub(tokenizing).unwrap_or(accepted);
        for (name, us) in [
            ("tokenize", timings.tokenize_us),
            ("queue", timings.queue_us),
            ("prefill", timings.prefill_us),
            ("decode", timings.decode_us),
        ] {
            let end = at + Duration::from_micros(us);
            self.work.part(Process::Worker, name, at, end);
            at = end;
        }
    }

    /// The worker was lost. What it last said stays in its log.
    pub(super) fn lost(self, cause: Cause, detail: &str) {
        let sentence = detail.split(';').next().unwrap_or_default();
        for span in [&self.work, &self.call] {
            span.fail(cause.name(), sentence);
        }
    }

    /// The worker refused the request itself.
    pub(super) fn refused(self, error: &impetus_proto::Error) {
        for span in [&self.work, &self.call] {
            span.refused(error);
        }
    }
}

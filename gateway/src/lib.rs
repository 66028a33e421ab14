//! The HTTP side of Impetus: dialects in, `Generate` streams out.
//!
//! A request goes `server` → `dialect` → `upstream` and its events come back the same way; a unary answer is a
//! fold of those events. The process reads neither arguments nor environment: everything it is told comes on an
//! inherited descriptor.

mod access;
#[cfg(test)]
mod allocations;
mod clock;
mod dashboard;
mod database;
mod dialect;
mod error;
#[cfg(test)]
mod fake;
mod glob;
mod metrics;
mod names;
mod overview;
mod record;
mod server;
mod start;
mod trace;
mod upstream;

use std::{num::NonZero, process::ExitCode, thread, time::Duration};

use tracing::error;

use crate::start::{Start, StartError};

/// The most threads that serve. One carries more tokens than engines make; the others are there so that a large body
/// holds up nobody else, and every further one is woken for nothing most of the time.
const MAX_THREADS: usize = 4;

/// Runs the gateway on the descriptors inherited from the supervisor, until it is told to stop or the supervisor
/// is gone.
pub fn run() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Before the specification is read there is no log, only standard error.
            if tracing::dispatcher::has_been_set() {
                error!("{failure}");
            } else {
                eprintln!("gateway: {failure}");
            }
            ExitCode::from(2)
        }
    }
}

fn serve() -> Result<(), StartError> {
    let Some(start) = Start::inherit()? else { return Ok(()) };
    let n_threads = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(n_threads).enable_all().build().map_err(StartError::Runtime)?;
    let served = runtime.block_on(start.serve());
    // What still runs belongs to nobody: either everything has finished, or the supervisor is gone.
    runtime.shutdown_timeout(Duration::ZERO);
    served
}

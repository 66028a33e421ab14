//! A panic becomes one log line like any other.

use std::{backtrace::Backtrace, panic::PanicHookInfo, thread};

/// Replaces the process's panic hook, whose several lines of plain text no reader of JSON lines understands.
pub(crate) fn install(process: &'static str) {
    std::panic::set_hook(Box::new(move |info| log(process, info)));
}

fn log(process: &'static str, info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("a value that is no text");
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = thread::current();
    let backtrace = Backtrace::capture();
    tracing::error!(
        process,
        location,
        thread = thread.name().unwrap_or("unnamed"),
        backtrace = (backtrace.status() == std::backtrace::BacktraceStatus::Captured)
            .then(|| tracing::field::display(&backtrace)),
        "panic: {message}"
    );
}

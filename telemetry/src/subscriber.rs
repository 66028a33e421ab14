//! Where log lines go and what they look like.

use std::{
    io::{self, IsTerminal},
    sync::OnceLock,
};

use tracing::Subscriber;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{LevelFilter, filter_fn},
    fmt::{MakeWriter, layer},
    layer::SubscriberExt,
    registry::LookupSpan,
    reload::{self, Handle},
    util::SubscriberInitExt,
};

use crate::{TelemetryError, journal, level, panic};

/// Lines that may wait to be written; more are dropped, so that a stuck disk or terminal stops nobody.
const PENDING_LINES: usize = 8192;

/// The target of what goes to the audit log: what was done by whoever may, and what was refused.
pub const AUDIT: &str = "audit";

/// Replaces the filter of this process.
static CHANGE: OnceLock<Box<dyn Fn(EnvFilter) + Send + Sync>> = OnceLock::new();

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line: `timestamp`, `level`, `target`, `fields`, `spans`.
    Json,
    /// For people.
    Text,
}

/// Writes out, when it is dropped, the lines that still wait.
#[derive(Debug)]
#[must_use = "lines are lost when this is dropped before the process ends"]
pub struct Guard(#[expect(dead_code, reason = "held for its Drop")] Vec<WorkerGuard>);

/// Sets up logging of a child process: every line goes straight to standard error, so that the words before a
/// crash arrive; the supervisor reads the other end. `level` is a level or directives (`info,hyper=off`).
pub fn init(process: &'static str, level: &str, format: Format) -> Result<(), TelemetryError> {
    let (filter, handle) = reload::Layer::new(level::parse(level)?);
    Registry::default().with(filter).with(lines(format, false, io::stderr)).try_init()?;
    changeable(handle);
    panic::install(process);
    Ok(())
}

/// From now on this process logs what `level` says, a level or directives. Before logging is set up it means nothing.
pub fn set_level(level: &str) -> Result<(), TelemetryError> {
    let filter = level::parse(level)?;
    if let Some(change) = CHANGE.get() {
        change(filter);
    }
    Ok(())
}

fn changeable<S: 'static>(handle: Handle<EnvFilter, S>) {
    // An error means that there is no subscriber any more, and so nothing to filter.
    let change = move |filter| drop(handle.reload(filter));
    // Set once, since logging is.
    let _ = CHANGE.set(Box::new(change));
}

/// The same, and what has the target [`AUDIT`] goes to `audit` besides, as JSON, whatever `level` says.
pub fn init_audited(
    process: &'static str,
    level: &str,
    format: Format,
    audit: impl io::Write + Send + 'static,
) -> Result<Guard, TelemetryError> {
    let (filter, handle) = reload::Layer::new(level::parse(level)?);
    let (audit, guard) = background(audit);
    Registry::default()
        .with(lines(format, false, io::stderr).with_filter(filter))
        .with(audited(audit))
        .try_init()?;
    changeable(handle);
    panic::install(process);
    Ok(Guard(vec![guard]))
}

/// Sets up logging of the supervisor: to `file`, which is a [`RotatedFile`](crate::file::RotatedFile) or wraps one,
/// in `format`, and to standard error as text, with priorities where the journal reads it; what has the target [`AUDIT`] goes to `audit` besides, as JSON, whatever
/// `level` says.
pub fn init_supervisor(
    file: impl io::Write + Send + 'static,
    audit: impl io::Write + Send + 'static,
    level: &str,
    format: Format,
) -> Result<Guard, TelemetryError> {
    let (filter, handle) = reload::Layer::new(level::parse(level)?);
    let colours =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (file, file_guard) = background(file);
    let (stderr, stderr_guard) = background(io::stderr());
    let (audit, audit_guard) = background(audit);
    let stderr = for_people(stderr, colours);
    Registry::default()
        .with(lines(format, false, file).and_then(stderr).with_filter(filter))
        .with(audited(audit))
        .try_init()?;
    changeable(handle);
    panic::install("supervisor");
    Ok(Guard(vec![file_guard, stderr_guard, audit_guard]))
}

fn background(writer: impl io::Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(PENDING_LINES)
        .thread_name("log")
        .finish(writer)
}

/// Spans are let through for the sake of what is audited within them.
fn audited<S: Subscriber + for<'a> LookupSpan<'a>>(writer: NonBlocking) -> impl Layer<S> {
    let is_audited = filter_fn(|metadata| metadata.target() == AUDIT || metadata.is_span());
    let only_important = is_audited.with_max_level_hint(LevelFilter::INFO);
    lines(Format::Json, false, writer).with_filter(only_important)
}

/// What people read: a terminal or a file, or the log that the service manager has standard error go to.
fn for_people<S>(stderr: NonBlocking, colours: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    #[cfg(target_os = "macos")]
    if crate::unified::is_meant() {
        let layer =
            layer().with_ansi(false).with_writer(crate::unified::UnifiedLog).log_internal_errors(false);
        return layer.event_format(journal::text()).boxed();
    }
    if journal::is_stderr() { journalled(stderr) } else { lines(Format::Text, colours, stderr) }
}

/// Lines as the journal has them.
fn journalled<S, W>(writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    layer()
        .with_ansi(false)
        .with_writer(writer)
        .log_internal_errors(false)
        .event_format(journal::Lines::new())
        .boxed()
}

fn lines<S, W>(format: Format, colours: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Without `log_internal_errors(false)` a closed standard error makes the next line panic.
    let layer = layer().with_writer(writer).log_internal_errors(false);
    match format {
        Format::Json => layer.json().with_current_span(false).with_span_list(true).boxed(),
        Format::Text => layer.with_ansi(colours).boxed(),
    }
}

#[cfg(test)]
mod tests;

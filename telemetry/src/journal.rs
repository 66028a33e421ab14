//! Standard error that systemd's journal reads. It has time and name itself, and takes a line's priority from a prefix
//! (sd-daemon(3)).

use std::{
    env, fmt,
    fs::File,
    io,
    os::{fd::AsFd, unix::fs::MetadataExt},
};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Full, Writer},
    },
    registry::LookupSpan,
};

/// Lines for the journal: a priority, then the text as people read it, without time and level.
#[derive(Debug)]
pub(crate) struct Lines(Format<Full, ()>);

/// The text of a line for a log that has time and level itself.
pub(crate) fn text() -> Format<Full, ()> {
    tracing_subscriber::fmt::format().without_time().with_level(false).with_ansi(false)
}

impl Lines {
    pub(crate) fn new() -> Self {
        Self(text())
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        self.0.format_event(context, Writer::new(&mut text), event)?;
        let prefix = prefix(*event.metadata().level());
        // Each line is an entry of its own to the journal.
        text.lines().try_for_each(|line| writeln!(writer, "{prefix}{line}"))
    }
}

/// What a line that is written to standard error begins with: its priority, where the journal reads it.
pub fn journal_prefix(level: Level) -> &'static str {
    if is_stderr() { prefix(level) } else { "" }
}

/// Whether the journal reads this process' standard error.
pub(crate) fn is_stderr() -> bool {
    let stream = env::var("JOURNAL_STREAM").unwrap_or_default();
    // A copy, since a file closes what it is made of.
    let stderr = io::stderr().as_fd().try_clone_to_owned().map(File::from);
    let metadata = stderr.and_then(|stderr| stderr.metadata());
    metadata.is_ok_and(|metadata| is_stream(&stream, metadata.dev(), metadata.ino()))
}

/// Whether `stream`, as `JOURNAL_STREAM` has it, is the file with these numbers.
fn is_stream(stream: &str, device: u64, inode: u64) -> bool {
    stream
        .split_once(':')
        .is_some_and(|numbers| (numbers.0.parse(), numbers.1.parse()) == (Ok(device), Ok(inode)))
}

/// The priorities of syslog(3).
fn prefix(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_known_by_its_numbers() {
        let check = |stream: &str, expected: bool| {
            assert_eq!(is_stream(stream, 9, 4711), expected, "{stream}");
        };
        check("9:4711", true);
        check("9:4712", false);
        check("8:4711", false);
        check("9", false);
        check("nine:4711", false);
        check("", false);
    }
}

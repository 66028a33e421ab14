//! Reads lines with an editor. It waits for keys on a thread of its own, so that a signal finds somebody who can put the
//! terminal back and leave.

use std::{io, sync::mpsc, thread};

use rustyline::{
    Config, Context, Helper,
    completion::Completer,
    error::ReadlineError,
    highlight::Highlighter,
    hint::Hinter,
    history::{History as _, MemHistory},
    validate::Validator,
};
use tokio::sync::mpsc as async_mpsc;

use super::{
    command,
    history::{History, MAX_INPUTS},
};

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Editor {
    requests: mpsc::SyncSender<Request>,
    lines: async_mpsc::Receiver<Read>,
}

/// What came of reading a line.
#[derive(Debug)]
pub(super) enum Read {
    Line(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D.
    End,
    Failed(String),
}

#[derive(Debug)]
enum Request {
    /// A line behind this prompt.
    Read(&'static str),
    /// Keeps an input for the arrow keys.
    Keep(String),
}

/// Completes the names of commands.
struct Commands;

impl Editor {
    /// Starts the thread.
    pub(super) fn start(history: History) -> io::Result<Self> {
        let (requests, asked) = mpsc::sync_channel(1);
        let (answers, lines) = async_mpsc::channel(1);
        thread::Builder::new().name("editor".into()).spawn(move || {
            if let Err(error) = serve(&history, &asked, &answers) {
                // Nobody reads where nobody wants lines any more.
                let _ = answers.blocking_send(Read::Failed(error.to_string()));
            }
        })?;
        Ok(Self { requests, lines })
    }

    /// Reads a line.
    pub(super) async fn read(&mut self, prompt: &'static str) -> Read {
        // A thread that has ended has said why.
        let _ = self.requests.send(Request::Read(prompt));
        let gone = || Read::Failed("its reader has ended".to_owned());
        self.lines.recv().await.unwrap_or_else(gone)
    }

    /// Keeps an input for the arrow keys, in this chat and later ones.
    pub(super) fn keep(&self, input: String) {
        // Without a thread the next line says so.
        let _ = self.requests.send(Request::Keep(input));
    }
}

fn serve(
    history: &History,
    asked: &mpsc::Receiver<Request>,
    answers: &async_mpsc::Sender<Read>,
) -> Result<(), ReadlineError> {
    let config = Config::builder().max_history_size(MAX_INPUTS)?.history_ignore_dups(true)?.build();
    let former = MemHistory::with_config(&config);
    let mut editor = rustyline::Editor::<Commands, MemHistory>::with_history(config, former)?;
    editor.set_helper(Some(Commands));
    for input in history.read() {
        editor.history_mut().add(&input)?;
    }
    while let Ok(request) = asked.recv() {
        let prompt = match request {
            Request::Read(prompt) => prompt,
            Request::Keep(input) => {
                editor.history_mut().add(&input)?;
                history.keep(&input);
                continue;
            }
        };
        let read = match editor.readline(prompt) {
            Ok(line) => Read::Line(line),
            Err(ReadlineError::Interrupted) => Read::Interrupted,
            Err(ReadlineError::Eof) => Read::End,
            Err(error) => return Err(error),
        };
        if answers.blocking_send(read).is_err() {
            break;
        }
    }
    Ok(())
}

impl Completer for Commands {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok((0, line.get(..at).map(completions).unwrap_or_default()))
    }
}

impl Hinter for Commands {
    type Hint = String;
}
impl Highlighter for Commands {}
impl Validator for Commands {}
impl Helper for Commands {}

fn completions(begin: &str) -> Vec<String> {
    let matching = command::NAMES.iter().filter(|name| begin.starts_with('/') && name.starts_with(begin));
    matching.map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commands_are_completed() {
        let check = |begin: &str, expected: &[&str]| assert_eq!(completions(begin), expected, "{begin}");
        check("/s", &["/save", "/set", "/show", "/stats", "/system"]);
        check("/un", &["/undo"]);
        check("/x", &[]);
        check("", &[]);
        check("s", &[]);
    }
}

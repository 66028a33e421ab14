//! Reports of deaths that nobody had asked for: a file each in the state folder, of which only so many stay. No prompt
//! and no output is in them.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{attribution::ExitCause, events::now_ms, state_file};

/// The name of the folder.
const FOLDER: &str = "crashes";

/// How a report's file name ends.
const SUFFIX: &str = "json";

/// Reports that are kept.
const MAX_REPORTS: usize = 100;

/// Bytes of all reports together.
const MAX_BYTES: u64 = 4 << 20;

/// Lines of the log that a report holds, and characters of each.
const MAX_LINES: usize = 40;
const MAX_CHARS: usize = 500;

/// Where reports are.
#[derive(Debug, Clone)]
pub struct Crashes(PathBuf);

/// A death.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Crash {
    /// When, in milliseconds since 1970.
    pub unix_ms: u64,
    /// "gateway" or a worker's id.
    pub process: String,
    /// Its process id.
    pub pid: Option<u32>,
    /// The version of the supervisor.
    pub version: String,
    /// Why, as a sentence without its subject.
    pub cause: String,
    /// How the process ended.
    pub exit: Exit,
    /// How long it had been known.
    pub uptime_ms: u64,
    /// What it served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<Serving>,
    /// What it logged last, but for what is logged at `trace`.
    pub last_lines: Vec<String>,
}

/// How a process ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Whether it was ended for the memory that it held.
    pub memory: bool,
    /// Whether a request may have brought it about.
    pub may_be_request: bool,
}

/// What a worker served when it died.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Serving {
    /// Its format.
    pub format: String,
    /// Its model; absent for a standby.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// What it did: loading, ready and so on.
    pub state: String,
    /// How far it was confined.
    pub sandbox: String,
    /// Sequences in its slots, as it last said.
    pub sequences: u32,
    /// Requests that waited for a slot.
    pub waiting: u32,
    /// Leases on it.
    pub leases: u32,
    /// The most RAM that it has held, in bytes, but for prefixes, as it last said.
    pub peak_bytes: u64,
    /// RAM at which it was to be ended, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_bytes: Option<u64>,
}

/// What it was told of its model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "they are those of `WorkerSpec`")]
pub struct Model {
    pub name: String,
    pub path: String,
    pub slots: u32,
    pub context_tokens: u32,
    pub threads: u32,
    pub options: std::collections::BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft: Option<String>,
}

/// A report on disk.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its name.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub crash: Crash,
}

impl Crash {
    /// The death of `process` now, after it has been known for `uptime`.
    pub fn new(process: &str, pid: Option<u32>, cause: &ExitCause, uptime: Duration) -> Self {
        let (code, signal) = match cause {
            ExitCause::Exited { code, .. } => (Some(*code), None),
            ExitCause::Signalled { signal, .. } => (None, Some(*signal)),
            _ => (None, None),
        };
        let exit = Exit { code, signal, memory: cause.is_memory(), may_be_request: cause.may_be_request() };
        Self {
            unix_ms: now_ms(),
            process: process.to_owned(),
            pid,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cause: cause.to_string(),
            exit,
            uptime_ms: u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
            worker: None,
            last_lines: Vec::new(),
        }
    }

    /// Whether an end like this is reported: a process was there, and nobody had asked for its end.
    pub fn is_one(cause: &ExitCause) -> bool {
        !matches!(cause, ExitCause::Stopped | ExitCause::NotStarted(_) | ExitCause::LoadFailed(_))
    }

    /// With the last of these lines.
    #[must_use]
    pub fn with_lines(mut self, lines: Vec<String>) -> Self {
        let mut lines: Vec<String> = lines.into_iter().filter(|line| !is_trace(line)).collect();
        let surplus = lines.len().saturating_sub(MAX_LINES);
        let cut = |line: String| line.chars().take(MAX_CHARS).collect();
        self.last_lines = lines.drain(surplus..).map(cut).collect();
        self
    }

    /// What it is called.
    pub fn id(&self) -> String {
        format!("{}-{}", self.unix_ms, self.process)
    }
}

/// At this level alone prompts and outputs are logged.
fn is_trace(line: &str) -> bool {
    line.contains(r#""level":"TRACE""#) || line.split_whitespace().nth(1) == Some("TRACE")
}

impl Crashes {
    /// Those of this state folder.
    pub fn new(state_dir: &Path) -> Self {
        Self(state_dir.join(FOLDER))
    }

    /// Writes a report, and removes the oldest beyond the bounds. Waits for the disk.
    pub fn keep(&self, crash: &Crash) -> io::Result<PathBuf> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let path = self.0.join(format!("{}.{SUFFIX}", crash.id()));
        state_file::write(&path, crash)?;
        self.prune();
        Ok(path)
    }

    /// All that are kept, the latest first.
    pub fn list(&self) -> Vec<Kept> {
        let mut kept: Vec<Kept> = self.files().into_iter().filter_map(|(path, _)| read(path)).collect();
        kept.sort_by(|a, b| (b.crash.unix_ms, &b.id).cmp(&(a.crash.unix_ms, &a.id)));
        kept
    }

    /// Reports with their sizes, the oldest first; the time is the beginning of their names.
    fn files(&self) -> Vec<(PathBuf, u64)> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Vec::new() };
        let mut files: Vec<(PathBuf, u64)> = entries
            .flatten()
            .map(|entry| (entry.path(), entry.metadata().map_or(0, |file| file.len())))
            .filter(|(path, _)| path.extension().is_some_and(|suffix| suffix == SUFFIX))
            .collect();
        files.sort();
        files
    }

    fn prune(&self) {
        let files = self.files();
        let (mut n_left, mut n_bytes) = (files.len(), files.iter().map(|(_, bytes)| bytes).sum::<u64>());
        for (path, bytes) in files {
            if n_left <= MAX_REPORTS && n_bytes <= MAX_BYTES {
                return;
            }
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "an old report of a crash cannot be removed");
            }
            (n_left, n_bytes) = (n_left - 1, n_bytes - bytes);
        }
    }
}

fn read(path: PathBuf) -> Option<Kept> {
    let id = path.file_stem()?.to_str()?.to_owned();
    let is_small = fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= MAX_BYTES);
    let crash = is_small.then(|| serde_json::from_slice(&fs::read(&path).ok()?).ok()).flatten()?;
    Some(Kept { id, path, crash })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn crash(unix_ms: u64) -> Crash {
        let cause = ExitCause::Exited { code: 1, last_words: vec![] };
        Crash { unix_ms, ..Crash::new("gguf-1", Some(7), &cause, Duration::from_secs(2)) }
    }

    #[test]
    fn only_the_last_reports_stay() {
        let dir = tempfile::tempdir().unwrap();
        let crashes = Crashes::new(dir.path());
        assert!(crashes.list().is_empty());
        let first = 1_700_000_000_000;
        for n in 0..MAX_REPORTS as u64 + 5 {
            crashes.keep(&crash(first + n)).unwrap();
        }
        let kept = crashes.list();
        assert_eq!(kept.len(), MAX_REPORTS);
        assert_eq!(kept[0].id, format!("{}-gguf-1", first + MAX_REPORTS as u64 + 4));
        assert_eq!(kept[0].crash.exit.code, Some(1));
        assert_eq!(kept.last().unwrap().crash.unix_ms, first + 5);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&kept[0].path), mode(kept[0].path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn reports_take_a_bounded_part_of_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let crashes = Crashes::new(dir.path());
        let wide: String = "ü".repeat(2 * MAX_CHARS);
        for n in 0..MAX_REPORTS as u64 {
            let lines = vec![wide.clone(); 2 * MAX_LINES];
            let crash = crash(1_700_000_000_000 + n).with_lines(lines);
            assert_eq!((crash.last_lines.len(), crash.last_lines[0].chars().count()), (MAX_LINES, MAX_CHARS));
            crashes.keep(&crash).unwrap();
        }
        let bytes: u64 = crashes.files().iter().map(|(_, bytes)| bytes).sum();
        assert!(bytes <= MAX_BYTES, "{bytes}");
        assert!(!crashes.list().is_empty());
    }

    #[test]
    fn what_may_hold_a_prompt_is_left_out() {
        let lines = [
            r#"{"timestamp":"t","level":"TRACE","fields":{"prompt":"secret"}}"#,
            "2026-01-01T00:00:00Z TRACE x: secret",
            "GGML_ASSERT(x) failed",
        ];
        let crash = crash(1).with_lines(lines.map(ToOwned::to_owned).to_vec());
        assert_eq!(crash.last_lines, ["GGML_ASSERT(x) failed"]);
    }
}

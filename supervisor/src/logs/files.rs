//! The thread that writes log files, so that a slow disk stops nobody. When it cannot keep up, lines are dropped.

use std::{
    collections::HashMap,
    fs, io,
    io::Write,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::SystemTime,
};

use impetus_telemetry::file::RotatedFile;

use super::LogSettings;

/// Lines that may wait for the disk.
const PENDING_LINES: usize = 4096;

/// Files of workers that are kept, of all runs together: every worker has a name of its own.
const MAX_WORKER_FILES: usize = 64;

/// What the files of workers begin with.
pub(crate) const WORKER_PREFIX: &str = "worker-";

/// The sending side.
#[derive(Debug)]
pub(super) struct Files {
    orders: SyncSender<Order>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Order {
    Write { file: Arc<str>, text: Arc<str> },
    End(Arc<str>),
    Close,
}

struct Writer {
    settings: LogSettings,
    open: HashMap<Arc<str>, Option<RotatedFile>>,
}

impl Files {
    pub(super) fn start(settings: LogSettings) -> io::Result<Self> {
        let (orders, incoming) = sync_channel(PENDING_LINES);
        let writer = Writer { settings, open: HashMap::new() };
        let thread =
            std::thread::Builder::new().name("log-files".into()).spawn(move || writer.run(&incoming))?;
        Ok(Self { orders, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn write(&self, file: Arc<str>, text: Arc<str>) {
        // A full queue means a disk that cannot keep up; the line stays in the ring.
        let _ = self.orders.try_send(Order::Write { file, text });
    }

    pub(super) fn end(&self, file: Arc<str>) {
        // An entry that stays open for want of this costs one descriptor until the next line of that file ends.
        let _ = self.orders.try_send(Order::End(file));
    }

    pub(super) fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && self.orders.send(Order::Close).is_ok()
        {
            // A writer that panicked has said so in the log already.
            let _ = thread.join();
        }
    }
}

impl Writer {
    fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            match order {
                Order::Write { file, text } => self.write(file, &text),
                Order::End(file) => drop(self.open.remove(&file)),
                Order::Close => return,
            }
        }
    }

    fn write(&mut self, name: Arc<str>, text: &str) {
        let settings = &self.settings;
        let file = self.open.entry(name).or_insert_with_key(|name| open(settings, name));
        if let Some(file) = file {
            // `RotatedFile` counts what it cannot write and never fails.
            let _ = file.write_all(format!("{text}\n").as_bytes());
        }
    }
}

/// Opens a file, or says once why not: the server runs on without it.
fn open(settings: &LogSettings, name: &str) -> Option<RotatedFile> {
    if name.starts_with(WORKER_PREFIX) {
        prune(settings);
    }
    RotatedFile::open(&settings.dir, name, settings.rotation, settings.keep)
        .inspect_err(|error| tracing::warn!(%error, "a log file is not written"))
        .ok()
}

/// Removes the oldest files of workers beyond the bound.
fn prune(settings: &LogSettings) {
    let Ok(entries) = fs::read_dir(&settings.dir) else { return };
    let mut files: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(WORKER_PREFIX))
        .map(|entry| {
            let modified =
                entry.metadata().and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            (modified, entry.path())
        })
        .collect();
    files.sort();
    let n_surplus = (files.len() + 1).saturating_sub(MAX_WORKER_FILES);
    for (_, path) in files.into_iter().take(n_surplus) {
        // One that cannot be removed stays until the next try.
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use impetus_telemetry::Rotation;

    use super::*;

    fn settings(dir: &std::path::Path) -> LogSettings {
        LogSettings { dir: dir.into(), rotation: Rotation::Never, keep: 3 }
    }

    #[test]
    fn lines_are_on_disk_after_close() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::start(settings(dir.path())).unwrap();
        files.write("gateway".into(), "one".into());
        files.end("gateway".into());
        files.write("gateway".into(), "two".into());
        files.close();
        assert_eq!(fs::read_to_string(dir.path().join("gateway.log")).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn files_of_workers_do_not_pile_up() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..100 {
            fs::write(dir.path().join(format!("{WORKER_PREFIX}gguf-{number}.log")), "").unwrap();
        }
        fs::write(dir.path().join("gateway.log"), "").unwrap();
        let files = Files::start(settings(dir.path())).unwrap();
        files.write(format!("{WORKER_PREFIX}gguf-100").into(), "x".into());
        files.close();
        let names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), MAX_WORKER_FILES + 1);
        assert!(names.contains(&"gateway.log".into()));
    }
}

//! The history on the disk: a line for each sample, read again by the next gateway. While one gateway takes over from
//! another both write, and each reads what the other has written.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::sample::Sample;

/// Its name in the state folder.
const FILE: &str = "history.jsonl";

/// Bytes at which it is written anew with what is remembered alone, which is much less.
const MAX_BYTES: u64 = 2 << 20;

#[derive(Debug)]
pub(super) struct HistoryFile {
    path: PathBuf,
    /// Up to where it was read or written.
    read_to: Mutex<u64>,
}

impl HistoryFile {
    pub(super) fn new(state_dir: &Path) -> Self {
        Self { path: state_dir.join(FILE), read_to: Mutex::default() }
    }

    /// Adds `own` samples, and answers those that others have added since the last time. `all` are those that stay when
    /// it has grown too large. Waits for the disk.
    pub(super) fn exchange(
        &self,
        own: &[Arc<Sample>],
        all: impl FnOnce() -> Vec<Arc<Sample>>,
    ) -> io::Result<Vec<Sample>> {
        let mut read_to = self.read_to.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = self.open()?;
        // A file that is shorter than it was has been written anew.
        let from = if file.metadata()?.len() < *read_to { 0 } else { *read_to };
        file.seek(SeekFrom::Start(from))?;
        let mut text = Vec::new();
        (&file).take(2 * MAX_BYTES).read_to_end(&mut text)?;
        let others = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        let others: Vec<Sample> = others.collect();
        file.write_all(&lines(own)?)?;
        *read_to = file.metadata()?.len();
        if *read_to > MAX_BYTES {
            *read_to = self.write_anew(&all())?;
        }
        Ok(others)
    }

    fn open(&self) -> io::Result<File> {
        // The folder is the supervisor's to make.
        OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)
    }

    fn write_anew(&self, samples: &[Arc<Sample>]) -> io::Result<u64> {
        let next = self.path.with_extension("next");
        let text = lines(samples)?;
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        file.write_all(&text)?;
        fs::rename(&next, &self.path)?;
        Ok(text.len() as u64)
    }
}

fn lines(samples: &[Arc<Sample>]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for sample in samples {
        serde_json::to_writer(&mut text, &**sample)?;
        text.push(b'\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(seconds: impl IntoIterator<Item = u64>) -> Vec<Arc<Sample>> {
        let sample = |unix_s| Arc::new(Sample { unix_s, step_s: 1, ..Sample::default() });
        seconds.into_iter().map(sample).collect()
    }

    fn ends(samples: &[Sample]) -> Vec<u64> {
        samples.iter().map(|sample| sample.unix_s).collect()
    }

    #[test]
    fn two_gateways_learn_each_others_samples_once() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (HistoryFile::new(dir.path()), HistoryFile::new(dir.path()));
        assert_eq!(ends(&one.exchange(&samples(1..=2), Vec::new).unwrap()), [0; 0]);
        assert_eq!(ends(&other.exchange(&samples(3..=3), Vec::new).unwrap()), [1, 2]);
        assert_eq!(ends(&one.exchange(&samples(4..=4), Vec::new).unwrap()), [3]);
        assert_eq!(ends(&other.exchange(&[], Vec::new).unwrap()), [4]);
        assert_eq!(ends(&other.exchange(&[], Vec::new).unwrap()), [0; 0]);
        assert_eq!(ends(&HistoryFile::new(dir.path()).exchange(&[], Vec::new).unwrap()), [1, 2, 3, 4]);
    }

    #[test]
    fn a_damaged_line_is_left_out_and_a_large_file_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        fs::write(&path, "{\"unix_s\":\nnonsense\n").unwrap();
        let file = HistoryFile::new(dir.path());
        assert_eq!(ends(&file.exchange(&samples(1..=1), Vec::new).unwrap()), [0; 0]);
        let n_lines = MAX_BYTES / 100;
        file.exchange(&samples(1..=n_lines), || samples(7..=9)).unwrap();
        assert!(fs::metadata(&path).unwrap().len() < 1000);
        file.exchange(&samples(10..=10), Vec::new).unwrap();
        assert_eq!(ends(&HistoryFile::new(dir.path()).exchange(&[], Vec::new).unwrap()), [7, 8, 9, 10]);
    }
}

//! The weights of a model that waits for its turn are read into the system's cache meanwhile, so that its worker does not
//! wait for the disk.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

/// What is asked for at once, in bytes; between two of these it can be called off.
#[cfg(target_os = "linux")]
const CHUNK_BYTES: u64 = 8 << 20;

/// Reads ahead until it is dropped.
#[derive(Debug, Default)]
pub struct ReadAhead {
    is_over: Arc<AtomicBool>,
}

impl ReadAhead {
    /// Begins to read these files, one after the other, `bytes` together at most. Needs a tokio runtime.
    pub fn start(files: Vec<PathBuf>, bytes: u64) -> Self {
        let ahead = Self::default();
        let is_over = ahead.is_over.clone();
        tokio::task::spawn_blocking(move || {
            let asked_bytes = read(&files, bytes, &is_over);
            tracing::debug!(asked_bytes, "read ahead");
        });
        ahead
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
    }
}

/// Asks for at most `bytes` of these files, and says for how many. What cannot be read is left to its worker, which will
/// say so.
#[cfg(target_os = "linux")]
fn read(files: &[PathBuf], bytes: u64, is_over: &AtomicBool) -> u64 {
    use std::fs::File;

    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

    let mut asked = 0;
    for path in files {
        let Ok((file, length)) = File::open(path).and_then(|file| {
            let length = file.metadata()?.len();
            Ok((file, length))
        }) else {
            continue;
        };
        let mut offset = 0;
        while offset < length {
            let chunk = CHUNK_BYTES.min(length - offset).min(bytes - asked);
            if chunk == 0 || is_over.load(Relaxed) {
                return asked;
            }
            let (from, n) = (offset.cast_signed(), chunk.cast_signed());
            if posix_fadvise(&file, from, n, PosixFadviseAdvice::POSIX_FADV_WILLNEED).is_err() {
                break;
            }
            (offset, asked) = (offset + chunk, asked + chunk);
        }
    }
    asked
}

/// Other systems are not asked.
#[cfg(not(target_os = "linux"))]
fn read(_: &[PathBuf], _: u64, _: &AtomicBool) -> u64 {
    0
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_fits_and_nothing_that_is_called_off() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: usize| {
            let path = dir.path().join(name);
            std::fs::write(&path, vec![1; bytes]).unwrap();
            path
        };
        let files = [file("a", 9 << 20), dir.path().join("absent"), file("b", 1000)];
        let check = |bytes: u64, is_over: bool, expected: u64| {
            assert_eq!(read(&files, bytes, &AtomicBool::new(is_over)), expected, "{bytes} {is_over}");
        };
        check(u64::MAX, false, (9 << 20) + 1000);
        check(8 << 20, false, 8 << 20);
        check((9 << 20) + 5, false, (9 << 20) + 5);
        check(0, false, 0);
        check(u64::MAX, true, 0);
    }
}

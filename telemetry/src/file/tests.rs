use std::{fs, path::Path};

use super::*;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A disk that takes `room` bytes.
struct Disk {
    written: Vec<u8>,
    room: usize,
}

impl Write for Disk {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n_bytes = buf.len().min(self.room);
        if n_bytes == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room -= n_bytes;
        self.written.extend_from_slice(&buf[..n_bytes]);
        Ok(n_bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
}

#[test]
fn lines_are_appended_across_openings() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("a/b");
    for line in [b"one\n", b"two\n"] {
        RotatedFile::open(&logs, "gateway", Rotation::Never, 3).unwrap().write_all(line).unwrap();
    }
    assert_eq!(names(&logs), ["gateway.log"]);
    assert_eq!(fs::read_to_string(logs.join("gateway.log")).unwrap(), "one\ntwo\n");
}

#[test]
fn old_files_are_removed_and_those_of_other_processes_stay() {
    let dir = tempfile::tempdir().unwrap();
    let old = ["gguf-1.log.2020-01-01", "gguf-1.log.2020-01-02", "gguf-1.log.2020-01-03"];
    let others = ["gguf-10.log.2020-01-01", "gguf-10.log.2020-01-02", "notes.txt"];
    for name in old.iter().chain(&others) {
        fs::write(dir.path().join(name), "").unwrap();
    }
    RotatedFile::open(dir.path(), "gguf-1", Rotation::Daily, 2).unwrap();
    let left = names(dir.path());
    assert_eq!(left.iter().filter(|name| name.starts_with("gguf-1.log.")).count(), 2, "{left:?}");
    assert!(others.iter().all(|other| left.iter().any(|name| name == other)), "{left:?}");
}

#[test]
fn a_full_disk_loses_lines_and_nothing_else() {
    let mut file = RotatedFile::over(Disk { written: Vec::new(), room: 6 });
    file.write_all(b"one\n").unwrap();
    file.write_all(b"two\n").unwrap();
    file.write_all(b"three\n").unwrap();
    file.flush().unwrap();
    assert_eq!(file.lost(), 2);
    file.inner.room = 100;
    file.write_all(b"four\n").unwrap();
    assert_eq!(String::from_utf8(file.inner.written).unwrap(), "one\ntw\nfour\n");
    assert_eq!(file.lost, 2);
}

#[test]
fn a_name_cannot_leave_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["", "..", "../x", "a/b", ".hidden", "a\nb"] {
        let opened = RotatedFile::open(dir.path(), name, Rotation::Never, 1);
        assert!(matches!(opened, Err(TelemetryError::Name { .. })), "{name:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = RotatedFile::open(&file.join("logs"), "gateway", Rotation::Daily, 1).unwrap_err();
    assert!(error.to_string().contains(&*file.to_string_lossy()), "{error}");
}

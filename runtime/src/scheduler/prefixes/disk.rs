//! The file of prefixes as its users see it, so that tests can cut it off at any byte.

use std::{
    fs::{File, TryLockError},
    io,
    os::unix::fs::{FileExt, MetadataExt},
};

/// A file of which one process at a time makes use.
pub(super) trait Disk: Send + Sync {
    /// Its length in bytes.
    fn length(&self) -> io::Result<u64>;

    /// Cuts it off, or makes it longer by zeros.
    fn set_length(&self, bytes: u64) -> io::Result<()>;

    /// Fills `buffer` from `offset` on; an error where the file ends before.
    fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` from `offset` on.
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Waits until what was written would outlast the machine.
    fn sync(&self) -> io::Result<()>;

    /// Takes the file for this process's life; false where another process has it, and where it was removed, since
    /// nobody would find again what is written to it.
    fn try_lock(&self) -> io::Result<bool>;
}

impl Disk for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn try_lock(&self) -> io::Result<bool> {
        match File::try_lock(self) {
            Ok(()) => Ok(self.metadata()?.nlink() > 0),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_removed_is_nobodys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let [first, second] = [(); 2].map(|()| {
            File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap()
        });
        assert!(Disk::try_lock(&first).unwrap());
        assert!(!Disk::try_lock(&second).unwrap(), "another one has it");
        drop(first);
        std::fs::remove_file(&path).unwrap();
        assert!(!Disk::try_lock(&second).unwrap());
    }
}

//! Control groups of its own: whatever the child becomes is counted in them from its first page on.

use std::{fs::OpenOptions, io, io::Write};

/// Writes this process' id to each of `files`, and so makes it part of the groups that they belong to.
pub fn join(files: &[String]) -> io::Result<()> {
    let id = std::process::id().to_string();
    files.iter().try_for_each(|file| OpenOptions::new().write(true).open(file)?.write_all(id.as_bytes()))
}

//! Small JSON files that outlive the server: written whole or not at all, and never trusted.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};

/// The most that is read of one, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// What the file holds. One that is not there, or that cannot be read, is as good as an empty one; the log tells of
/// the latter.
pub fn read<T: DeserializeOwned + Default>(path: &Path) -> T {
    match parse(path) {
        Ok(value) => value,
        Err(error) if error.kind() == io::ErrorKind::NotFound => T::default(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "what was kept cannot be read; going on without it");
            T::default()
        }
    }
}

/// Replaces the file's content. If the machine stops meanwhile, the file holds either the old or the new.
pub fn write<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(value)?;
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    // The name as well has to reach the disk.
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

fn parse<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

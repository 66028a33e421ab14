//! The file of the database: for nobody's eyes but the user's whose server it is.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use tracing::warn;

/// The name of the file in the folder, to which SQLite adds two of its own.
pub(super) const FILE: &str = "responses.db";

/// What anybody but the owner may do, in the mode of a file or folder.
const OTHERS: u32 = 0o077;

/// Makes the folder and the file, where they are not there yet. Neither is open to others from then on, nor are the files
/// that SQLite makes beside it, with the mode of the first.
pub(super) fn protect(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    close_to_others(folder)?;
    let file = folder.join(FILE);
    OpenOptions::new().create(true).append(true).mode(0o600).open(&file)?;
    close_to_others(&file)
}

/// Moves the file, and those that SQLite keeps beside it, out of the way.
pub(super) fn set_aside(folder: &Path, now: u64, why: &str) -> io::Result<()> {
    let aside = format!("{FILE}.broken-{now}");
    warn!(folder = %folder.display(), aside, why, "stored responses cannot be read; set aside, and begun anew");
    fs::rename(folder.join(FILE), folder.join(&aside))?;
    for suffix in ["-wal", "-shm"] {
        match fs::rename(folder.join(format!("{FILE}{suffix}")), folder.join(format!("{aside}{suffix}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn close_to_others(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & OTHERS == 0 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode & !OTHERS))
}

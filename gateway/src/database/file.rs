//! The file of a database: for nobody's eyes but the user's whose server it is.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use tracing::warn;

/// What anybody but the owner may do, in the mode of a file or folder.
const OTHERS: u32 = 0o077;

/// Makes the folder and the file, where they are not there yet. Neither is open to others from then on, nor are the files
/// that SQLite makes beside it, with the mode of the first.
pub(crate) fn protect(folder: &Path, name: &str) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    close_to_others(folder)?;
    let file = folder.join(name);
    OpenOptions::new().create(true).append(true).mode(0o600).open(&file)?;
    close_to_others(&file)
}

/// Moves the file, and those that SQLite keeps beside it, out of the way.
pub(crate) fn set_aside(folder: &Path, name: &str, now: u64, why: &str) -> io::Result<()> {
    let aside = format!("{name}.broken-{now}");
    warn!(folder = %folder.display(), aside, why, "a database cannot be read; set aside, and begun anew");
    fs::rename(folder.join(name), folder.join(&aside))?;
    for suffix in ["-wal", "-shm"] {
        match fs::rename(folder.join(format!("{name}{suffix}")), folder.join(format!("{aside}{suffix}"))) {
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

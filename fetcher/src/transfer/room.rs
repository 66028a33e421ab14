//! Whether the disk has room for what is to come.

use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::amounts;
use crate::error::FetchError;

/// `needed` bytes have to come, and `reserve` are to stay free.
pub(super) fn check(folder: &Path, needed: u64, reserve: u64) -> Result<(), FetchError> {
    let disk = statvfs(folder).map_err(|error| FetchError::disk(folder, error.into()))?;
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)] // the width differs between systems
    let free = (disk.blocks_available() as u64).saturating_mul(disk.fragment_size() as u64);
    if needed > 0 && free < needed.saturating_add(reserve) {
        let [needed, free, reserve] = amounts(needed, free, reserve);
        return Err(FetchError::Room { path: folder.to_owned(), needed, free, reserve });
    }
    Ok(())
}

//! What macOS says of its memory.

use nix::libc;

use super::Room;

/// RAM, and the pages of it that nobody needs to keep: free, of files, and what programs said they can lose.
pub(super) fn room() -> Option<Room> {
    let statistics = statistics()?;
    let page_bytes = u64::try_from(nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??).ok()?;
    let pages = [statistics.free_count, statistics.external_page_count, statistics.purgeable_count];
    let available = pages.into_iter().map(u64::from).sum::<u64>().saturating_mul(page_bytes);
    Some(Room { total: total()?, available })
}

/// `hw.memsize` (sysctl(3)).
fn total() -> Option<u64> {
    let mut bytes = 0_u64;
    let mut length = size_of::<u64>();
    // SAFETY: the name ends with a zero, and the kernel writes at most `length` bytes to `bytes`, which has as many.
    let status = unsafe {
        libc::sysctlbyname(
            c"hw.memsize".as_ptr(),
            (&raw mut bytes).cast(),
            &raw mut length,
            std::ptr::null_mut(),
            0,
        )
    };
    (status == 0 && length == size_of::<u64>()).then_some(bytes)
}

fn statistics() -> Option<libc::vm_statistics64> {
    let mut statistics = std::mem::MaybeUninit::<libc::vm_statistics64>::zeroed();
    let mut count = libc::HOST_VM_INFO64_COUNT;
    // SAFETY: the kernel writes at most `count` integers, which is how many the structure has, and it is integers
    // throughout, so that zeroes are a value of it too.
    unsafe {
        #[allow(deprecated)] // its successor is a crate of its own for this one function
        let host = libc::mach_host_self();
        let status = libc::host_statistics64(
            host,
            libc::HOST_VM_INFO64,
            statistics.as_mut_ptr().cast(),
            &raw mut count,
        );
        (status == libc::KERN_SUCCESS).then(|| statistics.assume_init())
    }
}

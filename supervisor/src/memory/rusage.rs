//! What macOS says of a process (`proc_pid_rusage`, `<libproc.h>`).

use std::mem::MaybeUninit;

use nix::libc;

/// The usage of the process `pid`, if it is there and this one may know.
pub(super) fn of(pid: u32) -> Option<libc::rusage_info_v4> {
    let pid = i32::try_from(pid).ok()?;
    let mut usage = MaybeUninit::<libc::rusage_info_v4>::zeroed();
    // SAFETY: for this flavor the kernel writes exactly one such structure to where it is pointed, and the structure
    // is integers throughout, so that zeroes are a value of it too.
    unsafe {
        let status = libc::proc_pid_rusage(pid, libc::RUSAGE_INFO_V4, usage.as_mut_ptr().cast());
        (status == 0).then(|| usage.assume_init())
    }
}

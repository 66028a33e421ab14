//! launchd's way: a process asks for the sockets of its property list by their name (`launch.h`).

use std::{
    ffi::{c_char, c_int},
    io,
    os::fd::{FromRawFd, OwnedFd},
    ptr,
};

use nix::libc;

use super::{ActivationError, Descriptor};

/// The name of the gateway's socket in the property list.
const NAME: &str = "Gateway";

unsafe extern "C" {
    fn launch_activate_socket(name: *const c_char, fds: *mut *mut c_int, count: *mut libc::size_t) -> c_int;
}

/// The one descriptor that launchd has for this process; `None` where launchd has not started it, or has no socket for
/// it.
pub(super) fn passed() -> Result<Option<(Descriptor, OwnedFd)>, ActivationError> {
    let (mut numbers, mut count) = (ptr::null_mut::<c_int>(), 0);
    // SAFETY: the name ends with a zero, and both results are written to variables of their types.
    let code = unsafe { launch_activate_socket(c"Gateway".as_ptr(), &raw mut numbers, &raw mut count) };
    match code {
        0 => {}
        libc::ESRCH | libc::ENOENT => return Ok(None),
        code => {
            let source = io::Error::from_raw_os_error(code);
            return Err(ActivationError::Launchd { name: NAME, source });
        }
    }
    // SAFETY: on success `numbers` has `count` descriptors, which this process owns from now on.
    let mut passed: Vec<OwnedFd> =
        (0..count).map(|idx| unsafe { OwnedFd::from_raw_fd(*numbers.add(idx)) }).collect();
    // SAFETY: launchd allocated the list for the caller to free, and nothing reads it any more.
    unsafe { libc::free(numbers.cast()) };
    match (passed.pop(), passed.is_empty()) {
        (None, _) => Ok(None),
        (Some(socket), true) => {
            let descriptor =
                Descriptor { number: std::os::fd::AsRawFd::as_raw_fd(&socket), name: Some(NAME.to_owned()) };
            Ok(Some((descriptor, socket)))
        }
        (Some(_), false) => Err(ActivationError::Several {
            count: i32::try_from(count).unwrap_or(i32::MAX),
            names: Some(NAME.to_owned()),
        }),
    }
}

//! launchd's way: a process asks for the sockets of its property list by their name (`launch.h`).

use std::{
    ffi::{CStr, c_char, c_int},
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr,
};

use impetus_config::Entrance;
use nix::libc;

use super::{ActivationError, Descriptor, Passed};

unsafe extern "C" {
    fn launch_activate_socket(name: *const c_char, fds: *mut *mut c_int, count: *mut libc::size_t) -> c_int;
}

/// What launchd has for this process: nothing where it has not started it.
pub(super) fn passed() -> Result<Vec<Passed>, ActivationError> {
    let mut all = Vec::new();
    for entrance in Entrance::ALL {
        let name = name(entrance);
        for socket in sockets(name)? {
            let descriptor =
                Descriptor { number: socket.as_raw_fd(), name: Some(name.to_string_lossy().into_owned()) };
            all.push((entrance, descriptor, socket));
        }
    }
    Ok(all)
}

/// What the property list calls an entrance's socket.
fn name(entrance: Entrance) -> &'static CStr {
    match entrance {
        Entrance::Gateway => c"Gateway",
        Entrance::Ollama => c"Ollama",
    }
}

fn sockets(name: &'static CStr) -> Result<Vec<OwnedFd>, ActivationError> {
    let (mut numbers, mut count) = (ptr::null_mut::<c_int>(), 0);
    // SAFETY: the name ends with a zero, and both results are written to variables of their types.
    let code = unsafe { launch_activate_socket(name.as_ptr(), &raw mut numbers, &raw mut count) };
    match code {
        0 => {}
        libc::ESRCH | libc::ENOENT => return Ok(Vec::new()),
        code => {
            let source = io::Error::from_raw_os_error(code);
            return Err(ActivationError::Launchd { name: name.to_str().unwrap_or_default(), source });
        }
    }
    // SAFETY: on success `numbers` has `count` descriptors, which this process owns from now on.
    let passed = (0..count).map(|idx| unsafe { OwnedFd::from_raw_fd(*numbers.add(idx)) }).collect();
    // SAFETY: launchd allocated the list for the caller to free, and nothing reads it any more.
    unsafe { libc::free(numbers.cast()) };
    Ok(passed)
}

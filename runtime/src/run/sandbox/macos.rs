//! macOS: one profile for the process, applied when it has its model, since a process can enter a sandbox only once.
//! Never run: it has been written from the documentation.

use std::{
    env,
    ffi::{CStr, CString, c_char, c_int},
    fmt::Write,
    io,
    path::{Path, PathBuf},
    ptr,
};

use super::{Making, level::Level};

/// What every worker may do: read libraries and what the system says of itself, compute on a GPU, and go on with the
/// sockets that it has.
const PROFILE: &str = r#"(version 1)
(deny default)
(allow file-read-metadata)
(allow file-read* (subpath "/System") (subpath "/usr/lib") (subpath "/usr/share") (subpath "/Library/GPUBundles"))
(allow file-read* (literal "/") (literal "/dev/random") (literal "/dev/urandom") (literal "/private/etc/localtime"))
(allow file-read* (subpath "/private/var/db/timezone") (subpath "/private/var/db/dyld"))
(allow file-read* file-write-data (literal "/dev/null") (literal "/dev/zero"))
(allow iokit-open)
(allow mach-lookup (global-name "com.apple.MTLCompilerService") (global-name "com.apple.system.logger"))
(allow network-inbound (local unix-socket))
(allow process-info* (target self))
(allow signal (target self))
(allow sysctl-read)
"#;

#[derive(Debug, thiserror::Error)]
enum MacosError {
    #[error("a path holds a zero byte")]
    Path(#[from] std::ffi::NulError),
    #[error("{0}")]
    Refused(String),
}

unsafe extern "C" {
    fn sandbox_init(profile: *const c_char, flags: u64, error: *mut *mut c_char) -> c_int;
    fn sandbox_free_error(error: *mut c_char);
}

/// Nothing yet: there is no second time.
pub(super) fn enter(_own: &Path, _making: Making, _level: &mut Level) {}

/// Gives up everything but reading `readable` and the system's own places, making files in `staging`, and computing.
pub(super) fn seal(readable: &[PathBuf], staging: Option<&Path>, level: &mut Level) {
    match apply(&profile(readable, staging)) {
        Ok(()) => level.has("sandbox_init"),
        Err(error) => level.lack(format_args!("sandbox_init: {error}")),
    }
}

fn profile(readable: &[PathBuf], staging: Option<&Path>) -> String {
    let program = env::current_exe().ok().and_then(|program| program.canonicalize().ok());
    let program = program.as_deref().and_then(Path::parent).map(Path::to_owned);
    let library = env::var_os("ORT_DYLIB_PATH").and_then(|file| Some(Path::new(&file).parent()?.to_owned()));
    let beside = program.as_deref().and_then(Path::parent).map(|folder| folder.join("lib"));
    let own = program.iter().chain(&library).chain(&beside);
    let making = staging.map(|path| format!("(allow file-read* file-write* (subpath {}))\n", quoted(path)));
    let begin = PROFILE.to_owned() + making.as_deref().unwrap_or_default();
    readable.iter().chain(own).fold(begin, |mut profile, path| {
        // Writing to a string cannot fail.
        let _ = writeln!(profile, "(allow file-read* (subpath {}))", quoted(path));
        profile
    })
}

/// A path as a string of the profile's language.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\""))
}

fn apply(profile: &str) -> Result<(), MacosError> {
    let profile = CString::new(profile)?;
    let mut error: *mut c_char = ptr::null_mut();
    // SAFETY: the profile ends in a zero byte and outlives the call, which writes nothing but `error`.
    if unsafe { sandbox_init(profile.as_ptr(), 0, &raw mut error) } == 0 {
        return Ok(());
    }
    if error.is_null() {
        return Err(MacosError::Refused(io::Error::last_os_error().to_string()));
    }
    // SAFETY: the call failed and left a text that ends in a zero byte, which is ours to free.
    let words = unsafe { CStr::from_ptr(error) }.to_string_lossy().into_owned();
    // SAFETY: as above; it is not used afterwards.
    unsafe { sandbox_free_error(error) };
    Err(MacosError::Refused(words))
}

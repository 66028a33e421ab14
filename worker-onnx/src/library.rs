//! ONNX Runtime itself: where its shared library is, and how it comes up.

use std::{
    error::Error,
    ffi::CStr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use impetus_runtime::engine::LoadError;
use ort::{
    LoadDynamicError,
    environment::Environment,
    logging::{LogLevel, LoggerFunction},
};
use tracing::{debug, error, trace, warn};

use crate::error::words;

/// The variable that says where the library is.
const VARIABLE: &str = "ORT_DYLIB_PATH";
/// What to do about a library that is not there or not right.
const REMEDY: &str = "put libonnxruntime beside the program or into lib/ next to its folder, or set ORT_DYLIB_PATH to \
                      it; the PyPI package `onnxruntime` contains it";

/// The library, initialised. A process has one, however often it is asked for.
#[derive(Clone)]
pub(crate) struct Library {
    pub(crate) environment: Environment,
    /// As the library says it.
    pub(crate) version: String,
}

static LIBRARY: Mutex<Option<Library>> = Mutex::new(None);

impl Library {
    /// Finds and initialises the library.
    pub(crate) fn find() -> Result<Self, LoadError> {
        let path = find().ok_or_else(|| failed(format!("its library was not found: {REMEDY}")))?;
        Self::open(&path)
    }

    /// Initialises the library at `path`, unless the process has one already.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let mut known = LIBRARY.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = &*known {
            return Ok(library.clone());
        }
        let library = Self::load(path)?;
        debug!(path = %path.display(), version = library.version, "ONNX Runtime is up");
        *known = Some(library.clone());
        Ok(library)
    }

    fn load(path: &Path) -> Result<Self, LoadError> {
        let builder = ort::init_from(path).map_err(|error| failed(unusable(path, &error)))?;
        let environment = builder
            .with_name("impetus")
            .with_telemetry(false)
            .with_logger(Arc::new(log) as LoggerFunction)
            .build()
            .map_err(|error| failed(words(&error)))?;
        // Otherwise every node of every run is formatted into a message that nobody reads.
        environment.set_log_level(LogLevel::Warning);
        let version = version(path).ok_or_else(|| failed(format!("{} has no version", path.display())))?;
        Ok(Self { environment, version })
    }
}

fn failed(reason: String) -> LoadError {
    LoadError::Engine { engine: "ONNX Runtime", reason }
}

fn unusable(path: &Path, error: &LoadDynamicError) -> String {
    let path = path.display();
    match error {
        LoadDynamicError::Dlopen { error, .. } => {
            // The loader's own words.
            let words = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            format!("{path} could not be opened ({words}): {REMEDY}")
        }
        LoadDynamicError::BadVersion { version_str, .. } => {
            format!("{path} is version {version_str}, and 1.{} or a later one is needed", ort::MINOR_VERSION)
        }
        LoadDynamicError::MissingApi { .. } | LoadDynamicError::InvalidVersionString => {
            format!("{path} is not ONNX Runtime: {REMEDY}")
        }
    }
}

/// Where the library is: where the variable says, or beside the program.
fn find() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    let program = std::env::current_exe().ok()?.canonicalize().ok()?;
    let folder = program.parent()?;
    newest(folder).or_else(|| newest(&folder.parent()?.join("lib")))
}

/// The library of the highest version in `folder`.
fn newest(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let libraries = names.filter_map(|name| Some((version_in(&name)?, name)));
    libraries.max().map(|(_, name)| folder.join(name))
}

/// The version that is part of the library's name, as of `libonnxruntime.so.1.31.1` and
/// `libonnxruntime.1.31.1.dylib`; nothing for another file.
fn version_in(name: &str) -> Option<Vec<u32>> {
    let rest = name.strip_prefix("libonnxruntime.")?;
    let (is_library, version) = match (rest.strip_prefix("so"), rest.strip_suffix("dylib")) {
        (Some(version), _) | (None, Some(version)) => (true, version),
        (None, None) => (false, ""),
    };
    let parts = version.split('.').filter(|part| !part.is_empty());
    is_library.then(|| parts.map(|part| part.parse().ok()).collect()).flatten()
}

/// The version of the library at `path`, which ort has opened already and does not tell.
fn version(path: &Path) -> Option<String> {
    type GetApiBase = unsafe extern "C" fn() -> *const ort::sys::OrtApiBase;
    // SAFETY: the library is open in this process: its initialisers have run, this adds a reference to it. The
    // function has this type in every version, and its text is a constant of the library, which stays open.
    unsafe {
        let library = libloading::Library::new(path).ok()?;
        let base = library.get::<GetApiBase>(b"OrtGetApiBase").ok()?().as_ref()?;
        let text = (base.GetVersionString)();
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}

/// The library's messages as tracing events.
fn log(level: LogLevel, category: &str, _session: &str, place: &str, message: &str) {
    match level {
        LogLevel::Verbose => trace!(target: "onnxruntime", category, place, "{message}"),
        LogLevel::Info => debug!(target: "onnxruntime", category, place, "{message}"),
        LogLevel::Warning => warn!(target: "onnxruntime", category, place, "{message}"),
        LogLevel::Error | LogLevel::Fatal => error!(target: "onnxruntime", category, place, "{message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_version_is_taken() {
        let check = |names: &[&str], expected: Option<&str>| {
            let place = tempfile::tempdir().unwrap();
            for name in names {
                std::fs::write(place.path().join(name), "").unwrap();
            }
            let found = newest(place.path());
            assert_eq!(found, expected.map(|name| place.path().join(name)), "{names:?}");
        };
        check(&[], None);
        check(&["libonnxruntime_providers_shared.so", "libonnx.so", "libonnxruntime.a"], None);
        check(&["libonnxruntime.so"], Some("libonnxruntime.so"));
        check(&["libonnxruntime.so.1.9.0", "libonnxruntime.so.1.31.1"], Some("libonnxruntime.so.1.31.1"));
        check(&["libonnxruntime.so", "libonnxruntime.so.1"], Some("libonnxruntime.so.1"));
        check(&["libonnxruntime.1.31.1.dylib", "libonnxruntime.dylib"], Some("libonnxruntime.1.31.1.dylib"));
    }

    #[test]
    fn what_is_no_library_is_refused_with_what_to_do() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("libonnxruntime.so");
        std::fs::write(&path, "text").unwrap();
        let error = Library::load(&path).map(|_| ()).expect_err("it is text").to_string();
        let expected = ["libonnxruntime.so", VARIABLE, "ONNX Runtime could not be initialised"];
        assert!(expected.iter().all(|word| error.contains(word)), "{error}");
    }
}

//! The bundled model as an ONNX export, and engines over such folders.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Mutex,
};

use impetus_runtime::engine::{Backend, LoadError, Model, ModelSpec, Progress};
use impetus_worker_onnx::Onnx;

/// The folder of the bundled export.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundled/tiny/impetus-tiny-onnx")
}

/// The library, where the caller says that it is, or where tools/setup puts it.
pub(crate) fn start() -> Onnx {
    if std::env::var_os("ORT_DYLIB_PATH").is_some() {
        return Onnx::start(2).expect("ONNX Runtime comes up");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/onnxruntime");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let library = entries
        .map(|entry| entry.path())
        .find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libonnxruntime."))
        })
        .expect("run tools/setup, or set ORT_DYLIB_PATH to the library of ONNX Runtime");
    Onnx::from_library(&library).expect("ONNX Runtime comes up")
}

/// Loads the model at `path`, whose files may lie anywhere in `root`.
pub(crate) fn try_load(
    path: &Path,
    root: &Path,
    (slots, context_tokens): (u32, u32),
    options: &[(&str, &str)],
) -> Result<Model, LoadError> {
    // One load at a time: messages of the library are easier to read that way.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock();
    let spec = ModelSpec {
        path: path.to_owned(),
        root: root.to_owned(),
        slots,
        context_tokens,
        threads: 2,
        options: options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
    };
    start().load(&spec, &Progress::new(|_| {}))
}

/// Loads a model that has to load.
pub(crate) fn load(path: &Path, sizes: (u32, u32), options: &[(&str, &str)]) -> Model {
    let root = if path.is_dir() { path } else { path.parent().expect("a file is in a folder") };
    try_load(path, root, sizes, options).expect("the model loads")
}

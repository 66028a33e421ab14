//! The bundled model's folder, and engines over folders.

use std::{collections::BTreeMap, path::Path};

use impetus_runtime::engine::{Backend, LoadError, Model, ModelSpec, Progress};
use impetus_worker_candle::Candle;
use tempfile::TempDir;

/// A copy of the bundled model's folder.
pub(crate) fn folder() -> TempDir {
    let place = tempfile::tempdir().expect("a folder can be made");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundled/tiny/impetus-tiny-safetensors");
    for entry in std::fs::read_dir(source).expect("the bundled model is there") {
        let path = entry.expect("the bundled model is readable").path();
        let name = path.file_name().expect("a file has a name");
        std::fs::copy(&path, place.path().join(name)).expect("a file can be copied");
    }
    place
}

/// The model in `path`, loaded.
pub(crate) fn load(
    path: &Path,
    slots_and_context: (u32, u32),
    options: &[(&str, &str)],
    progress: impl Fn(f32) + Send + Sync + 'static,
) -> Model {
    try_load(path, slots_and_context, options, progress).expect("the model loads")
}

/// The model in `path`, if it can be loaded.
pub(crate) fn try_load(
    path: &Path,
    (slots, context_tokens): (u32, u32),
    options: &[(&str, &str)],
    progress: impl Fn(f32) + Send + Sync + 'static,
) -> Result<Model, LoadError> {
    let mut backend = Candle::start(2).expect("candle comes up");
    let spec = ModelSpec {
        path: path.to_owned(),
        root: path.to_owned(),
        slots,
        context_tokens,
        threads: 2,
        options: options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
    };
    backend.load(&spec, &Progress::new(progress))
}

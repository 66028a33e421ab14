//! Archives of tensors: PyTorch's, read by candle's restricted pickle reader, which runs no code, and NumPy's.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use candle_core::{DType, Tensor, npy::NpzTensors, pickle::PthTensors};
use impetus_runtime::huggingface::FolderError;

use crate::error::{ModelError, words};

/// Where checkpoints keep their tensors: at the top, or under one of these keys.
const KEYS: [Option<&str>; 3] = [None, Some("state_dict"), Some("model")];

/// What an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pickle,
    Npz,
}

/// One archive.
pub(super) struct Archive {
    file: String,
    reader: Reader,
    shapes: HashMap<String, Vec<usize>>,
}

enum Reader {
    Pickle(PthTensors),
    Npz(NpzTensors),
}

impl Archive {
    pub(super) fn open(file: &str, path: &Path, kind: Kind) -> Result<Self, ModelError> {
        let size = std::fs::metadata(path)
            .map_err(|source| FolderError::Read { file: file.to_owned(), source })?
            .len();
        let (reader, contents) = guarded(file, || match kind {
            Kind::Pickle => pickle(path),
            Kind::Npz => npz(path),
        })?;
        if contents.is_empty() {
            let reason = "it holds no tensors by name; save the model's `state_dict()`";
            return Err(ModelError::damaged(file, reason));
        }
        let mut shapes = HashMap::new();
        for (name, shape, dtype) in contents {
            let bytes =
                shape.iter().try_fold(dtype.size_in_bytes() as u64, |bytes, &n| bytes.checked_mul(n as u64));
            // Such archives are not compressed.
            if bytes.is_none_or(|bytes| bytes > size) {
                let reason = format!("its tensor `{name}` of shape {shape:?} is larger than the file");
                return Err(ModelError::damaged(file, reason));
            }
            shapes.insert(name, shape);
        }
        Ok(Self { file: file.to_owned(), reader, shapes })
    }

    pub(super) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.shapes.get(name).cloned()
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Tensor, ModelError> {
        let tensor = guarded(&self.file, || match &self.reader {
            Reader::Pickle(reader) => reader.get(name),
            Reader::Npz(reader) => reader.get(name),
        })?;
        tensor.ok_or_else(|| ModelError::MissingTensor { name: name.to_owned(), files: self.file.clone() })
    }
}

type Contents = Vec<(String, Vec<usize>, DType)>;

fn pickle(path: &Path) -> candle_core::Result<(Reader, Contents)> {
    let mut reader = PthTensors::new(path, KEYS[0])?;
    for key in &KEYS[1..] {
        if reader.tensor_infos().is_empty()
            && let Ok(nested) = PthTensors::new(path, *key)
        {
            reader = nested;
        }
    }
    let infos = reader.tensor_infos().values();
    let contents = infos.map(|info| (info.name.clone(), info.layout.dims().to_vec(), info.dtype)).collect();
    Ok((Reader::Pickle(reader), contents))
}

fn npz(path: &Path) -> candle_core::Result<(Reader, Contents)> {
    let reader = NpzTensors::new(path)?;
    let mut contents = Vec::new();
    for name in reader.names() {
        let (shape, dtype) = reader.get_shape_and_dtype(name)?;
        contents.push((name.clone(), shape.dims().to_vec(), dtype));
    }
    Ok((Reader::Npz(reader), contents))
}

/// The readers index into what a damaged file gives them; a panic there is the file's fault.
fn guarded<T>(file: &str, read: impl FnOnce() -> candle_core::Result<T>) -> Result<T, ModelError> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|error| ModelError::damaged(file, reason(&error))),
        Err(_) => Err(ModelError::damaged(file, "its structure is not that of a checkpoint")),
    }
}

/// The reader's words; it knows the few opcodes that tensors need, and names another one by its number.
fn reason(error: &candle_core::Error) -> String {
    let words = words(error);
    let opcode = words.strip_prefix("unknown op-code ").and_then(|number| number.parse::<u8>().ok());
    match opcode {
        Some(opcode) => format!(
            "its pickle has the opcode {opcode:#04x}, which no checkpoint of tensors needs and which is not run; \
             save the model's `state_dict()`"
        ),
        None => words,
    }
}

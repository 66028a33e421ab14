//! Files of tensors: safetensors, PyTorch checkpoints and NumPy archives, whole or in shards.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor, safetensors::MmapedSafetensors};
use impetus_runtime::huggingface::{Folder, FolderError};

use crate::{
    error::{ModelError, words},
    weights::archive::{Archive, Kind},
};

/// Tensors by name.
pub(crate) struct Source {
    files: String,
    format: Format,
}

enum Format {
    Safetensors { shards: MmapedSafetensors, shapes: HashMap<String, Vec<usize>> },
    Archives(Vec<Archive>),
}

impl Source {
    /// The folder's weights, of the first kind that there is.
    pub(super) fn open(folder: &Folder) -> Result<Self, ModelError> {
        if let Some(names) = named(folder, "model.safetensors", "safetensors")? {
            return Self::safetensors(folder, &names);
        }
        for (name, extension) in [("pytorch_model.bin", "bin"), ("model.pth", "pth"), ("model.pt", "pt")] {
            if let Some(names) = named(folder, name, extension)? {
                return Self::archives(folder, &names, Kind::Pickle);
            }
        }
        match named(folder, "weights.npz", "npz")? {
            Some(names) => Self::archives(folder, &names, Kind::Npz),
            None => {
                Err(FolderError::Absent { what: "weights (*.safetensors, *.bin, *.pth, *.pt or *.npz)" }
                    .into())
            }
        }
    }

    fn safetensors(folder: &Folder, names: &[String]) -> Result<Self, ModelError> {
        let paths = names.iter().map(|name| folder.require(name)).collect::<Result<Vec<PathBuf>, _>>()?;
        // Each by itself first, so that an error can say which of them is damaged.
        for (name, path) in names.iter().zip(&paths) {
            map(&[path]).map_err(|error| damaged(name, &error))?;
        }
        let shards = map(&paths).map_err(|error| damaged(&names.join(", "), &error))?;
        let shapes = shards.tensors().into_iter().map(|(name, view)| (name, view.shape().to_vec())).collect();
        Ok(Self { files: names.join(", "), format: Format::Safetensors { shards, shapes } })
    }

    fn archives(folder: &Folder, names: &[String], kind: Kind) -> Result<Self, ModelError> {
        let open = |name: &String| Archive::open(name, &folder.require(name)?, kind);
        let archives = names.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { files: names.join(", "), format: Format::Archives(archives) })
    }

    /// The files' names, for people.
    pub(super) fn files(&self) -> &str {
        &self.files
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match &self.format {
            Format::Safetensors { shapes, .. } => shapes.contains_key(name),
            Format::Archives(archives) => archives.iter().any(|archive| archive.shape(name).is_some()),
        }
    }

    /// The tensor as the file has it. Its shape is compared before it is read.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        let missing = || ModelError::MissingTensor { name: name.to_owned(), files: self.files.clone() };
        let fits = |found: &[usize]| {
            if found == shape {
                return Ok(());
            }
            Err(ModelError::Shape { name: name.to_owned(), expected: shape.to_vec(), found: found.to_vec() })
        };
        match &self.format {
            Format::Safetensors { shards, shapes } => {
                fits(shapes.get(name).ok_or_else(missing)?)?;
                shards.load(name, &Device::Cpu).map_err(|error| ModelError::tensor(name, &error))
            }
            Format::Archives(archives) => {
                let holder = archives.iter().find_map(|archive| Some((archive, archive.shape(name)?)));
                let (archive, found) = holder.ok_or_else(missing)?;
                fits(&found)?;
                archive.tensor(name)
            }
        }
    }
}

fn map<P: AsRef<Path>>(paths: &[P]) -> candle_core::Result<MmapedSafetensors> {
    // SAFETY: the files are mapped for reading. Whoever changes a model's files while it is being loaded can make
    // this process read nonsense or end it; it serves that model alone and is started again.
    unsafe { MmapedSafetensors::multi(paths) }
}

fn damaged(file: &str, error: &candle_core::Error) -> ModelError {
    ModelError::damaged(file, words(error))
}

/// The files of one kind: `name` itself, else the shards in its index, else a single file with the extension.
fn named(folder: &Folder, name: &str, extension: &str) -> Result<Option<Vec<String>>, ModelError> {
    if folder.find(name)?.is_some() {
        return Ok(Some(vec![name.to_owned()]));
    }
    let index = format!("{name}.index.json");
    if let Some(value) = folder.json(&index)? {
        let damaged = |reason: &str| ModelError::damaged(&index, reason);
        let map = value.get("weight_map").and_then(serde_json::Value::as_object);
        let map = map.ok_or_else(|| damaged("it has no object `weight_map`"))?;
        let shards: Option<BTreeSet<&str>> = map.values().map(serde_json::Value::as_str).collect();
        let shards = shards.ok_or_else(|| damaged("a file name in `weight_map` is not a string"))?;
        return Ok(Some(shards.into_iter().map(str::to_owned).collect()));
    }
    let mut names = folder.with_extension(extension)?;
    // Beside a checkpoint there are often the trainer's own files.
    names.retain(|name| !["training_args.bin", "optimizer.bin", "scheduler.bin"].contains(&name.as_str()));
    Ok((names.len() == 1).then_some(names))
}

//! Weights for worker-candle: safetensors, PyTorch's and NumPy's archives, whole or in shards.

use std::{
    collections::BTreeSet,
    fmt,
    io::{BufReader, Read},
    path::Path,
    sync::Arc,
};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
};

use super::{CONFIG, Folder, NAMED, Parts, settings};
use crate::{
    broken::FolderProblem,
    catalog::{CANDLE_FORMAT, file::file_name, split::PartName, walk::FoundFile},
    excerpt::excerpt,
    metadata::{Config, Weights},
    safetensors::{Header, Tensors},
};

/// Kinds of weights, the preferred one first: the usual name and the extension.
const KINDS: [(&str, &str); 5] = [
    ("model.safetensors", SAFETENSORS),
    ("pytorch_model.bin", "bin"),
    ("model.pth", "pth"),
    ("model.pt", "pt"),
    ("weights.npz", "npz"),
];
const SAFETENSORS: &str = "safetensors";
/// How names of files begin that have such extensions but are no model: adapters, and what trainers keep.
const OTHERS: [&str; 6] =
    ["adapter_", "optimizer", "random_states", "rng_state", "scheduler", "training_args"];
/// Bytes of an index, which has a line for each tensor.
const INDEX_BYTES: u64 = 64 << 20;
/// Shards of one model.
const SHARDS: usize = 16_384;
/// How archives start: as zip files, or, of old versions of PyTorch, with a pickle.
const ARCHIVES: [&[u8]; 2] = [b"PK\x03\x04", b"\x80"];
/// How files start that Git LFS leaves in the place of those it has not fetched.
const POINTER: &[u8] = b"version https://git-lfs";

/// `*.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: Shards,
}

/// The file names in an index.
struct Shards(BTreeSet<String>);

impl<'de> Deserialize<'de> for Shards {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Shards(BTreeSet::new()))
    }
}

impl<'de> Visitor<'de> for Shards {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of file names")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while map.next_key::<IgnoredAny>()?.is_some() {
            let name = map.next_value::<String>()?;
            self.0.insert(name);
            if self.0.len() > SHARDS {
                return Err(A::Error::custom("it names more files than any model has"));
            }
        }
        Ok(self)
    }
}

/// The files with weights in a folder, if there are any.
pub(super) fn find<'a>(folder: &'a Folder, config: &Config) -> Option<Parts<'a>> {
    let parts = |files, index, weights| {
        let path = folder.path.clone();
        Parts { format: CANDLE_FORMAT, path, files, index, weights }
    };
    // What only onnxruntime-genai describes has its weights in graphs.
    folder.file(CONFIG)?;
    let mut unclear = None;
    for (name, extension) in KINDS {
        let index_name = format!("{name}.index.json");
        // As transformers has it: a whole file wins over an index that was left beside it.
        if let Some(index) = folder.file(&index_name).filter(|_| folder.file(name).is_none()) {
            return Some(match shards(folder, index) {
                Ok(files) => {
                    let weights = measure(folder, config, &files, extension);
                    parts(files, Some(index), weights)
                }
                Err(broken) => parts(files_with(folder, extension), Some(index), Err(broken)),
            });
        }
        let files = folder.file(name).map_or_else(|| files_with(folder, extension), |file| vec![file]);
        match files.as_slice() {
            [] => {}
            [file] if !is_shard(file) => {
                let weights = measure(folder, config, &files, extension);
                return Some(parts(files, None, weights));
            }
            _ => {
                let names = files.iter().take(NAMED).map(|file| folder.name_of(&file.path)).collect();
                let broken = FolderProblem::ManyWeights { names, index: index_name };
                unclear.get_or_insert(parts(files, None, Err(broken)));
            }
        }
    }
    let outside = || folder.outside_in("", is_weights).map(|broken| parts(Vec::new(), None, Err(broken)));
    unclear.or_else(outside)
}

/// Whether a file's name is one of weights.
pub(crate) fn is_weights(path: &Path) -> bool {
    KINDS.iter().any(|(_, extension)| has_extension(path, extension))
}

/// Whether a file's name is one of safetensors.
pub(crate) fn is_safetensors(path: &Path) -> bool {
    has_extension(path, SAFETENSORS)
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

fn is_shard(file: &FoundFile) -> bool {
    PartName::parse(&file_name(&file.path)).is_some_and(|part| part.total > 1)
}

/// The files with an extension, less those that are no model's.
fn files_with<'a>(folder: &'a Folder, extension: &str) -> Vec<&'a FoundFile> {
    let is_model = |file: &&FoundFile| {
        let name = file_name(&file.path);
        let is_other = OTHERS.iter().any(|other| name.starts_with(other));
        // Any program's files are named `.bin`; what cannot be read now is told later.
        let is_archive = || extension == SAFETENSORS || archive(folder, file).unwrap_or(true);
        has_extension(&file.path, extension) && !is_other && is_archive()
    };
    folder.files_in("").filter(is_model).collect()
}

/// The shards that an index names, all of which must be files beside it.
fn shards<'a>(folder: &'a Folder, index: &FoundFile) -> Result<Vec<&'a FoundFile>, FolderProblem> {
    let by = file_name(&index.path);
    let reader = BufReader::new(settings::bounded(folder, index, INDEX_BYTES)?);
    let Index { weight_map: Shards(names) } =
        serde_json::from_reader(reader).map_err(|source| settings::damaged(folder, index, source))?;
    if let Some(name) = names.iter().find(|name| name.contains('/')) {
        return Err(FolderProblem::FilePath { by, name: excerpt(name) });
    }
    folder.named(&by, &folder.path, names.iter().map(String::as_str))
}

/// What the files say of their tensors. Archives are not opened: their size stands for that of the tensors.
fn measure(
    folder: &Folder,
    config: &Config,
    files: &[&FoundFile],
    extension: &str,
) -> Result<Weights, FolderProblem> {
    let quantization = config.quantization();
    let name = quantization.as_ref().map(|quantization| quantization.name.clone());
    if extension != SAFETENSORS {
        for file in files {
            if !archive(folder, file)? {
                return Err(FolderProblem::NoArchive { file: folder.name_of(&file.path) });
            }
        }
        return Ok(Weights {
            quantization: name.or_else(|| config.dtype().map(str::to_owned)),
            bytes: files.iter().fold(0, |sum, file| sum.saturating_add(file.metadata.len())),
            ..Weights::default()
        });
    }
    let mut tensors = Tensors::default();
    for file in files {
        let header = Header::read(folder.open(file)?, file.metadata.len()).map_err(|source| {
            FolderProblem::Safetensors { file: folder.name_of(&file.path), source: Arc::new(source) }
        })?;
        tensors.add(&header.tensors);
    }
    if tensors.count == 0 {
        return Err(FolderProblem::EmptyWeights);
    }
    let dominant = || tensors.dominant_dtype().map(|dtype| dtype.name().to_owned());
    Ok(Weights {
        quantization: name.or_else(dominant),
        parameters: tensors.parameters(quantization.and_then(|quantization| quantization.bits)),
        bytes: tensors.bytes(),
        tensors: Some(tensors.count),
        embeds: false,
        ranks: false,
    })
}

/// Whether a file starts as PyTorch's and NumPy's archives do.
fn archive(folder: &Folder, file: &FoundFile) -> Result<bool, FolderProblem> {
    let mut start = Vec::new();
    let read = folder.open(file)?.take(POINTER.len() as u64).read_to_end(&mut start);
    read.map_err(|source| folder.unread(file, source))?;
    if start == POINTER {
        return Err(FolderProblem::LfsPointer { file: folder.name_of(&file.path) });
    }
    Ok(ARCHIVES.iter().any(|archive| start.starts_with(archive)))
}

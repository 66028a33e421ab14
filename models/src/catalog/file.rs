//! Models that are a file, or several by the numbers in their names: what belongs together and what is known of it.

use std::{
    collections::BTreeSet,
    fs::Metadata as FileMetadata,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    State,
    probe::{Content, HeaderRead, Identity},
    split::PartName,
};
use crate::{
    broken::Broken,
    gguf::{GgufError, Header, Tensors, Value},
    metadata::Metadata,
    name::{ModelName, stem},
};

/// How many missing parts are named.
const NAMED_PARTS: usize = 4;

/// What files of one model have in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    Single(PathBuf),
    Parts { folder: PathBuf, prefix: String, extension: String, total: u32, format: String },
}

/// The files of one model, at least one.
pub(super) struct Files {
    pub(super) format: String,
    /// In the order of their part numbers, or the only one.
    pub(super) parts: Vec<Part>,
}

pub(super) struct Part {
    pub(super) path: PathBuf,
    pub(super) metadata: FileMetadata,
    /// Its place in a split model, by its name.
    pub(super) name: Option<PartName>,
    /// Its content when its format is GGUF.
    pub(super) header: Option<HeaderRead>,
}

impl Group {
    pub(super) fn of(part: &Part, format: &str) -> Self {
        match &part.name {
            None => Self::Single(part.path.clone()),
            Some(name) => Self::Parts {
                folder: part.path.parent().map(Path::to_owned).unwrap_or_default(),
                prefix: name.prefix.clone(),
                extension: name.extension.clone(),
                total: name.total,
                format: format.to_owned(),
            },
        }
    }
}

impl Part {
    pub(super) fn identity(&self) -> Identity {
        Identity::of(&self.metadata)
    }

    /// The format and the header of a file with this content, by its name when the content is no known one.
    pub(super) fn kind(
        content: Content,
        file_name: &str,
        pattern_format: Option<&str>,
    ) -> Option<(String, Option<HeaderRead>)> {
        match (content, pattern_format) {
            (Content::Gguf(header), _) => Some((super::GGUF_FORMAT.to_owned(), Some(header))),
            (Content::Other, Some(format)) => Some((format.to_owned(), None)),
            // Empty files, error pages and pointers saved under a model's name are worth a word.
            (Content::Other, None) if file_name.to_ascii_lowercase().ends_with(".gguf") => {
                Some((super::GGUF_FORMAT.to_owned(), Some(Err(Arc::new(GgufError::NotGguf)))))
            }
            (Content::Other, None) => None,
        }
    }

    fn file_name(&self) -> String {
        file_name(&self.path)
    }
}

impl Files {
    /// The name by the file's name.
    pub(super) fn name(&self) -> ModelName {
        let part = &self.parts[0];
        match &part.name {
            Some(name) => ModelName::from_stem(&name.prefix),
            None => ModelName::from_stem(stem(&part.file_name())),
        }
    }

    pub(super) fn state(&self) -> State {
        match self.described() {
            Ok(Some(metadata)) => State::Described(Box::new(metadata)),
            Ok(None) => State::Opaque,
            Err(broken) => State::Broken(broken),
        }
    }

    fn described(&self) -> Result<Option<Metadata>, Broken> {
        self.complete()?;
        let mut first = None;
        let mut tensors = Tensors::default();
        for part in &self.parts {
            let header = match &part.header {
                None => return Ok(None),
                Some(Ok(header)) => header,
                Some(Err(source)) if self.parts.len() > 1 => {
                    return Err(Broken::Part { file: part.file_name(), source: source.clone() });
                }
                Some(Err(source)) => return Err(Broken::Header(source.clone())),
            };
            matches_name(part, header)?;
            tensors.add(&header.tensors);
            first.get_or_insert(header);
        }
        let Some(header) = first else { return Ok(None) };
        match unsigned(header, "split.tensors.count") {
            Some(expected) if self.parts.len() > 1 && expected != tensors.count => {
                Err(Broken::PartTensors { found: tensors.count, expected })
            }
            _ => Metadata::from_header(header, &tensors).map(Some),
        }
    }

    /// Whether all parts are there.
    fn complete(&self) -> Result<(), Broken> {
        let Some(name) = self.parts.first().and_then(|part| part.name.as_ref()) else { return Ok(()) };
        let count = name.total.saturating_sub(self.parts.len() as u32);
        if count == 0 {
            return Ok(());
        }
        let there: BTreeSet<u32> =
            self.parts.iter().filter_map(|part| part.name.as_ref()).map(|name| name.number).collect();
        let names = (1..=name.total)
            .filter(|number| !there.contains(number))
            .take(NAMED_PARTS)
            .map(|number| name.sibling(number))
            .collect();
        Err(Broken::MissingParts { count, total: name.total, names })
    }
}

/// Compares what a header says of its part with its file's name.
fn matches_name(part: &Part, header: &Header) -> Result<(), Broken> {
    let total = unsigned(header, "split.count").unwrap_or(0);
    let number = unsigned(header, "split.no").unwrap_or(0).saturating_add(1);
    match &part.name {
        None if total > 1 => Err(Broken::PartName { total }),
        Some(name) if total > 0 && (u64::from(name.total), u64::from(name.number)) != (total, number) => {
            Err(Broken::PartMismatch { file: part.file_name(), part: number, total })
        }
        _ => Ok(()),
    }
}

fn unsigned(header: &Header, key: &str) -> Option<u64> {
    header.values.get(key).and_then(Value::unsigned)
}

/// The name of the file at `path`.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

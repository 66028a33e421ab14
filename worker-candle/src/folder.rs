//! The model's folder: files are opened by plain names, and nothing outside it is ever read.

use std::{
    fs::File,
    io::Read,
    path::{Component, Path, PathBuf},
};

use serde_json::Value;

use crate::error::ModelError;

/// Bytes of a JSON file or a template; the largest vocabularies take some 40 MB.
const MAX_TEXT_BYTES: u64 = 256 << 20;

/// A folder whose own path is resolved.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The folder at `path`, or the one that the file at `path` is in.
    pub(crate) fn open(path: &Path) -> Result<Self, ModelError> {
        let unreadable = |source| ModelError::Read { file: path.display().to_string(), source };
        let path = path.canonicalize().map_err(unreadable)?;
        let root = match path.parent() {
            Some(parent) if path.is_file() => parent.to_owned(),
            _ => path,
        };
        Ok(Self { root })
    }

    /// The real path of the file `name`, or nothing where there is no such file.
    pub(crate) fn find(&self, name: &str) -> Result<Option<PathBuf>, ModelError> {
        let outside = || ModelError::Outside { file: name.to_owned() };
        let mut parts = Path::new(name).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
            return Err(outside());
        }
        match self.root.join(name).canonicalize() {
            Ok(path) if path.starts_with(&self.root) => Ok(Some(path)),
            Ok(_) => Err(outside()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ModelError::Read { file: name.to_owned(), source }),
        }
    }

    /// The real path of a file that has to be there.
    pub(crate) fn require(&self, name: &str) -> Result<PathBuf, ModelError> {
        let absent =
            || ModelError::Read { file: name.to_owned(), source: std::io::ErrorKind::NotFound.into() };
        self.find(name)?.ok_or_else(absent)
    }

    /// Names of the files that end in `.extension`, in order.
    pub(crate) fn with_extension(&self, extension: &str) -> Result<Vec<String>, ModelError> {
        let unreadable = |source| ModelError::Read { file: self.root.display().to_string(), source };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.root).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            let matches = Path::new(&name).extension().is_some_and(|found| found == extension);
            if let (true, Some(name)) = (matches, name.to_str()) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// The bytes of a small file, or nothing where there is no such file.
    pub(crate) fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, ModelError> {
        let Some(path) = self.find(name)? else { return Ok(None) };
        let unreadable = |source| ModelError::Read { file: name.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        if size > MAX_TEXT_BYTES {
            return Err(ModelError::TooLarge { file: name.to_owned(), bytes: size, limit: MAX_TEXT_BYTES });
        }
        let mut bytes = Vec::new();
        file.take(MAX_TEXT_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
        Ok(Some(bytes))
    }

    /// A JSON file, or nothing where there is no such file.
    pub(crate) fn json(&self, name: &str) -> Result<Option<Value>, ModelError> {
        let Some(bytes) = self.bytes(name)? else { return Ok(None) };
        let damaged = |error: serde_json::Error| ModelError::Damaged {
            file: name.to_owned(),
            reason: error.to_string(),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    /// A text file, or nothing where there is no such file.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, ModelError> {
        let Some(bytes) = self.bytes(name)? else { return Ok(None) };
        let damaged = |_| ModelError::Damaged { file: name.to_owned(), reason: "it is not UTF-8".into() };
        String::from_utf8(bytes).map(Some).map_err(damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_the_folder_is_found() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("model");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(place.path().join("secret"), "x").unwrap();
        std::fs::write(root.join("inside"), "x").unwrap();
        std::os::unix::fs::symlink(place.path().join("secret"), root.join("link")).unwrap();
        std::os::unix::fs::symlink(root.join("inside"), root.join("alias")).unwrap();
        let folder = Folder::open(&root.join("inside")).unwrap();

        let check = |name: &str, expected: &str| {
            let found = match folder.find(name) {
                Ok(Some(_)) => "found",
                Ok(None) => "absent",
                Err(ModelError::Outside { .. }) => "outside",
                Err(error) => panic!("{error}"),
            };
            assert_eq!(found, expected, "{name}");
        };
        check("inside", "found");
        check("alias", "found");
        check("other", "absent");
        for name in ["link", "../secret", "/etc/passwd", "", "..", ".", "a/b", "./inside/../../secret"] {
            check(name, "outside");
        }
    }
}

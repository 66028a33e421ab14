//! The model's folder: files are opened by plain names, and nothing outside it is ever read.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::{Component, Path, PathBuf},
};

use serde_json::Value;

use super::FolderError;

/// Bytes of a JSON file or a template; the largest vocabularies take some 40 MB.
const MAX_TEXT_BYTES: u64 = 256 << 20;

/// A model's folder, and the folder around it that its files may be links into.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    root: PathBuf,
}

impl Folder {
    /// The folder at `path`, or the one that the file at `path` is in. Links in it may lead anywhere in `root`.
    pub fn open(path: &Path, root: &Path) -> Result<Self, FolderError> {
        let unreadable = |source| FolderError::Read { file: path.display().to_string(), source };
        let folder = match path.parent() {
            Some(parent) if path.is_file() => parent,
            _ => path,
        };
        let folder = folder.canonicalize().map_err(unreadable)?;
        let root = root.canonicalize().map_err(unreadable)?;
        if !folder.starts_with(&root) {
            return Err(FolderError::Outside { file: path.display().to_string() });
        }
        Ok(Self { path: folder, root })
    }

    /// Its path, links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that this one is in, where that is still within the root.
    pub fn parent(&self) -> Option<Self> {
        let path = self.path.parent().filter(|path| path.starts_with(&self.root))?;
        Some(Self { path: path.to_owned(), root: self.root.clone() })
    }

    /// The real path of the file `name`, which may lie in a folder of this one, or nothing where there is no such
    /// file.
    pub fn find(&self, name: &str) -> Result<Option<PathBuf>, FolderError> {
        let outside = || FolderError::Outside { file: name.to_owned() };
        let is_plain = |part| matches!(part, Component::Normal(_));
        if name.is_empty() || !Path::new(name).components().all(is_plain) {
            return Err(outside());
        }
        match self.path.join(name).canonicalize() {
            Ok(path) if path.starts_with(&self.root) => Ok(Some(path)),
            Ok(_) => Err(outside()),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(source) => Err(FolderError::Read { file: name.to_owned(), source }),
        }
    }

    /// The real path of a file that has to be there.
    pub fn require(&self, name: &str) -> Result<PathBuf, FolderError> {
        let absent = || FolderError::Read { file: name.to_owned(), source: ErrorKind::NotFound.into() };
        self.find(name)?.ok_or_else(absent)
    }

    /// Names of the files that end in `.extension`, in order.
    pub fn with_extension(&self, extension: &str) -> Result<Vec<String>, FolderError> {
        let unreadable = |source| FolderError::Read { file: self.path.display().to_string(), source };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(unreadable)? {
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
    pub fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, FolderError> {
        let Some(path) = self.find(name)? else { return Ok(None) };
        let unreadable = |source| FolderError::Read { file: name.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        if size > MAX_TEXT_BYTES {
            return Err(FolderError::TooLarge { file: name.to_owned(), bytes: size, limit: MAX_TEXT_BYTES });
        }
        let mut bytes = Vec::new();
        file.take(MAX_TEXT_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
        Ok(Some(bytes))
    }

    /// A JSON file, or nothing where there is no such file.
    pub fn json(&self, name: &str) -> Result<Option<Value>, FolderError> {
        let Some(bytes) = self.bytes(name)? else { return Ok(None) };
        let damaged = |error: serde_json::Error| FolderError::Damaged {
            file: name.to_owned(),
            reason: error.to_string(),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    /// A text file, or nothing where there is no such file.
    pub fn text(&self, name: &str) -> Result<Option<String>, FolderError> {
        let Some(bytes) = self.bytes(name)? else { return Ok(None) };
        let damaged = |_| FolderError::Damaged { file: name.to_owned(), reason: "it is not UTF-8".into() };
        String::from_utf8(bytes).map(Some).map_err(damaged)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_outside_the_root_is_found() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("models/one");
        std::fs::create_dir_all(folder.join("sub")).unwrap();
        std::fs::create_dir(place.path().join("models/blobs")).unwrap();
        for file in ["secret", "models/blobs/b", "models/one/inside", "models/one/sub/deep"] {
            std::fs::write(place.path().join(file), "x").unwrap();
        }
        symlink("../../secret", folder.join("link")).unwrap();
        symlink("../../", folder.join("up")).unwrap();
        symlink("../blobs/b", folder.join("blob")).unwrap();
        symlink("inside", folder.join("alias")).unwrap();

        let check = |root: &Path, name: &str, expected: &str| {
            let found = match Folder::open(&folder.join("inside"), root).unwrap().find(name) {
                Ok(Some(_)) => "found",
                Ok(None) => "absent",
                Err(FolderError::Outside { .. }) => "outside",
                Err(error) => panic!("{error}"),
            };
            assert_eq!(found, expected, "{name} in {}", root.display());
        };
        for name in ["inside", "alias", "sub/deep"] {
            check(&folder, name, "found");
        }
        for name in ["other", "sub/other", "inside/deeper"] {
            check(&folder, name, "absent");
        }
        for name in
            ["link", "up/secret", "blob", "../secret", "/etc/passwd", "", "..", ".", "sub/../../blobs/b"]
        {
            check(&folder, name, "outside");
        }
        check(&place.path().join("models"), "blob", "found");
        check(&place.path().join("models"), "link", "outside");
        check(place.path(), "link", "found");
    }

    #[test]
    fn a_folder_lies_within_its_root() {
        let (place, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let inside = place.path().join("model");
        std::fs::create_dir(&inside).unwrap();
        assert!(matches!(Folder::open(&inside, other.path()), Err(FolderError::Outside { .. })));
        let folder = Folder::open(&inside, place.path()).unwrap();
        assert!(folder.parent().is_some_and(|parent| parent.parent().is_none()));
    }
}

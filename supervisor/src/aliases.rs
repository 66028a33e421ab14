//! Aliases that were given another meaning while the server ran. They outlive it, in a file of the state folder.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::state_file;

/// The name of the file.
const FILE: &str = "aliases.json";

/// Every swapped alias with what it means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Aliases(pub BTreeMap<String, Swapped>);

/// What an alias was swapped to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swapped {
    /// The model that it means.
    pub model: String,
    /// What the configuration said of it then; a configuration that says something else undoes the swap.
    #[serde(default)]
    pub instead_of: Option<String>,
}

/// Where swapped aliases are kept.
#[derive(Debug, Clone)]
pub struct AliasFile(PathBuf);

impl AliasFile {
    /// The file in this state folder.
    pub fn new(state_dir: &Path) -> Self {
        Self(state_dir.join(FILE))
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What is kept. A file that cannot be read is as good as none, and the log says so.
    pub fn read(&self) -> Aliases {
        state_file::read(&self.0)
    }

    /// Keeps `aliases` instead of what was there; whatever happens meanwhile, either these or those remain.
    pub fn write(&self, aliases: &Aliases) -> io::Result<()> {
        state_file::write(&self.0, aliases)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_written_is_read_and_what_is_broken_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = AliasFile::new(dir.path());
        assert_eq!(file.read(), Aliases::default());
        let swapped = Swapped { model: "b".into(), instead_of: Some("a".into()) };
        let aliases = Aliases([("main".to_owned(), swapped)].into());
        file.write(&aliases).unwrap();
        file.write(&aliases).unwrap();
        assert_eq!(AliasFile::new(dir.path()).read(), aliases);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left in the folder");
        for torn in ["", "{", "[1]", "{\"main\": 3}", "\0"] {
            fs::write(dir.path().join(FILE), torn).unwrap();
            assert_eq!(file.read(), Aliases::default(), "{torn:?}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = AliasFile::new(&dir.path().join("absent"));
        assert!(file.write(&Aliases::default()).is_err());
        assert_eq!(file.read(), Aliases::default());
    }
}

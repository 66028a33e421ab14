//! Whether the store lies apart from the folders that are searched for models. Where it does not, its models are found
//! twice, a damaged one as a sound one, and what people put there is the store's to remove.

use std::path::{Component, Path, PathBuf};

use super::{Checked, Problem, key};
use crate::Config;

pub(super) fn check(config: &Config) -> Checked {
    let Some(idx) = searched_in(config) else { return Ok(()) };
    let dirs = &config.models.dirs;
    let (key, expected) = if config.models.store.is_some() {
        let expected = format!("a folder apart from {}, which models.dirs names", dirs[idx].display());
        (key(&["models", "store"]), expected)
    } else {
        let store = config.store_dir();
        let expected = format!("a folder apart from the store, {}; models.store moves that", store.display());
        (key(&["models", "dirs", &idx.to_string()]), expected)
    };
    Err(Problem { key, expected: expected.into(), because: None })
}

/// The first folder of `models.dirs` in which the store's models would be found, by its index.
pub(crate) fn searched_in(config: &Config) -> Option<usize> {
    let store = real(&config.store_dir());
    config.models.dirs.iter().position(|dir| {
        let dir = real(dir);
        dir.starts_with(&store) || store.strip_prefix(&dir).is_ok_and(|inner| !is_hidden(inner))
    })
}

/// Where `path` leads, with links resolved as far as it is there.
fn real(path: &Path) -> PathBuf {
    let found = path.ancestors().find_map(|part| Some((part, part.canonicalize().ok()?)));
    let (part, mut real) = found.unwrap_or((Path::new(""), PathBuf::new()));
    for step in path.strip_prefix(part).unwrap_or(path).components() {
        match step {
            Component::ParentDir => {
                real.pop();
            }
            Component::CurDir => {}
            step => real.push(step),
        }
    }
    real
}

/// Whether a search passes it over.
fn is_hidden(inner: &Path) -> bool {
    inner.iter().any(|step| step.as_encoded_bytes().starts_with(b"."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_store_that_would_be_searched_is_seen_however_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("there/in")).unwrap();
        symlink(dir.path().join("there"), dir.path().join("link")).unwrap();
        let check = |store: &str, searched: &str, expected: bool| {
            let mut config = Config::default();
            config.models.store = Some(dir.path().join(store));
            config.models.dirs = vec![dir.path().join("other"), dir.path().join(searched)];
            assert_eq!(searched_in(&config), expected.then_some(1), "{store} {searched}");
        };
        check("store", "store", true);
        check("store", "store/", true);
        check("a/b/store", "a", true);
        check("store", "store/a/b", true);
        check("store", "store/.staging", true);
        check("store", "storehouse", false);
        check("store", "stor", false);
        check(".local/state/store", ".", false);
        check(".local/state/store", ".local", true);
        check("a/../store", "./store", true);
        check("there/in", "link/in", true);
        check("link/store", "there", true);
        check("there/in", "link/in/..", true);
        check("there/in", "link/other", false);
    }
}

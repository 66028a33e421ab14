//! Files of a service: written whole or not at all, and only over what was written by the same verb.

use std::{
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use super::{Files, ServiceError};

/// What every file of a service has in its first lines.
const MARK: &str = "Written by `supervisorctl service install`";

/// What a file is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    /// This, whatever install wrote there before.
    Ours(String),
    /// This as a beginning: what is there is the user's.
    Begun(String),
}

impl Text {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Ours(text) | Self::Begun(text) => text,
        }
    }
}

/// Refuses files that would be lost.
pub(super) fn check(files: &Files) -> Result<(), ServiceError> {
    for (path, text) in files {
        if matches!(text, Text::Ours(_)) && read(path)?.is_some_and(|there| !is_ours(&there)) {
            return Err(ServiceError::Foreign { path: path.clone() });
        }
    }
    Ok(())
}

/// Writes what is not there yet; the paths of what was written.
pub(super) fn write(files: &Files) -> Result<Vec<&Path>, ServiceError> {
    let mut written = Vec::new();
    for (path, text) in files {
        let there = read(path)?;
        let is_done = match text {
            Text::Ours(text) => there.as_ref() == Some(text),
            Text::Begun(_) => there.is_some(),
        };
        if !is_done {
            place(path, text.as_str()).map_err(|source| ServiceError::Io {
                what: "write",
                path: path.clone(),
                source,
            })?;
            written.push(path.as_path());
        }
    }
    Ok(written)
}

/// Removes a file that install wrote, and says whether there was one. One that is the user's by now stays.
pub(super) fn remove(path: &Path, text: &Text) -> Result<bool, ServiceError> {
    let Some(there) = read(path)? else { return Ok(false) };
    let is_ours = match text {
        Text::Ours(_) => is_ours(&there),
        Text::Begun(begun) => there == *begun,
    };
    if !is_ours && matches!(text, Text::Ours(_)) {
        return Err(ServiceError::Foreign { path: path.into() });
    }
    if is_ours {
        let failed = |source| ServiceError::Io { what: "remove", path: path.into(), source };
        fs::remove_file(path).map_err(failed)?;
    }
    Ok(is_ours)
}

/// A file's text, where there is a file.
pub(super) fn read(path: &Path) -> Result<Option<String>, ServiceError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ServiceError::Io { what: "read", path: path.into(), source }),
    }
}

pub(super) fn is_ours(text: &str) -> bool {
    text.lines().take(4).any(|line| line.contains(MARK))
}

/// By rename, so that nobody reads half a file.
fn place(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidFilename)?;
    fs::create_dir_all(folder)?;
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_owned();
    name.push(".new");
    let new = folder.join(name);
    let mut file = fs::File::create(&new)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(text: &str) -> Text {
        Text::Ours(format!("# {MARK}, and more\n{text}\n"))
    }

    #[test]
    fn only_what_was_written_here_is_written_over_or_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (unit, config) = (dir.path().join("deep/unit"), dir.path().join("config"));
        let files = |text| vec![(unit.clone(), ours(text)), (config.clone(), Text::Begun("a = 1\n".into()))];
        assert_eq!(write(&files("one")).unwrap(), [&unit, &config]);
        assert!(write(&files("one")).unwrap().is_empty(), "it is written already");
        fs::write(&config, "a = 2\n").unwrap();
        check(&files("two")).unwrap();
        assert_eq!(write(&files("two")).unwrap(), [&unit]);
        assert_eq!(fs::read_to_string(&config).unwrap(), "a = 2\n");
        assert!(!remove(&config, &Text::Begun("a = 1\n".into())).unwrap() && config.exists());

        fs::write(&unit, "[Unit]\n# mine\n").unwrap();
        let refused = check(&files("two")).unwrap_err().to_string();
        assert!(refused.contains("was not written by"), "{refused}");
        assert!(matches!(remove(&unit, &ours("two")), Err(ServiceError::Foreign { .. })) && unit.exists());
        fs::write(&unit, ours("old").as_str()).unwrap();
        assert!(remove(&unit, &ours("two")).unwrap() && !unit.exists());
        assert!(!remove(&unit, &ours("two")).unwrap());
    }
}

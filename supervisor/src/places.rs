//! Where everything of a running server is: its folders, its sockets, the programs beside it.

use std::{
    collections::HashSet,
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
};

use impetus_config::Config;

/// The longest path that a Unix socket can have on every system served, in bytes (macOS: 104 with the final zero).
const MAX_SOCKET_PATH_BYTES: usize = 103;

/// The longest name of a worker's socket within the runtime folder, in bytes.
const MAX_SOCKET_NAME_BYTES: usize = 40;

/// The setting that names the runtime folder.
const RUNTIME_SETTING: &str = "supervisor.runtime_dir";

/// The name of the control socket.
const CONTROL_SOCKET: &str = "supervisor.sock";

/// The folders of one server.
#[derive(Debug, Clone)]
pub struct Places {
    /// Sockets.
    pub runtime_dir: PathBuf,
    /// What outlives a restart.
    pub state_dir: PathBuf,
    /// Log files.
    pub log_dir: PathBuf,
    /// Where the supervisor's own program is, and the others beside it.
    pub program_dir: PathBuf,
}

/// A folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The kernel says no.
    #[error("cannot {what} {}: {source}; check its permissions, or set {setting} to another folder", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The setting that names it.
        setting: &'static str,
        /// What the kernel answered.
        source: io::Error,
    },
    /// Sockets in it would have too long a path.
    #[error(
        "supervisor.runtime_dir = {} is too long: the paths of sockets in it may have {MAX_SOCKET_PATH_BYTES} bytes, \
         so the folder's may have {}; set it to a shorter one, such as /tmp/impetus",
        path.display(), MAX_SOCKET_PATH_BYTES - MAX_SOCKET_NAME_BYTES - 1
    )]
    TooLong {
        /// The folder.
        path: PathBuf,
    },
    /// Nobody knows where this program is.
    #[error("cannot tell where the supervisor's own program is: {0}")]
    Program(io::Error),
}

impl Places {
    /// The places that `config` names.
    pub fn new(config: &Config) -> Result<Self, PlaceError> {
        let program = std::env::current_exe().map_err(PlaceError::Program)?;
        let settings = &config.supervisor;
        Ok(Self {
            runtime_dir: settings.runtime_dir.clone(),
            state_dir: settings.state_dir.clone(),
            log_dir: config.log_dir(),
            program_dir: program.parent().map(Path::to_path_buf).unwrap_or_default(),
        })
    }

    /// Creates the state folder.
    pub fn prepare_state(&self) -> Result<(), PlaceError> {
        create(&self.state_dir, "supervisor.state_dir")
    }

    /// Whether sockets can have their names in the runtime folder.
    pub fn check_runtime(&self) -> Result<(), PlaceError> {
        let path = &self.runtime_dir;
        let is_short = path.as_os_str().len() + 1 + MAX_SOCKET_NAME_BYTES <= MAX_SOCKET_PATH_BYTES;
        if is_short { Ok(()) } else { Err(PlaceError::TooLong { path: path.clone() }) }
    }

    /// Creates the runtime folder for this user alone. Only for who holds the lock.
    pub fn prepare_runtime(&self) -> Result<(), PlaceError> {
        self.check_runtime()?;
        let path = &self.runtime_dir;
        create(path, RUNTIME_SETTING)?;
        let restricted = fs::set_permissions(path, Permissions::from_mode(0o700));
        restricted.map_err(self.runtime_error("restrict"))?;
        Ok(())
    }

    /// Removes the sockets of a former run from the runtime folder, all but those `in_use`.
    pub fn clear_runtime(&self, in_use: &HashSet<PathBuf>) -> Result<(), PlaceError> {
        for entry in fs::read_dir(&self.runtime_dir).map_err(self.runtime_error("read"))?.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_socket()) && !in_use.contains(&entry.path()) {
                fs::remove_file(entry.path()).map_err(self.runtime_error("remove an old socket from"))?;
            }
        }
        Ok(())
    }

    /// Where the supervisor is spoken to.
    pub fn control_socket(&self) -> PathBuf {
        control_socket(&self.runtime_dir)
    }

    /// The program that a setting names: a bare name is that of one beside the supervisor.
    pub fn program(&self, command: &Path) -> PathBuf {
        self.program_dir.join(command)
    }

    /// The folder of the bundled models, if this is a complete installation.
    pub fn bundled_models(&self) -> Option<PathBuf> {
        let dir = self.program_dir.parent()?.join("models");
        dir.is_dir().then_some(dir)
    }

    fn runtime_error(&self, what: &'static str) -> impl FnOnce(io::Error) -> PlaceError {
        let path = self.runtime_dir.clone();
        move |source| PlaceError::Io { what, path, setting: RUNTIME_SETTING, source }
    }
}

/// The control socket of the server whose runtime folder this is.
pub fn control_socket(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join(CONTROL_SOCKET)
}

fn create(path: &Path, setting: &'static str) -> Result<(), PlaceError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| PlaceError::Io {
        what: "create the folder",
        path: path.into(),
        setting,
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn places(runtime_dir: &Path) -> Places {
        Places {
            runtime_dir: runtime_dir.into(),
            state_dir: runtime_dir.into(),
            log_dir: runtime_dir.into(),
            program_dir: "/opt/impetus/bin".into(),
        }
    }

    #[test]
    fn the_runtime_folder_is_private_and_has_no_old_sockets() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(&dir.path().join("run"));
        places.prepare_runtime().unwrap();
        drop(UnixListener::bind(places.control_socket()).unwrap());
        let adopted = places.runtime_dir.join("gguf-1.sock");
        drop(UnixListener::bind(&adopted).unwrap());
        fs::write(places.runtime_dir.join("notes"), "").unwrap();
        places.prepare_runtime().unwrap();
        places.clear_runtime(&HashSet::from([adopted.clone()])).unwrap();
        assert!(!places.control_socket().exists());
        assert!(adopted.exists());
        assert!(places.runtime_dir.join("notes").exists());
        assert_eq!(fs::metadata(&places.runtime_dir).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_too_long_for_sockets_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = places(&dir.path().join("x".repeat(80))).prepare_runtime().unwrap_err();
        assert!(matches!(error, PlaceError::TooLong { .. }), "{error}");
    }

    #[test]
    fn programs_are_beside_the_supervisor_unless_absolute() {
        let check = |command: &str, expected: &str| {
            assert_eq!(places(Path::new("/r")).program(Path::new(command)), Path::new(expected));
        };
        check("worker-gguf", "/opt/impetus/bin/worker-gguf");
        check("/usr/bin/python3", "/usr/bin/python3");
    }
}

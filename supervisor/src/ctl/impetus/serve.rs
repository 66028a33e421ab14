//! `impetus serve`

use std::{
    env,
    ffi::{CString, OsString},
    io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use nix::unistd::execv;

use super::{Failure, Server};

/// The server's program, which is beside this one.
const SUPERVISOR: &str = "supervisor";

/// Why the server is not started.
#[derive(Debug, thiserror::Error)]
pub(in crate::ctl) enum ServeError {
    #[error("cannot tell where this program is: {0}")]
    Program(io::Error),
    #[error("cannot start {}: {source}; it has to be beside this program", path.display())]
    Start { path: PathBuf, source: io::Error },
    #[error("an argument has a zero byte")]
    Zero,
    #[error("--socket is of a server that runs; name its configuration with --config")]
    Socket,
}

/// Becomes the server.
pub(super) fn run(server: &Server, arguments: Vec<OsString>) -> Result<ExitCode, Failure> {
    let own = env::current_exe().map_err(ServeError::Program)?;
    let path = own.parent().unwrap_or(Path::new("")).join(SUPERVISOR);
    let words = words(&path, server, arguments)?;
    let Err(error) = execv(&words[0], &words);
    Err(ServeError::Start { path, source: error.into() }.into())
}

/// The program and what it is told.
fn words(path: &Path, server: &Server, arguments: Vec<OsString>) -> Result<Vec<CString>, ServeError> {
    if server.socket.is_some() {
        return Err(ServeError::Socket);
    }
    let config = server.config.iter().flat_map(|config| ["--config".into(), config.clone().into_os_string()]);
    let words = [path.as_os_str().to_owned()].into_iter().chain(config).chain(arguments);
    words.map(|word| CString::new(word.into_vec()).map_err(|_| ServeError::Zero)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_told_what_this_program_was() {
        let server = |config: Option<&str>, socket: Option<&str>| Server {
            config: config.map(PathBuf::from),
            socket: socket.map(PathBuf::from),
        };
        let check = |config: Option<&str>, arguments: &[&str], expected: &[&str]| {
            let arguments = arguments.iter().map(OsString::from).collect();
            let words = words(Path::new("/p/supervisor"), &server(config, None), arguments).unwrap();
            let words: Vec<&str> = words.iter().map(|word| word.to_str().unwrap()).collect();
            assert_eq!(words, expected);
        };
        check(None, &[], &["/p/supervisor"]);
        check(Some("c"), &["--set", "a=b"], &["/p/supervisor", "--config", "c", "--set", "a=b"]);
        let refused = words(Path::new("/p"), &server(None, Some("s")), Vec::new());
        assert!(matches!(refused, Err(ServeError::Socket)));
        let refused = words(Path::new("/p"), &server(None, None), vec!["a\0".into()]);
        assert!(matches!(refused, Err(ServeError::Zero)));
    }
}

//! Attempts to leave the sandbox, made from within a worker, as hostile code in it would make them.

use std::{
    fs, io,
    net::TcpStream,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::{
    errno::Errno,
    libc,
    sys::wait::{WaitPidFlag, waitpid},
    unistd::{Pid, getppid},
};

/// A file beside the models folder that no worker has business with.
pub const SECRET: &str = "secret";

/// What is tried.
pub(super) struct Attempts {
    /// The folder that the models folder lies in, with the server's own.
    server: PathBuf,
    /// The folder of the model.
    models: PathBuf,
    port: u16,
}

impl Attempts {
    /// Attempts from the worker that serves the file `model`.
    pub(super) fn new(model: &Path, port: u16) -> Self {
        let models = model.parent().unwrap_or(Path::new("/")).to_owned();
        Self { server: models.parent().unwrap_or(Path::new("/")).to_owned(), models, port }
    }

    /// Makes all of them and tells how each went: `ok`, or the error's name.
    pub(super) fn report(&self) -> String {
        let outcomes = [
            ("read", self.read()),
            ("read_system", fs::read("/etc/passwd").map(drop)),
            ("write_models", fs::write(self.models.join("written"), "x")),
            ("write_tmp", fs::write(std::env::temp_dir().join("impetus-written"), "x")),
            ("tcp", TcpStream::connect(("127.0.0.1", self.port)).map(drop)),
            ("unix", UnixStream::connect(self.server.join("run/supervisor.sock")).map(drop)),
            ("exec", exec()),
            ("fork", fork()),
            ("ptrace", ptrace()),
        ];
        let told = outcomes.map(|(name, outcome)| match outcome {
            Ok(()) => format!("{name}=ok"),
            Err(error) => {
                let errno = error.raw_os_error().map(|number| format!("{:?}", Errno::from_raw(number)));
                format!("{name}={}", errno.unwrap_or_else(|| format!("{:?}", error.kind())))
            }
        });
        told.join(" ")
    }

    fn read(&self) -> io::Result<()> {
        fs::read(self.server.join(SECRET)).map(drop)
    }
}

#[expect(clippy::disallowed_methods, reason = "hostile code does not ask")]
fn exec() -> io::Result<()> {
    let mut command = Command::new("/bin/true");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().map(drop)
}

fn fork() -> io::Result<()> {
    // SAFETY: the child calls nothing but `_exit`, which is safe after a fork of a threaded process.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: as above.
        0 => unsafe { libc::_exit(0) },
        child => waitpid(Pid::from_raw(child), None).map(|_| ()).map_err(Into::into),
    }
}

/// Takes hold of the parent, the supervisor.
#[cfg(target_os = "linux")]
fn ptrace() -> io::Result<()> {
    let parent = getppid();
    let request = |request: libc::c_uint| {
        // SAFETY: attaching and detaching take no addresses.
        Errno::result(unsafe { libc::ptrace(request, parent.as_raw(), 0, 0) })
    };
    request(libc::PTRACE_ATTACH)?;
    waitpid(parent, Some(WaitPidFlag::__WALL))?;
    request(libc::PTRACE_DETACH)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn ptrace() -> io::Result<()> {
    let _ = (getppid(), WaitPidFlag::WNOHANG);
    Err(io::ErrorKind::Unsupported.into())
}

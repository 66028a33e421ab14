//! The supervisor's side: starts the shim, tells it what to become, and keeps the other end of everything.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream as StdStream,
    },
    path::{Path, PathBuf},
    process::Stdio,
};

use impetus_proto::{launch::LaunchSpec, passing};
use tokio::{
    net::UnixStream,
    process::{Child, ChildStderr, ChildStdout},
};

use super::{SHIM_ARGUMENT, environment};

/// What is to be started.
#[derive(Debug)]
pub struct Launch {
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments, without its name.
    pub args: Vec<String>,
    /// Open files that it finds at descriptors 4 and up.
    pub descriptors: Vec<OwnedFd>,
    /// Variables that it gets besides those that every child gets.
    pub environment: Vec<(String, String)>,
    /// The least adjustment of the kernel's badness score when memory runs out; -1000 to 1000.
    pub oom_score_adjust: i32,
    /// Where it runs.
    pub working_dir: PathBuf,
    /// Files of control groups that it writes its id to before it becomes the program.
    pub cgroup_files: Vec<String>,
    /// What it may write to any one file, in bytes; 0: without bound.
    pub file_size_limit_bytes: u64,
}

/// A started child and the supervisor's ends of what connects them.
#[derive(Debug)]
pub struct Launched {
    /// The process, killed when this is dropped.
    pub child: Child,
    /// The channel; its end tells either side that the other is gone.
    pub channel: UnixStream,
    /// The child's standard output.
    pub stdout: ChildStdout,
    /// The child's standard error.
    pub stderr: ChildStderr,
}

/// Why a child could not be started at all. That its program cannot be executed shows as its exit instead.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The machine refuses another process or descriptor.
    #[error("cannot start a process for {program}: {source}; check the limits on processes and open files")]
    Spawn {
        /// The program that was to be started.
        program: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The shim ended before it was told what to become.
    #[error("cannot tell the new process to become {program}: {source}")]
    Send {
        /// The program that was to be started.
        program: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
}

/// Starts children through a re-execution of one program as the shim.
#[derive(Debug, Clone)]
pub struct Launcher {
    shim: PathBuf,
}

impl Launcher {
    /// A launcher that runs `shim` (a supervisor) as the shim.
    pub fn new(shim: impl Into<PathBuf>) -> Self {
        Self { shim: shim.into() }
    }

    /// A launcher that runs this very program as the shim, also after its file has been replaced.
    pub fn of_this_program() -> io::Result<Self> {
        let this = Path::new("/proc/self/exe");
        if this.exists() { Ok(Self::new(this)) } else { std::env::current_exe().map(Self::new) }
    }

    /// Starts a child. Needs a tokio runtime.
    pub fn launch(&self, launch: Launch) -> Result<Launched, LaunchError> {
        let program = launch.program.clone();
        let (ours, theirs) = match StdStream::pair() {
            Ok(pair) => pair,
            Err(source) => return Err(LaunchError::Spawn { program, source }),
        };
        let (child, stdout, stderr) = match self.spawn(theirs.into()) {
            Ok(started) => started,
            Err(source) => return Err(LaunchError::Spawn { program, source }),
        };
        match send(&ours, launch).and_then(|()| into_async(ours)) {
            Ok(channel) => Ok(Launched { child, channel, stdout, stderr }),
            Err(source) => Err(LaunchError::Send { program, source }),
        }
    }

    #[allow(clippy::disallowed_methods)] // the one place where a process is started
    fn spawn(&self, channel: OwnedFd) -> io::Result<(Child, ChildStdout, ChildStderr)> {
        let mut child = tokio::process::Command::new(&self.shim)
            .arg(SHIM_ARGUMENT)
            .env_clear()
            .stdin(Stdio::from(channel))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        Ok((child, stdout, stderr))
    }
}

/// Sends the spec, with the descriptors on its first byte.
fn send(channel: &StdStream, launch: Launch) -> io::Result<()> {
    let text =
        |path: PathBuf| path.into_os_string().into_string().map_err(|_| io::ErrorKind::InvalidFilename);
    let spec = LaunchSpec {
        program: text(launch.program)?,
        args: launch.args,
        environment: environment::inherited().into_iter().chain(launch.environment).collect(),
        descriptors: u32::try_from(launch.descriptors.len()).map_err(io::Error::other)?,
        oom_score_adjust: launch.oom_score_adjust,
        working_dir: text(launch.working_dir)?,
        cgroup_files: launch.cgroup_files,
        file_size_limit_bytes: launch.file_size_limit_bytes,
    };
    let passed: Vec<_> = launch.descriptors.iter().map(AsFd::as_fd).collect();
    passing::write(channel, &spec, &passed)
}

fn into_async(channel: StdStream) -> io::Result<UnixStream> {
    channel.set_nonblocking(true)?;
    UnixStream::from_std(channel)
}

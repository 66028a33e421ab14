//! The child's side: reads what to become from its standard input, limits itself, becomes it. Single-threaded
//! from its first instruction to `exec`.

use std::{
    convert::Infallible,
    ffi::{CString, NulError},
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::ExitCode,
};

use impetus_proto::{launch::LaunchSpec, passing};
use nix::unistd::{chdir, execve};

use super::{cgroup, descriptors, no_new_privs, oom_score, rlimit, session};

/// The exit code of a shim that could not become its program, as a shell has it.
pub const CANNOT_EXECUTE: u8 = 127;

#[derive(Debug, thiserror::Error)]
enum ShimError {
    #[error(
        "cannot read what to launch from standard input; this command is for the supervisor's own use: {0}"
    )]
    Spec(io::Error),
    #[error("was sent {got} descriptors instead of {expected}")]
    Descriptors { expected: u32, got: usize },
    #[error("cannot {step}: {source}")]
    Limit { step: &'static str, source: io::Error },
    #[error("cannot execute {program}: {source}; check that the file is there and executable")]
    Execute { program: String, source: io::Error },
    #[error("program, argument or environment holds a zero byte: {0}")]
    Nul(#[from] NulError),
}

/// Becomes the program, or says on standard error why not.
pub fn run() -> ExitCode {
    let Err(error) = launch();
    // The supervisor captures this as the child's last words; there is nobody else to tell.
    let _ = writeln!(io::stderr(), "launch: {error}");
    ExitCode::from(CANNOT_EXECUTE)
}

fn launch() -> Result<Infallible, ShimError> {
    let (spec, channel, passed) = receive().map_err(ShimError::Spec)?;
    if passed.len() != spec.descriptors as usize {
        return Err(ShimError::Descriptors { expected: spec.descriptors, got: passed.len() });
    }
    let step = |step| move |source: io::Error| ShimError::Limit { step, source };
    session::begin().map_err(io::Error::from).map_err(step("begin a session"))?;
    no_new_privs::apply().map_err(io::Error::from).map_err(step("set no_new_privs"))?;
    limit_resources(&spec).map_err(io::Error::from).map_err(step("limit resources"))?;
    oom_score::apply(spec.oom_score_adjust).map_err(step("set oom_score_adj"))?;
    cgroup::join(&spec.cgroup_files).map_err(step("join its control group"))?;
    if !spec.working_dir.is_empty() {
        chdir(spec.working_dir.as_str())
            .map_err(io::Error::from)
            .map_err(step("enter the working folder"))?;
    }
    descriptors::arrange(channel, passed).map_err(step("arrange descriptors"))?;
    become_program(spec)
}

fn limit_resources(spec: &LaunchSpec) -> nix::Result<()> {
    rlimit::forbid_core_dumps()?;
    rlimit::limit_file_size(spec.file_size_limit_bytes)?;
    rlimit::raise_open_files()
}

/// Reads exactly one frame, so that what follows on the channel is left for the program.
fn receive() -> io::Result<(LaunchSpec, OwnedFd, Vec<OwnedFd>)> {
    let channel = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (spec, passed) = passing::read(&channel)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((spec, channel.into(), passed))
}

fn become_program(spec: LaunchSpec) -> Result<Infallible, ShimError> {
    let path = CString::new(spec.program.as_str())?;
    let arguments = std::iter::once(path.clone())
        .map(Ok)
        .chain(spec.args.into_iter().map(CString::new))
        .collect::<Result<Vec<_>, _>>()?;
    let environment = spec
        .environment
        .into_iter()
        .map(|(name, value)| CString::new(format!("{name}={value}")))
        .collect::<Result<Vec<_>, _>>()?;
    execve(&path, &arguments, &environment)
        .map_err(|source| ShimError::Execute { program: spec.program, source: source.into() })
}

//! What goes over from one supervisor to the next: open files by their numbers, named in an environment variable, since
//! arguments are for people.

use std::{
    env,
    ffi::{CString, OsString},
    fs::File,
    io,
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::{ffi::OsStringExt, net::UnixListener},
    },
    path::{Path, PathBuf},
};

use impetus_config::Entrance;
use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::{
        signal::{SigSet, SigmaskHow, Signal, pthread_sigmask},
        socket::{GetSockOpt, sockopt},
    },
    unistd::execve,
};
use serde::{Deserialize, Serialize};

use super::WayBack;
use crate::logs::Pipe;

/// The variable; its name does not begin as those of settings do.
const VARIABLE: &str = "SUPERVISOR_HANDOVER";

/// Signals that have to wait while nobody hears them.
const HELD: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// The most characters of a reason.
const MAX_REASON: usize = 2000;

/// What is told of the handover.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Carry {
    /// Whose it is: it means nothing in another process that has the same variable.
    pid: u32,
    id: u64,
    /// The version that ran before.
    version: String,
    /// What the first supervisor of this process was started with.
    arguments: Vec<String>,
    /// Why this supervisor runs again, if that is so.
    #[serde(default)]
    failure: Option<String>,
    /// The entrances at which the service manager listens.
    #[serde(default)]
    activated: Vec<Entrance>,
    control: RawFd,
    state_lock: RawFd,
    runtime_lock: RawFd,
    /// The program that ran before.
    former: Program,
    pipes: Vec<CarriedPipe>,
}

/// A program that is kept, whatever becomes of its file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Program {
    /// Of its file, where one can be executed by it.
    descriptor: Option<RawFd>,
    /// What is executed.
    path: PathBuf,
    /// What it was called as.
    name: PathBuf,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct CarriedPipe {
    source: String,
    file: Option<String>,
    end: RawFd,
}

/// Everything that goes over. The files in it stay open in the next program.
#[derive(Debug)]
pub struct Handover {
    carry: Carry,
    _files: Vec<OwnedFd>,
}

/// What a supervisor finds that was executed by another one.
#[derive(Debug)]
pub struct Resumed {
    /// Which upgrade it is.
    pub id: u64,
    /// The version that ran before.
    pub version: String,
    /// Why the new supervisor did not come up, where this is the former one again.
    pub failure: Option<String>,
    /// The entrances at which the service manager listens, whatever becomes of this process.
    pub activated: Vec<Entrance>,
    /// The control socket.
    pub control: Option<UnixListener>,
    /// The lock on the state folder.
    pub state_lock: Option<File>,
    /// The lock on the runtime folder.
    pub runtime_lock: Option<File>,
    /// What children write to.
    pub pipes: Vec<Pipe>,
    /// To the supervisor before; absent in that one.
    pub way_back: Option<WayBack>,
}

impl Handover {
    /// For the upgrade `id` of this supervisor, which holds these.
    pub fn new(
        id: u64,
        control: BorrowedFd<'_>,
        [state_lock, runtime_lock]: [BorrowedFd<'_>; 2],
        pipes: Vec<Pipe>,
        state_dir: &Path,
    ) -> io::Result<Self> {
        let (former, program) = kept_program(state_dir)?;
        let mut files: Vec<OwnedFd> = former.into_iter().collect();
        let mut keep = |file: BorrowedFd<'_>| -> io::Result<RawFd> {
            let file = file.try_clone_to_owned()?;
            let number = file.as_raw_fd();
            files.push(file);
            Ok(number)
        };
        let (control, state_lock, runtime_lock) = (keep(control)?, keep(state_lock)?, keep(runtime_lock)?);
        let pipes = pipes.into_iter().map(|Pipe { source, file, end }| {
            let number = end.as_raw_fd();
            files.push(end);
            CarriedPipe { source, file, end: number }
        });
        // One that was tried has been given them as they are.
        let arguments = env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
        let carry = Carry {
            pid: std::process::id(),
            id,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            arguments: arguments.collect(),
            failure: None,
            activated: Vec::new(),
            control,
            state_lock,
            runtime_lock,
            former: program,
            pipes: pipes.collect(),
        };
        Ok(Self { carry, _files: files })
    }

    /// With the entrances at which the service manager listens.
    #[must_use]
    pub fn activated(mut self, entrances: &[Entrance]) -> Self {
        self.carry.activated = entrances.to_vec();
        self
    }

    /// Becomes `program`, or this one again when that cannot be. Returns when both cannot.
    pub fn become_program(self, program: &Path) -> io::Error {
        let error = execute(program, program, &self.carry);
        let reason = format!("{} cannot be executed: {error}", program.display());
        self.go_back(&reason)
    }

    /// Becomes the program that ran before, which is told why.
    pub(super) fn go_back(mut self, reason: &str) -> io::Error {
        self.carry.failure = Some(reason.chars().take(MAX_REASON).collect());
        let Program { path, name, .. } = self.carry.former.clone();
        execute(&path, &name, &self.carry)
    }
}

impl Resumed {
    /// What this process was given. To be called once, before anything else opens a file.
    pub fn find() -> Option<Self> {
        let carry: Carry = serde_json::from_str(&env::var(VARIABLE).ok()?).ok()?;
        if carry.pid != std::process::id() {
            return None;
        }
        name_process();
        let take = |number: RawFd| {
            // SAFETY: the supervisor that executed this program opened these numbers for it and names each once;
            // nothing else in this process has opened a file yet.
            let file = unsafe { OwnedFd::from_raw_fd(number) };
            fcntl(&file, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok().map(|_| file)
        };
        let numbers = [Some(carry.control), Some(carry.state_lock), Some(carry.runtime_lock)];
        let numbers = numbers.into_iter().chain([carry.former.descriptor]).flatten();
        let files: Vec<OwnedFd> =
            numbers.chain(carry.pipes.iter().map(|pipe| pipe.end)).filter_map(take).collect();
        let copy = |number: RawFd| {
            let file = files.iter().find(|file| file.as_raw_fd() == number)?;
            file.try_clone().ok()
        };
        let pipe = |pipe: &CarriedPipe| {
            let CarriedPipe { source, file, end } = pipe.clone();
            Some(Pipe { source, file, end: copy(end)? })
        };
        Some(Self {
            id: carry.id,
            version: carry.version.clone(),
            failure: carry.failure.clone(),
            activated: carry.activated.clone(),
            control: copy(carry.control).map(UnixListener::from),
            state_lock: copy(carry.state_lock).map(File::from),
            runtime_lock: copy(carry.runtime_lock).map(File::from),
            pipes: carry.pipes.iter().filter_map(pipe).collect(),
            way_back: carry.failure.is_none().then(|| WayBack::new(Handover { carry, _files: files })),
        })
    }
}

/// Hears the signals that came while nobody could, and those that come. To be called when there is somebody who does, on
/// the thread that was there first.
pub fn hear_signals() {
    let held: SigSet = HELD.into_iter().collect();
    // It cannot fail with these.
    let _ = pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&held), None);
}

/// Becomes the program at `path`, under `name`, with these arguments and this environment; why not.
fn execute(path: &Path, name: &Path, carry: &Carry) -> io::Error {
    let Err(error) = try_execute(path, name, carry);
    error
}

fn try_execute(path: &Path, name: &Path, carry: &Carry) -> io::Result<std::convert::Infallible> {
    let text = |text: OsString| CString::new(text.into_vec()).map_err(io::Error::other);
    let arguments: Vec<CString> = std::iter::once(name.as_os_str().to_owned())
        .chain(carry.arguments.iter().map(OsString::from))
        .map(text)
        .collect::<io::Result<_>>()?;
    let passes_sockets = pass_sockets();
    let mut environment: Vec<OsString> = env::vars_os()
        .filter(|(name, _)| name != VARIABLE && (passes_sockets || !is_about_sockets(name)))
        .map(|(name, value)| [name, value].join(&OsString::from("=")))
        .collect();
    environment.push(format!("{VARIABLE}={}", serde_json::to_string(carry)?).into());
    let environment: Vec<CString> = environment.into_iter().map(text).collect::<io::Result<_>>()?;
    let descriptors = [carry.control, carry.state_lock, carry.runtime_lock].into_iter();
    for number in descriptors.chain(carry.former.descriptor).chain(carry.pipes.iter().map(|pipe| pipe.end)) {
        // SAFETY: borrowed for one call; the handover that names the number holds it open.
        let file = unsafe { BorrowedFd::borrow_raw(number) };
        fcntl(file, FcntlArg::F_SETFD(FdFlag::empty())).map_err(io::Error::from)?;
    }
    let held: SigSet = HELD.into_iter().collect();
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&held), None).map_err(io::Error::from)?;
    let path = text(path.as_os_str().to_owned())?;
    execve(&path, &arguments, &environment).map_err(io::Error::from)
}

/// Whether the sockets that a service manager gave to this process (sd_listen_fds(3)) go over as well: they do while
/// they are still where it put them.
fn pass_sockets() -> bool {
    const FIRST: RawFd = 3;
    let count = env::var("LISTEN_FDS").ok().and_then(|count| count.parse::<RawFd>().ok()).unwrap_or_default();
    (FIRST..FIRST.saturating_add(count)).all(|number| {
        // SAFETY: borrowed for these calls; a number that is not open answers with an error.
        let file = unsafe { BorrowedFd::borrow_raw(number) };
        sockopt::AcceptConn.get(&file).unwrap_or_default()
            && fcntl(file, FcntlArg::F_SETFD(FdFlag::empty())).is_ok()
    })
}

fn is_about_sockets(name: &std::ffi::OsStr) -> bool {
    ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"].iter().any(|own| name == *own)
}

/// This program, so that it can be executed again after its file was replaced.
#[cfg(target_os = "linux")]
fn kept_program(_state_dir: &Path) -> io::Result<(Option<OwnedFd>, Program)> {
    let file = OwnedFd::from(File::open("/proc/self/exe")?);
    let number = file.as_raw_fd();
    let path = format!("/proc/self/fd/{number}").into();
    Ok((Some(file), Program { descriptor: Some(number), path, name: own_name()? }))
}

/// The same by a copy, where a program cannot be executed by its descriptor.
#[cfg(not(target_os = "linux"))]
fn kept_program(state_dir: &Path) -> io::Result<(Option<OwnedFd>, Program)> {
    let path = state_dir.join("former-supervisor");
    std::fs::copy(env::current_exe()?, &path)?;
    Ok((None, Program { descriptor: None, path, name: own_name()? }))
}

fn own_name() -> io::Result<PathBuf> {
    env::args_os().next().map_or_else(env::current_exe, |name| Ok(name.into()))
}

/// A program that was executed by its descriptor is named after that.
fn name_process() {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_name(c"supervisor");
}

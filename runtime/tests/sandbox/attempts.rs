//! What is tried from inside.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read},
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::{UnixListener, UnixStream},
        process::parent_id,
    },
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        signal::kill,
        wait::{WaitPidFlag, waitpid},
    },
    unistd::{ForkResult, Pid, fork, getpid},
};

/// The outcome of an attempt that succeeds.
pub(crate) const DONE: &str = "done";

/// Something to try.
pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    pub(crate) try_it: fn(&Surroundings) -> io::Result<()>,
    /// What refuses it, and by which error; nothing refuses what a worker needs.
    pub(crate) refusal: Option<(Means, &'static str)>,
    /// Its outcome without that.
    pub(crate) otherwise: &'static str,
}

#[derive(Clone, Copy)]
pub(crate) enum Means {
    Landlock,
    Seccomp,
}

/// Where the worker is.
pub(crate) struct Surroundings {
    /// The folder of everything: `hub` with the model and another, `run`.
    pub(crate) dir: PathBuf,
    /// Where somebody listens.
    pub(crate) tcp_port: u16,
    /// Distinguishes files that several threads make.
    pub(crate) thread: &'static str,
}

const EACCES: Option<(Means, &str)> = Some((Means::Landlock, "EACCES"));
const EPERM: Option<(Means, &str)> = Some((Means::Seccomp, "EPERM"));

const fn attempt(
    name: &'static str,
    refusal: Option<(Means, &'static str)>,
    try_it: fn(&Surroundings) -> io::Result<()>,
) -> Attempt {
    Attempt { name, try_it, refusal, otherwise: DONE }
}

/// Everything that is tried.
pub(crate) const ATTEMPTS: &[Attempt] = &[
    attempt("read the model", None, |at| read(at.dir.join("hub/model/weights"))),
    attempt("read a link within the root", None, |at| read(at.dir.join("hub/model/linked"))),
    attempt("list the model's folder", None, |at| fs::read_dir(at.dir.join("hub/model")).map(drop)),
    attempt("read figures of the process", None, |_| read("/proc/self/status")),
    attempt("read figures of the machine", None, |_| read("/proc/cpuinfo")),
    attempt("read the processors' topology", None, |_| read("/sys/devices/system/cpu/online")),
    attempt("read the program", None, |_| read(std::env::current_exe()?)),
    attempt("read a library", None, |_| fs::read_dir("/usr/lib").map(drop)),
    attempt("read random numbers", None, |_| File::open("/dev/urandom")?.read_exact(&mut [0; 8])),
    attempt("write to nowhere", None, |_| fs::write("/dev/null", "x")),
    attempt("start a thread", None, |_| thread::Builder::new().spawn(|| ())?.join().map_err(|_| panicked())),
    attempt("ask for itself", None, |_| Ok(kill(getpid(), None)?)),
    attempt("read another model", EACCES, |at| read(at.dir.join("hub/other/weights"))),
    attempt("read a file that another links to", EACCES, |at| read(at.dir.join("hub/blobs/2"))),
    attempt("read a link out of the root", EACCES, |at| read(at.dir.join("hub/model/escape"))),
    attempt("read a file of the system", EACCES, |_| read("/etc/passwd")),
    attempt("list the folder above", EACCES, |at| fs::read_dir(&at.dir).map(drop)),
    attempt("read another process's words", EACCES, |_| read(format!("/proc/{}/cmdline", parent_id()))),
    attempt("make a file in the model's folder", EACCES, |at| fs::write(at.file("hub/model"), "x")),
    attempt("make a file in the runtime folder", EACCES, |at| fs::write(at.file("run"), "x")),
    attempt("make a folder elsewhere", EACCES, |at| fs::create_dir(at.file("hub/other"))),
    attempt("make a link", EACCES, |at| symlink("weights", at.file("hub/model").with_extension("link"))),
    attempt("change the model", EACCES, |at| {
        File::options().append(true).open(at.dir.join("hub/model/weights")).map(drop)
    }),
    attempt("remove another's socket", EACCES, |at| fs::remove_file(at.dir.join("run").join(at.thread))),
    attempt("change permissions", EPERM, |at| {
        fs::set_permissions(at.dir.join("hub/model/weights"), Permissions::from_mode(0o600))
    }),
    attempt("listen on a Unix socket", EPERM, |at| {
        UnixListener::bind(at.file("run").with_extension("s")).map(drop)
    }),
    attempt("connect to a Unix socket", EPERM, |at| UnixStream::connect(at.dir.join("run/open")).map(drop)),
    attempt("make a pair of sockets", EPERM, |_| UnixStream::pair().map(drop)),
    attempt("listen on TCP", EPERM, |_| TcpListener::bind("127.0.0.1:0").map(drop)),
    attempt("connect by TCP", EPERM, |at| TcpStream::connect(("127.0.0.1", at.tcp_port)).map(drop)),
    attempt("open a UDP socket", EPERM, |_| UdpSocket::bind("127.0.0.1:0").map(drop)),
    attempt("run a program", EPERM, |_| run_a_program()),
    attempt("fork", EPERM, |_| fork_and_wait()),
    attempt("see whether its parent lives", EPERM, |_| Ok(kill(Pid::parent(), None)?)),
    attempt("read its parent's limits", EPERM, |_| parent_limits()),
    Attempt { name: "trace its parent", try_it: |_| trace_parent(), refusal: EPERM, otherwise: "ESRCH" },
    #[cfg(target_arch = "x86_64")]
    Attempt {
        name: "call by a number of x32",
        try_it: |_| call_by_x32(),
        refusal: EPERM,
        otherwise: "ENOSYS",
    },
];

impl Surroundings {
    /// A file in a folder that this thread may make.
    fn file(&self, folder: &str) -> PathBuf {
        self.dir.join(folder).join(format!("made-by-{}", self.thread))
    }

    /// The outcome of each attempt, in order.
    pub(crate) fn try_all(&self) -> Vec<String> {
        ATTEMPTS.iter().map(|attempt| outcome((attempt.try_it)(self))).collect()
    }
}

fn outcome(result: io::Result<()>) -> String {
    match result {
        Ok(()) => DONE.to_owned(),
        Err(error) => match error.raw_os_error() {
            Some(number) => format!("{:?}", Errno::from_raw(number)),
            None => error.to_string(),
        },
    }
}

fn panicked() -> io::Error {
    io::Error::other("the thread panicked")
}

fn read(path: impl AsRef<Path>) -> io::Result<()> {
    File::open(path)?.read(&mut [0; 8]).map(drop)
}

#[allow(clippy::disallowed_methods)] // whether one can be started is the question
fn run_a_program() -> io::Result<()> {
    Command::new("/bin/true").status().map(drop)
}

fn fork_and_wait() -> io::Result<()> {
    // SAFETY: the child ends at once and touches nothing.
    match unsafe { fork() }? {
        // SAFETY: ends this process without running anything of it.
        ForkResult::Child => unsafe { libc::_exit(0) },
        ForkResult::Parent { child } => Ok(waitpid(child, None::<WaitPidFlag>).map(drop)?),
    }
}

fn trace_parent() -> io::Result<()> {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: it asks for a word of a process that this one does not trace, which changes nothing.
    let result = unsafe { libc::ptrace(libc::PTRACE_PEEKUSER, Pid::parent().as_raw(), nothing, nothing) };
    Ok(Errno::result(result).map(drop)?)
}

fn parent_limits() -> io::Result<()> {
    let mut limits = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let parent = Pid::parent().as_raw();
    // SAFETY: no limits are given, and there is room for those asked for.
    let result = unsafe { libc::prlimit64(parent, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut limits) };
    Ok(Errno::result(result).map(drop)?)
}

#[cfg(target_arch = "x86_64")]
fn call_by_x32() -> io::Result<()> {
    // SAFETY: there is no such call.
    let result = unsafe { libc::syscall(0x4000_0000 | 0xffff) };
    Ok(Errno::result(result).map(drop)?)
}

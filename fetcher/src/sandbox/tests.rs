//! What can still be done from inside, tried by a thread that is confined as the whole fetcher is. Every attempt is also
//! made by one that is not, so that its refusal is known to come from there.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::{
    fs, io,
    net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket},
    os::unix::{
        fs::symlink,
        net::{UnixDatagram, UnixListener, UnixStream},
    },
    process::Command,
    ptr,
    sync::mpsc,
    thread,
};

use nix::{errno::Errno, libc, sys::signal::kill, unistd::Pid};
use tempfile::TempDir;

use super::*;

/// What becomes of an attempt that succeeds.
const DONE: &str = "done";

/// Something to try.
struct Attempt {
    name: &'static str,
    /// Who refuses it; nobody refuses what a pull needs.
    refusal: Option<Refusal>,
    try_it: fn(&Around) -> io::Result<()>,
}

struct Refusal {
    errno: &'static str,
    /// The version of landlock that can; 0: seccomp does.
    landlock: i64,
}

/// Where it is tried.
struct Around {
    dir: TempDir,
    tcp_port: u16,
    _listeners: (TcpListener, UnixListener, UnixDatagram),
}

const fn needed(name: &'static str, try_it: fn(&Around) -> io::Result<()>) -> Attempt {
    Attempt { name, refusal: None, try_it }
}

const fn refused(
    name: &'static str,
    landlock: i64,
    errno: &'static str,
    try_it: fn(&Around) -> io::Result<()>,
) -> Attempt {
    Attempt { name, refusal: Some(Refusal { errno, landlock }), try_it }
}

const ATTEMPTS: &[Attempt] = &[
    needed("write what comes", |at| fs::write(at.path("staging/model/made"), "x")),
    needed("read what came", |at| fs::read(at.path("staging/model/made")).map(drop)),
    needed("make a folder", |at| fs::create_dir_all(at.path("staging/model/a/b"))),
    needed("put a file into its place", |at| {
        fs::rename(at.path("staging/model/made"), at.path("staging/model/put"))
    }),
    needed("remove what is not needed", |at| fs::remove_dir_all(at.path("staging/model"))),
    needed("find a name", |_| ("localhost", 1).to_socket_addrs().map(drop)),
    needed("read the resolver's settings", |at| fs::read(at.path("resolv.conf")).map(drop)),
    needed("load a library", |_| fs::read_dir("/usr/lib").map(drop)),
    needed("connect by TCP", |at| TcpStream::connect(("127.0.0.1", at.tcp_port)).map(drop)),
    needed("ask by UDP", |_| UdpSocket::bind("127.0.0.1:0").map(drop)),
    needed("make a pair of sockets", |_| UnixStream::pair().map(drop)),
    needed("start a thread", |_| thread::spawn(|| ()).join().map_err(|_| io::Error::other("it panicked"))),
    refused("read tokens", 1, "EACCES", |at| fs::read(at.path("hub-tokens.json")).map(drop)),
    refused("read another pull", 1, "EACCES", |at| fs::read(at.path("other/lock")).map(drop)),
    refused("list the folder above", 1, "EACCES", |at| fs::read_dir(at.path(".")).map(drop)),
    refused("read a file of the system", 1, "EACCES", |_| fs::read("/etc/passwd").map(drop)),
    refused("read a process's words", 1, "EACCES", |_| fs::read("/proc/self/environ").map(drop)),
    refused("make a file elsewhere", 1, "EACCES", |at| fs::write(at.path("made"), "x")),
    refused("change a file elsewhere", 1, "EACCES", |at| fs::write(at.path("other/lock"), "x")),
    refused("change the resolver's settings", 1, "EACCES", |at| fs::write(at.path("resolv.conf"), "x")),
    refused("make a link", 1, "EACCES", |at| symlink("../hub-tokens.json", at.path("staging/link"))),
    refused("remove a file elsewhere", 1, "EACCES", |at| fs::remove_file(at.path("hub-tokens.json"))),
    refused("listen on TCP", 4, "EACCES", |_| TcpListener::bind("127.0.0.1:0").map(drop)),
    refused("see whether its parent lives", 6, "EPERM", |_| Ok(kill(Pid::parent(), None)?)),
    refused("connect to the control socket", 0, "EACCES", |at| {
        UnixStream::connect(at.path("control.sock")).map(drop)
    }),
    refused("send to a socket of messages", 0, "EACCES", |at| {
        UnixDatagram::unbound()?.connect(at.path("messages.sock"))
    }),
    refused("send to it from one of a pair", 0, "EACCES", |at| {
        UnixDatagram::pair()?.0.connect(at.path("messages.sock"))
    }),
    refused("run a program", 0, "EACCES", |_| run_a_program()),
    refused("make a ring of calls", 0, "EACCES", |_| make_a_ring()),
];

impl Around {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("staging/model")).unwrap();
        fs::create_dir(path("other")).unwrap();
        for file in ["hub-tokens.json", "other/lock", "resolv.conf"] {
            fs::write(path(file), "secret").unwrap();
        }
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp_port = tcp.local_addr().unwrap().port();
        let unix = UnixListener::bind(path("control.sock")).unwrap();
        let messages = UnixDatagram::bind(path("messages.sock")).unwrap();
        Self { dir, tcp_port, _listeners: (tcp, unix, messages) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn enter(&self) -> Sandbox {
        Sandbox::with_resolver(&self.path("staging"), &self.path("resolv.conf"))
    }

    fn try_all(&self) -> Vec<String> {
        ATTEMPTS.iter().map(|attempt| outcome((attempt.try_it)(self))).collect()
    }
}

/// In a thread of its own, since there is no way back.
fn inside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join().unwrap())
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

#[allow(clippy::disallowed_methods)] // whether one can be started is the question
fn run_a_program() -> io::Result<()> {
    Command::new("/bin/true").status().map(drop)
}

fn make_a_ring() -> io::Result<()> {
    // SAFETY: without parameters there is nothing that the call could make or write to.
    let made = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, ptr::null_mut::<u8>()) };
    Ok(Errno::result(made).map(drop)?)
}

/// The version that this kernel has in use; 0: none.
fn landlock() -> i64 {
    // SAFETY: without a ruleset the call answers its version and touches no memory.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<u8>(), 0_usize, 1_u32) };
    version.max(0)
}

#[test]
fn a_confined_fetcher_can_do_its_work_and_nothing_else() {
    let around = Around::new();
    let outcomes = inside(|| {
        around.enter();
        around.try_all()
    });
    for (attempt, outcome) in ATTEMPTS.iter().zip(&outcomes) {
        match &attempt.refusal {
            None => assert_eq!(outcome, DONE, "{}", attempt.name),
            Some(refusal) if refusal.landlock <= landlock() => {
                assert_eq!(outcome, refusal.errno, "{}", attempt.name);
            }
            // This kernel is too old for it.
            Some(_) => {}
        }
    }
    // Without it the same is refused by nobody.
    let around = Around::new();
    for (attempt, outcome) in ATTEMPTS.iter().zip(inside(|| around.try_all())) {
        let refusal = attempt.refusal.as_ref().map(|refusal| refusal.errno);
        assert_ne!(Some(outcome.as_str()), refusal, "{}", attempt.name);
        assert!(refusal.is_some() || outcome == DONE, "{}: {outcome}", attempt.name);
    }
}

#[test]
fn a_resolver_that_was_replaced_is_noticed() {
    let around = Around::new();
    let (ask, asked) = mpsc::sync_channel(0);
    let (say, said) = mpsc::sync_channel(0);
    let inside = &around;
    thread::scope(|scope| {
        scope.spawn(move || {
            let sandbox = inside.enter();
            assert!(!sandbox.is_outdated());
            ask.send(()).unwrap();
            said.recv().unwrap();
            assert_eq!(sandbox.is_outdated(), landlock() > 0);
        });
        asked.recv().unwrap();
        fs::write(around.path("new"), "another server").unwrap();
        fs::rename(around.path("new"), around.path("resolv.conf")).unwrap();
        say.send(()).unwrap();
    });
}

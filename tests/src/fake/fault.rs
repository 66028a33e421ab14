//! How a worker goes wrong, by the means by which real ones do.

use std::{
    fs::File,
    hint::black_box,
    io::Write,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    os::unix::net::UnixStream,
    process, thread,
    time::Duration,
};

use impetus_proto::{
    channel::{self, CHANNEL_FD},
    launch::{Report, Serving, report},
    worker::Description,
};
use nix::sys::{
    signal::{Signal, raise},
    socket::{GetSockOpt, UnixAddr, getpeername, sockopt},
};
use tokio::signal::unix::{SignalKind, signal};

/// Bytes of a page, of which one is written to make it the process's own.
const PAGE: usize = 4096;

/// What is no message of any protocol here.
const NONSENSE: [u8; 64] = [0xff; 64];

/// Descriptors that are looked at for connections.
const DESCRIPTORS: std::ops::Range<i32> = CHANNEL_FD + 1..512;

/// The end of a worker, or worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A segmentation fault.
    Crash,
    /// An abort.
    Abort,
    /// An exit with code 1.
    Exit,
    /// A panic of the engine's thread.
    Panic,
    /// A recursion without end.
    Stack,
    /// A step without end.
    Hang,
}

impl Fault {
    /// The fault of this name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "crash" => Self::Crash,
            "abort" => Self::Abort,
            "exit" => Self::Exit,
            "panic" => Self::Panic,
            "stack" => Self::Stack,
            "hang" => Self::Hang,
            _ => return None,
        })
    }

    /// Does it.
    #[expect(clippy::disallowed_methods, reason = "a library that exits the process is what is played here")]
    pub(super) fn happen(self) -> ! {
        match self {
            Self::Crash => segfault(),
            Self::Abort => process::abort(),
            Self::Exit => process::exit(1),
            Self::Panic => panic!("as the script says"),
            Self::Stack => unreachable!("{}", recurse(0)),
            Self::Hang => loop {
                thread::sleep(Duration::from_secs(1));
            },
        }
    }
}

/// Memory that is really there.
pub(super) fn hold(mib: usize) -> Vec<u8> {
    let mut memory = vec![0; mib << 20];
    for page in memory.chunks_mut(PAGE) {
        page[0] = 1;
    }
    memory
}

/// Crashes on SIGTERM, while the runtime begins to drain.
pub(super) fn die_when_asked_to_stop() {
    let watch = || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            if let Ok(mut asked) = signal(SignalKind::terminate()) {
                asked.recv().await;
                segfault();
            }
        });
    };
    thread::spawn(watch);
}

/// Tells the supervisor that another model is served.
pub(super) fn claim(model: &str) {
    let description = Description { model: model.to_owned(), ..Description::default() };
    let serving = Serving { description: Some(description), ..Serving::default() };
    if let Some(mut supervisor) = supervisor() {
        drop(channel::write(&mut supervisor, &Report { message: Some(report::Message::Serving(serving)) }));
    }
}

/// Sends nonsense to the supervisor.
pub(super) fn garble_channel() {
    if let Some(mut supervisor) = supervisor() {
        drop(supervisor.write_all(&NONSENSE));
    }
}

/// Sends nonsense on every connection of this process but the channel.
pub(super) fn garble_connections() {
    for descriptor in DESCRIPTORS {
        // SAFETY: it is looked at for the length of this loop's turn alone; one that is closed meanwhile is an error
        // of the calls below.
        let socket = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let is_connected = getpeername::<UnixAddr>(descriptor).is_ok();
        let listens = sockopt::AcceptConn.get(&socket).unwrap_or(true);
        if is_connected
            && !listens
            && let Ok(own) = socket.try_clone_to_owned()
        {
            drop(File::from(own).write(&NONSENSE));
        }
    }
}

fn supervisor() -> Option<UnixStream> {
    // SAFETY: the runtime keeps descriptor 3, the channel, for as long as the process lives.
    let channel = unsafe { BorrowedFd::borrow_raw(CHANNEL_FD) };
    let own: OwnedFd = channel.as_fd().try_clone_to_owned().ok()?;
    Some(UnixStream::from(own))
}

/// The standard library's own handler takes the first signal for a stack overflow that is none, and steps aside.
fn segfault() -> ! {
    for _ in 0..2 {
        let _ = raise(Signal::SIGSEGV);
    }
    process::abort()
}

#[expect(unconditional_recursion, reason = "that is the fault")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 512]);
    recurse(depth + 1) + frame[0]
}

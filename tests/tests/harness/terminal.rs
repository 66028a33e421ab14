//! A program in a terminal of its own, typed at and read as a person does.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use nix::{
    libc,
    pty::{Winsize, openpty},
    sys::{
        signal::Signal,
        termios::{Termios, tcgetattr},
    },
    unistd::setsid,
};

use super::{Server, command, eventually, program, signal};

/// The usual size, in characters.
const USUAL: Winsize = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };

pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    /// The program's end, kept open so that its settings outlive the program.
    line: OwnedFd,
    before: Termios,
    written: Arc<Mutex<Vec<u8>>>,
    /// How much of that has been looked at.
    read: usize,
}

impl Server {
    /// Runs `supervisorctl` for this server in a terminal.
    pub(crate) fn ctl_in_terminal(&self, arguments: &[&str]) -> Terminal {
        let mut command = command(&program("supervisorctl"), &self.path("."));
        command.env("TERM", "xterm").arg("--config").arg(self.path("impetus.toml")).args(arguments);
        Terminal::run(command)
    }
}

impl Terminal {
    /// Runs `command` with a new terminal for its input, output and signals.
    pub(crate) fn run(mut command: Command) -> Self {
        let pair = openpty(&USUAL, None).expect("there are terminals left");
        let line = pair.slave;
        let before = tcgetattr(&line).unwrap();
        let end = || line.try_clone().unwrap();
        command.stdin(end()).stdout(end()).stderr(end());
        let own = || {
            setsid()?;
            // SAFETY: descriptor 0 is the terminal by now; the call takes a number and no memory.
            let taken = unsafe { libc::ioctl(0, libc::TIOCSCTTY as _, 0) };
            if taken == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        };
        // SAFETY: only system calls happen between fork and exec.
        let child = unsafe { command.pre_exec(own) }.spawn().expect("the program can be started");
        let keyboard = File::from(pair.master);
        let written = Arc::new(Mutex::new(Vec::new()));
        let (mut screen, shared) = (keyboard.try_clone().unwrap(), written.clone());
        thread::spawn(move || {
            let mut piece = [0; 4096];
            // An error is the end of all who had the other end open.
            while let Ok(n @ 1..) = screen.read(&mut piece) {
                shared.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&piece[..n]);
            }
        });
        Self { child, keyboard, line, before, written, read: 0 }
    }

    /// Types; `\r` is the enter key.
    pub(crate) fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until `text` is written behind what was waited for before.
    pub(crate) async fn shows(&mut self, text: &str) {
        let what = format!("the terminal shows {text:?}");
        let (written, read) = (&self.written, self.read);
        let end = eventually(&what, || {
            let written = written.lock().unwrap();
            let at = written[read..].windows(text.len()).position(|window| window == text.as_bytes());
            std::future::ready(at.map(|at| read + at + text.len()))
        });
        self.read = end.await;
    }

    /// Everything written so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    /// Makes it another size, of which the program hears.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ..USUAL };
        // SAFETY: the kernel reads one `Winsize`, which lives until the call is over.
        let set = unsafe { libc::ioctl(self.keyboard.as_raw_fd(), libc::TIOCSWINSZ as _, &raw const size) };
        assert_eq!(set, 0, "{}", io::Error::last_os_error());
    }

    pub(crate) fn signal(&self, number: Signal) {
        signal(self.child.id(), number);
    }

    /// Waits for the program's end; the terminal has to be as it was.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let status = eventually("the program ends", || std::future::ready(child.try_wait().unwrap())).await;
        assert_eq!(tcgetattr(&self.line).unwrap(), self.before, "the terminal's settings, after {status}");
        status
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the terminal shows:\n{:?}", self.text());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

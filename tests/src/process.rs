//! Processes: finding and starting programs, sending signals, and finding what is left of a server.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// What a command gets of the test's own environment: where programs are, and ONNX Runtime (see `tools/setup`).
const INHERITED: [&str; 2] = ["PATH", "ORT_DYLIB_PATH"];

/// A program of this build, as cargo and `make build` put it: beside this one, or above the tests' own folder.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a program knows where it is");
    let folder = own.parent().expect("a program lies in a folder");
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let program = folder.join(name);
    assert!(program.exists(), "{} is missing: run `make test`, which builds it", program.display());
    program
}

/// The programs that a server consists of.
const INSTALLED: [&str; 6] =
    ["supervisor", "supervisorctl", "gateway", "worker-gguf", "worker-candle", "worker-onnx"];

/// Where [`install`] puts them.
pub const INSTALLATION: &str = "installed/bin";

/// Puts the server's programs, and `worker-fake`, into a folder of their own, so that they can be replaced there.
pub fn install(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for name in INSTALLED.into_iter().chain(["worker-fake"]) {
        let (from, to) = (program(name), folder.join(name));
        fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop))?;
    }
    Ok(())
}

/// The supervisor of the server in `dir`: one that is installed there, or that of this build.
pub fn supervisor_of(dir: &Path) -> PathBuf {
    let installed = dir.join(INSTALLATION).join("supervisor");
    if installed.exists() { installed } else { program("supervisor") }
}

/// A command with a clean environment, whose home is `home`.
#[expect(clippy::disallowed_methods, reason = "tests start programs as a user does")]
pub fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", home).current_dir(home);
    command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command
}

/// Sends `signal`; that the process is gone already is no error.
pub fn signal(pid: u32, signal: Signal) {
    assert_ne!(pid, 0, "that is no process: {signal} would go to this whole group");
    match kill(Pid::from_raw(pid.cast_signed()), signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("cannot send {signal} to {pid}: {error}"),
    }
}

/// Whether the process runs; one that has ended and waits for its parent does not.
pub fn is_alive(pid: u32) -> bool {
    if kill(Pid::from_raw(pid.cast_signed()), None).is_err() {
        return false;
    }
    // Behind the name, which may hold anything, comes the state: proc_pid_stat(5).
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with(['Z', 'X']))
}

/// Children of `pid` that have ended and that it has not waited for.
pub fn zombies_of(pid: u32) -> Vec<u32> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let is_zombie = |child: &u32| {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        let mut fields =
            stat.rsplit_once(") ").map(|(_, fields)| fields.split_whitespace()).into_iter().flatten();
        fields.next() == Some("Z") && fields.next().and_then(|parent| parent.parse().ok()) == Some(pid)
    };
    let pids = processes.flatten().filter_map(|process| process.file_name().to_str()?.parse().ok());
    pids.filter(is_zombie).collect()
}

/// The running processes whose working folder is `dir` or in it, which are all of a server that has its state
/// there. Empty where there is no `/proc`.
pub fn processes_in(dir: &Path) -> Vec<(u32, String)> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let in_dir = |folder: &PathBuf| folder.starts_with(dir);
    processes
        .flatten()
        .filter_map(|process| process.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).as_ref().is_ok_and(in_dir))
        .filter(|pid| is_alive(*pid))
        .map(|pid| {
            (pid, fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned())
        })
        .collect()
}

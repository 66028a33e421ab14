//! The control group of one worker: its limit, and what the kernel counted in it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{CgroupError, Shared, hierarchy::PROCS, hierarchy::Version};
use crate::attribution::KernelKill;

/// More memory than any machine has.
const UNLIMITED: u64 = 1 << 60;

/// A worker's group, which is taken away with this handle; processes that are still in it are ended then.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    shared: Arc<Shared>,
    /// Kills before this handle.
    former_kills: u64,
}

/// The names of the kernel's files.
struct Files {
    limit: &'static str,
    /// Of what is written to swap: alone in v2, together with memory in v1.
    swap_limit: &'static str,
    peak: &'static str,
    /// Lines of names and numbers, among them `oom_kill`.
    events: &'static str,
}

impl Cgroup {
    pub(super) fn new(path: PathBuf, shared: Arc<Shared>) -> Self {
        let mut group = Self { path, shared, former_kills: 0 };
        group.former_kills = group.kills();
        group
    }

    /// The interface of the kernel that it is used through.
    pub fn version(&self) -> Version {
        self.shared.version
    }

    /// The files to which a process writes its id to become part of the group.
    pub fn files(&self) -> Vec<String> {
        vec![self.path.join(PROCS).to_string_lossy().into_owned()]
    }

    /// Has the kernel end the group's processes, all of them where it can, when they hold more than `bytes`, swapped
    /// out or not. Pages of files count, but are given up before anything is ended.
    pub fn set_limit(&self, bytes: u64) -> Result<(), CgroupError> {
        let files = self.names();
        match self.version() {
            Version::V1 => {
                // Neither may pass the other on its way: the second try counts, whichever way they go.
                let _ = self.write(files.swap_limit, bytes);
                self.write(files.limit, bytes)?;
                optional(self.write(files.swap_limit, bytes))
            }
            Version::V2 => {
                optional(self.write("memory.oom.group", 1))?;
                optional(self.write(files.swap_limit, 0))?;
                self.write(files.limit, bytes)
            }
        }
    }

    /// The limit in force, in bytes, if there is any; the kernel rounds it down to whole pages.
    pub fn limit_bytes(&self) -> Option<u64> {
        // Without one v2 says `max`, and v1 the largest number of whole pages.
        self.read(self.names().limit)?.trim().parse().ok().filter(|bytes| *bytes < UNLIMITED)
    }

    /// What the kernel counted if it ended something in this group for lack of memory.
    pub fn kernel_kill(&self) -> Option<KernelKill> {
        let peak = || self.read(self.names().peak)?.trim().parse().ok();
        (self.kills() > self.former_kills).then(|| KernelKill { peak_bytes: peak() })
    }

    fn kills(&self) -> u64 {
        let events = self.read(self.names().events).unwrap_or_default();
        events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
    }

    fn names(&self) -> Files {
        match self.version() {
            Version::V1 => Files {
                limit: "memory.limit_in_bytes",
                swap_limit: "memory.memsw.limit_in_bytes",
                peak: "memory.max_usage_in_bytes",
                events: "memory.oom_control",
            },
            Version::V2 => Files {
                limit: "memory.max",
                swap_limit: "memory.swap.max",
                peak: "memory.peak",
                events: "memory.events",
            },
        }
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.path.join(file)).ok()
    }

    fn write(&self, file: &str, value: u64) -> Result<(), CgroupError> {
        let path = self.path.join(file);
        // Never created: a file that is not there belongs to another version of the kernel.
        let written = fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(&path)
            .and_then(|mut file| io::Write::write_all(&mut file, value.to_string().as_bytes()));
        written.map_err(|source| CgroupError::Io { action: "write to", path, source })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.shared.remove(&self.path);
    }
}

/// Ends whatever is in the group at `path`.
pub(super) fn kill_members(path: &Path) {
    let members = fs::read_to_string(path.join(PROCS)).unwrap_or_default();
    for pid in members.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0) {
        // The only failure left is that it ended meanwhile.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// What the kernel was built without does not matter.
fn optional(written: Result<(), CgroupError>) -> Result<(), CgroupError> {
    match written {
        Err(CgroupError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        written => written,
    }
}

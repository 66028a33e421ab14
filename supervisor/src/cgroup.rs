//! Control groups of Linux: one for each worker, in which the kernel holds it to its memory and counts what it
//! holds. They lie below the supervisor's own group, so whatever holds the supervisor holds them too.
//!
//! The formats are the kernel's: `Documentation/admin-guide/cgroup-v2.rst` and `cgroup-v1/memory.rst`.

mod group;
mod hierarchy;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

pub use group::Cgroup;
pub use hierarchy::Version;

/// How long the last processes may take to die before their groups are left to the next supervisor.
const LAST_PROCESSES: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(5);

/// The groups of this supervisor's workers. Clones are the same groups; the last one takes them away.
#[derive(Debug, Clone)]
pub struct Cgroups {
    shared: Arc<Shared>,
}

/// Why there are no control groups.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// This system has none, or none that count memory.
    #[error("no hierarchy of control groups with a memory controller is mounted")]
    Missing,
    /// The memory controller is there, but not for the supervisor's own group.
    #[error("the memory controller is not delegated to {}; a systemd unit needs Delegate=yes", .0.display())]
    NotDelegated(PathBuf),
    /// Other processes share the supervisor's group, so that no limits can be set below it.
    #[error("other processes are in {}; a supervisor in a systemd unit of its own has a group to itself: {source}", path.display())]
    Shared {
        /// The supervisor's group.
        path: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The kernel refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
}

/// What the handles of all groups share.
#[derive(Debug)]
struct Shared {
    version: Version,
    /// The group of the groups.
    parent: PathBuf,
    /// `parent`, locked for as long as this supervisor lives, so that no other takes away what is in it.
    _claim: File,
    /// Groups that could not be taken away yet because a process in them had not ended.
    left: Mutex<Vec<PathBuf>>,
}

/// The group that counts this process' memory.
pub fn own() -> Result<(Version, PathBuf), CgroupError> {
    let read = |path: &str| fs::read_to_string(path).map_err(|_| CgroupError::Missing);
    hierarchy::of_memory(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?)
}

impl Cgroups {
    /// Those of the supervisor whose sockets are in `runtime_dir`; none, and the reason in the log, where they are not
    /// `wanted` or not to be had.
    pub fn for_workers(wanted: bool, runtime_dir: &Path) -> Option<Self> {
        if !wanted {
            return None;
        }
        match Self::open(runtime_dir) {
            Ok(groups) => {
                tracing::info!(cgroup = %groups.version(), "the kernel holds workers to their memory");
                Some(groups)
            }
            Err(error) => {
                tracing::warn!(%error, "the supervisor watches the memory of workers itself");
                None
            }
        }
    }

    /// Makes a group for the groups, named after `runtime_dir`, below the one that this process is in. Takes away
    /// what a former supervisor left there, but for what still has processes.
    pub fn open(runtime_dir: &Path) -> Result<Self, CgroupError> {
        let (version, own) = own()?;
        let base = match version {
            Version::V1 => own,
            Version::V2 => hierarchy::delegate(&own)?,
        };
        Self::below(&base, version, &hierarchy::name_for(runtime_dir))
    }

    fn below(base: &Path, version: Version, name: &str) -> Result<Self, CgroupError> {
        let parent = base.join(name);
        sweep_others(base, &parent);
        let claim = claim(&parent)?;
        if version == Version::V2 {
            hierarchy::enable_memory(&parent)?;
        }
        let former = fs::read_dir(&parent).into_iter().flatten().flatten();
        let groups = former.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        // What cannot be taken away yet has a process in it, which may be dying, or be taken over.
        let left = groups.map(|group| group.path()).filter(|path| fs::remove_dir(path).is_err()).collect();
        Ok(Self { shared: Arc::new(Shared { version, parent, _claim: claim, left: Mutex::new(left) }) })
    }

    /// The interface of the kernel that is in use.
    pub fn version(&self) -> Version {
        self.shared.version
    }

    /// Makes the group of one worker.
    pub fn create(&self, worker_id: &str) -> Result<Cgroup, CgroupError> {
        self.shared.sweep();
        let path = self.shared.parent.join(worker_id);
        match fs::create_dir(&path) {
            Ok(()) => Ok(Cgroup::new(path, Arc::clone(&self.shared))),
            Err(source) => Err(CgroupError::Io { action: "make the control group", path, source }),
        }
    }

    /// The group that the worker `worker_id`, started by a former supervisor as the process `pid`, was given.
    pub fn of_process(&self, pid: u32, worker_id: &str) -> Option<Cgroup> {
        let memberships = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let path = hierarchy::group_of(self.version(), &memberships, &mounts)?;
        let is_ours =
            path.file_name()? == worker_id && path.parent()?.file_name() == self.shared.parent.file_name();
        is_ours.then(|| {
            self.shared.left().retain(|left| *left != path);
            Cgroup::new(path, Arc::clone(&self.shared))
        })
    }
}

impl Shared {
    /// Takes a group away, now or when its last process is gone, which is made to go.
    fn remove(&self, path: &Path) {
        if fs::remove_dir(path).is_ok() || !path.exists() {
            return;
        }
        group::kill_members(path);
        self.left().push(path.to_owned());
        self.sweep();
    }

    fn sweep(&self) {
        self.left().retain(|path| fs::remove_dir(path).is_err() && path.exists());
    }

    fn left(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        // A list of paths is whole at any moment.
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let deadline = Instant::now() + LAST_PROCESSES;
        self.sweep();
        while !self.left().is_empty() && Instant::now() < deadline {
            std::thread::sleep(PAUSE);
            self.sweep();
        }
        if let Err(error) = fs::remove_dir(&self.parent) {
            tracing::debug!(group = %self.parent.display(), %error, "control group stays");
        }
    }
}

/// Makes the folder of a supervisor's groups where there is none, and locks it against [`sweep_others`].
fn claim(parent: &Path) -> Result<File, CgroupError> {
    let failed = |source| CgroupError::Io { action: "lock the control group", path: parent.into(), source };
    loop {
        make(parent)?;
        let folder = match File::open(parent) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            folder => folder.map_err(failed)?,
        };
        folder.lock_shared().map_err(failed)?;
        // Whoever swept it a moment ago had not seen the lock; what is locked then is gone.
        let locked = folder.metadata().map_err(failed)?.ino();
        if fs::metadata(parent).is_ok_and(|there| there.ino() == locked) {
            return Ok(folder);
        }
    }
}

/// Takes away what supervisors left that were killed and have no successor: nobody has it locked. The kernel keeps
/// what has a process in it.
fn sweep_others(base: &Path, own: &Path) {
    let folders = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    for other in folders(base).filter(|path| path != own && hierarchy::is_of_a_supervisor(path)) {
        let Ok(lock) = File::open(&other) else { continue };
        if lock.try_lock().is_ok() {
            folders(&other).for_each(|group| drop(fs::remove_dir(group)));
            drop(fs::remove_dir(other));
        }
    }
}

fn make(path: &Path) -> Result<(), CgroupError> {
    match fs::create_dir(path) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            Err(CgroupError::Io { action: "make the control group", path: path.into(), source })
        }
        _ => Ok(()),
    }
}

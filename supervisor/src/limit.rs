//! How a worker is held to its memory: by the kernel where there is a control group to ask, else by looking.

use std::{fmt, time::Duration};

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::{
    attribution::KernelKill,
    cgroup::{Cgroup, Version},
    memory,
};

/// How often the watcher looks. It costs one read of a file of the kernel's; between two looks a worker may grow by
/// what it can write in that time.
const LOOK: Duration = Duration::from_millis(100);

/// Who ends a process that holds more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforcer {
    /// The kernel, through a control group of the unified hierarchy.
    CgroupV2,
    /// The kernel, through a control group of the memory controller's own hierarchy.
    CgroupV1,
    /// The supervisor, which looks at what the process holds.
    Watcher,
}

/// What holds one process to its memory.
#[derive(Debug, Default)]
pub struct Guard {
    cgroup: Option<Cgroup>,
    limit_bytes: Option<u64>,
    watcher: Option<Watcher>,
}

/// Looks at what a process holds.
#[derive(Debug)]
struct Watcher {
    pid: u32,
    limit_bytes: u64,
    looks: Interval,
}

impl fmt::Display for Enforcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CgroupV2 => "cgroup v2",
            Self::CgroupV1 => "cgroup v1",
            Self::Watcher => "watcher",
        })
    }
}

impl Guard {
    /// Of a process that is in `cgroup`, held to what is set there.
    pub fn within(cgroup: Cgroup) -> Self {
        let limit_bytes = cgroup.limit_bytes();
        Self { cgroup: Some(cgroup), limit_bytes, watcher: None }
    }

    /// Holds the process `pid` to `limit_bytes` from now on, by the best means there is.
    pub fn hold(&mut self, pid: u32, limit_bytes: u64) -> Enforcer {
        self.limit_bytes = Some(limit_bytes);
        self.watcher = None;
        if let Some(cgroup) = &self.cgroup {
            match cgroup.set_limit(limit_bytes) {
                Ok(()) => return cgroup.version().into(),
                Err(error) => tracing::warn!(%error, "the supervisor watches the worker's memory itself"),
            }
        }
        let mut looks = interval_at(Instant::now(), LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.watcher = Some(Watcher { pid, limit_bytes, looks });
        Enforcer::Watcher
    }

    /// Waits until the watcher sees the process hold as much as it may, and says how much that is, in bytes. Never
    /// returns where nobody watches. May be dropped and called again.
    pub async fn exceeded(&mut self) -> u64 {
        match &mut self.watcher {
            Some(watcher) => watcher.exceeded().await,
            None => std::future::pending().await,
        }
    }

    /// Bytes at which the process is ended.
    pub fn limit_bytes(&self) -> Option<u64> {
        self.limit_bytes
    }

    /// Whether the kernel counts for this process alone, so that the counters of the machine say nothing of it.
    pub fn has_cgroup(&self) -> bool {
        self.cgroup.is_some()
    }

    /// What the kernel says of a kill for lack of memory.
    pub fn kernel_kill(&self) -> Option<KernelKill> {
        self.cgroup.as_ref()?.kernel_kill()
    }
}

impl Watcher {
    async fn exceeded(&mut self) -> u64 {
        loop {
            self.looks.tick().await;
            if let Some(held) = memory::held_bytes(self.pid).filter(|held| *held >= self.limit_bytes) {
                return held;
            }
        }
    }
}

impl From<Version> for Enforcer {
    fn from(version: Version) -> Self {
        match version {
            Version::V1 => Self::CgroupV1,
            Version::V2 => Self::CgroupV2,
        }
    }
}

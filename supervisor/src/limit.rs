//! How a worker is held to its memory: by the kernel where there is a control group to ask, else by looking.

use std::fmt;

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

impl fmt::Display for Enforcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CgroupV2 => "cgroup v2",
            Self::CgroupV1 => "cgroup v1",
            Self::Watcher => "watcher",
        })
    }
}

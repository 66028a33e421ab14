//! Where this process stands in the hierarchies of control groups, and whether groups can be made there.

use std::{
    fmt, fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
};

use super::{CgroupError, make};

/// The group that a supervisor moves itself to, since the unified hierarchy has processes only in groups without
/// groups. systemd's `DelegateSubgroup=supervisor` does the same.
const LEAF: &str = "supervisor";

/// The file that a process' id is written to, to move it.
pub(super) const PROCS: &str = "cgroup.procs";

const CONTROLLERS: &str = "cgroup.controllers";
const SUBTREE: &str = "cgroup.subtree_control";

/// One of the kernel's two interfaces to control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// A hierarchy for each controller.
    V1,
    /// The unified hierarchy.
    V2,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        })
    }
}

/// The group that counts the memory of a process with these `memberships` (`/proc/<pid>/cgroup`) where `mounts`
/// (`/proc/self/mountinfo`) are seen.
pub(super) fn of_memory(memberships: &str, mounts: &str) -> Result<(Version, PathBuf), CgroupError> {
    let unified = group_of(Version::V2, memberships, mounts);
    if let Some(path) = unified.as_ref().filter(|path| lists_memory(&path.join(CONTROLLERS))) {
        return Ok((Version::V2, path.clone()));
    }
    if let Some(path) = group_of(Version::V1, memberships, mounts) {
        return Ok((Version::V1, path));
    }
    Err(unified.map_or(CgroupError::Missing, CgroupError::NotDelegated))
}

/// The folder of the group that a process is in, by memory's own hierarchy or by the unified one.
pub(super) fn group_of(version: Version, memberships: &str, mounts: &str) -> Option<PathBuf> {
    let path = memberships.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let is_it = match version {
            Version::V1 => controllers.split(',').any(|controller| controller == "memory"),
            Version::V2 => controllers.is_empty(),
        };
        is_it.then_some(path)
    })?;
    mounts.lines().find_map(|line| {
        // `<id> <parent> <device> <root> <mount point> <options> ... - <type> <source> <options of the type>`
        let (mount, of_type) = line.split_once(" - ")?;
        let mut of_type = of_type.split(' ');
        let (kind, options) = (of_type.next()?, of_type.nth(1)?);
        let is_it = match version {
            Version::V1 => kind == "cgroup" && options.split(',').any(|option| option == "memory"),
            Version::V2 => kind == "cgroup2",
        };
        let mut fields = mount.split(' ').skip(3).map(unescaped);
        let (root, point) = (fields.next()?, fields.next()?);
        // In a container without a namespace of groups only the part below `root` is to be seen.
        let below = Path::new(path).strip_prefix(root).ok()?;
        is_it.then(|| Path::new(&point).join(below))
    })
}

/// Makes it possible to limit memory in groups below `own`, or beside it where it is a supervisor's leaf already,
/// and returns the group below which they are to be made.
pub(super) fn delegate(own: &Path) -> Result<PathBuf, CgroupError> {
    let is_leaf = own.file_name().is_some_and(|name| name == LEAF);
    let base = own.parent().filter(|_| is_leaf).unwrap_or(own);
    if !lists_memory(&base.join(CONTROLLERS)) {
        return Err(CgroupError::NotDelegated(base.into()));
    }
    if lists_memory(&base.join(SUBTREE)) {
        return Ok(base.into());
    }
    if is_leaf {
        return enable_memory(base).map(|()| base.into());
    }
    let leaf = base.join(LEAF);
    make(&leaf)?;
    enter(&leaf)?;
    match enable_memory(base) {
        Ok(()) => Ok(base.into()),
        Err(error) => {
            let back = enter(base).and_then(|()| {
                fs::remove_dir(&leaf).map_err(|source| CgroupError::Io {
                    action: "remove",
                    path: leaf,
                    source,
                })
            });
            if let Err(error) = back {
                tracing::warn!(%error, "the supervisor stays in a control group of its own");
            }
            Err(match error {
                CgroupError::Io { source, .. } if source.kind() == io::ErrorKind::ResourceBusy => {
                    CgroupError::Shared { path: base.into(), source }
                }
                error => error,
            })
        }
    }
}

/// Lets groups below `group` have limits of memory.
pub(super) fn enable_memory(group: &Path) -> Result<(), CgroupError> {
    write(&group.join(SUBTREE), "+memory")
}

/// The name of the group of all workers of the supervisor whose sockets are in `runtime_dir`, the same in each run.
pub(super) fn name_for(runtime_dir: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    runtime_dir.hash(&mut hasher);
    format!("impetus-{:016x}", hasher.finish())
}

/// Whether the group is called as those that [`name_for`] names.
pub(super) fn is_of_a_supervisor(group: &Path) -> bool {
    let name =
        group.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("impetus-"));
    name.is_some_and(|hash| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn enter(group: &Path) -> Result<(), CgroupError> {
    write(&group.join(PROCS), &std::process::id().to_string())
}

fn write(path: &Path, text: &str) -> Result<(), CgroupError> {
    fs::write(path, text).map_err(|source| CgroupError::Io { action: "write to", path: path.into(), source })
}

/// Whether the list of controllers at `path` holds that of memory.
fn lists_memory(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|list| list.split_whitespace().any(|name| name == "memory"))
}

/// A field of `mountinfo`, in which blanks and backslashes are written in octal.
fn unescaped(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (escape, character)| text.replace(escape, character))
}

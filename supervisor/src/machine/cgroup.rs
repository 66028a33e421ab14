//! The control groups that this process is in, and what the memory limits of theirs leave (cgroups(7)).

use std::{fs, path::Path};

use super::Room;
use crate::cgroup::{self, CgroupError, Version};

/// The files of a version.
struct Files {
    limit: &'static str,
    usage: &'static str,
    /// Keys of `memory.stat` with cached files, which the kernel gives up before it ends anybody.
    cached: [&'static str; 2],
}

/// The tightest of the limits around this process, and the least that any of them leaves; none without a limit.
pub(super) fn room() -> Option<Room> {
    let (version, group) = match cgroup::own() {
        Ok(own) => own,
        // It has no limits itself, but the groups around it may.
        Err(CgroupError::NotDelegated(group)) => (Version::V2, group),
        Err(_) => return None,
    };
    room_within(&group, version)
}

/// What `group` and all groups around it leave. A group that cannot be seen, as from within a container, is passed
/// over: what is mounted at the top is then the container's own.
fn room_within(group: &Path, version: Version) -> Option<Room> {
    group.ancestors().filter_map(|group| room_of(group, version)).reduce(Room::within)
}

fn room_of(folder: &Path, version: Version) -> Option<Room> {
    let files = files(version);
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    // Version 2 has the word `max` where there is no limit; version 1 a number beyond all memory.
    let limit: u64 = read(files.limit)?.trim().parse().ok()?;
    let usage: u64 = read(files.usage)?.trim().parse().ok()?;
    let stat = read("memory.stat").unwrap_or_default();
    let cached = files.cached.iter().filter_map(|key| value(&stat, key)).fold(0, u64::saturating_add);
    Some(Room { total: limit, available: limit.saturating_sub(usage.saturating_sub(cached)) })
}

fn files(version: Version) -> Files {
    match version {
        // The sums over a group and those below it begin with `total_`.
        Version::V1 => Files {
            limit: "memory.limit_in_bytes",
            usage: "memory.usage_in_bytes",
            cached: ["total_inactive_file", "total_active_file"],
        },
        Version::V2 => {
            Files { limit: "memory.max", usage: "memory.current", cached: ["inactive_file", "active_file"] }
        }
    }
}

fn value(stat: &str, key: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_of_all_groups_counts() {
        let folder = tempfile::tempdir().unwrap();
        let group = |path: &str, limit: &str, usage: u64, stat: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("memory.max"), limit).unwrap();
            fs::write(path.join("memory.current"), usage.to_string()).unwrap();
            fs::write(path.join("memory.stat"), stat).unwrap();
        };
        let room = |group: &str| {
            room_within(&folder.path().join(group), Version::V2).map(|room| (room.total, room.available))
        };
        assert_eq!(room("a/b"), None, "nothing is mounted");
        group("a/b", "max\n", 500, "inactive_file 1\n");
        assert_eq!(room("a/b"), None, "nothing is limited");
        group("a", "1000\n", 700, "anon 300\ninactive_file 150\nactive_file 50\nactive_file_more 9\n");
        assert_eq!(room("a/b"), Some((1000, 500)));
        group("a/b", "900\n", 100, "");
        assert_eq!(room("a/b"), Some((900, 500)));
        assert_eq!(room(""), None);
        group(".", "800\n", 900, "");
        assert_eq!(room("a/unseen"), Some((800, 0)));
        group("a", "many\n", 1, "");
        assert_eq!(room("a"), Some((800, 0)));
    }

    #[test]
    fn version_1_counts_the_groups_below() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("memory.limit_in_bytes", "1000\n");
        write("memory.usage_in_bytes", "600\n");
        write("memory.stat", "inactive_file 1\ntotal_inactive_file 100\ntotal_active_file 100\n");
        let room = room_within(&folder.path().join("docker/abc"), Version::V1).unwrap();
        assert_eq!((room.total, room.available), (1000, 600));
    }
}

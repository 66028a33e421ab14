//! The control groups that this process is in, and what the memory limits of theirs leave (cgroups(7)).

use std::{fs, path::Path};

use super::Room;

/// Where systems mount control groups.
const MOUNT: &str = "/sys/fs/cgroup";

/// A version of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The files of a version.
struct Files {
    limit: &'static str,
    usage: &'static str,
    /// Keys of `memory.stat` with cached files, which the kernel gives up before it ends anybody.
    cached: [&'static str; 2],
}

impl Version {
    fn files(self) -> Files {
        match self {
            // The sums over a group and those below it begin with `total_`.
            Self::One => Files {
                limit: "memory.limit_in_bytes",
                usage: "memory.usage_in_bytes",
                cached: ["total_inactive_file", "total_active_file"],
            },
            Self::Two => Files {
                limit: "memory.max",
                usage: "memory.current",
                cached: ["inactive_file", "active_file"],
            },
        }
    }
}

/// The tightest of the limits around this process, and the least that any of them leaves; none without a limit.
pub(super) fn room() -> Option<Room> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let (version, group) = memory_group(&groups)?;
    let mount = match version {
        Version::One => Path::new(MOUNT).join("memory"),
        Version::Two => Path::new(MOUNT).to_owned(),
    };
    room_within(&mount, group, version)
}

/// The group that limits the memory of a process, of the lines of its `/proc/<pid>/cgroup`.
fn memory_group(lines: &str) -> Option<(Version, &str)> {
    let fields = lines.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        Some((fields.next()?, fields.next()?, fields.next()?))
    });
    // Where both versions are mounted, version 1 has the memory controller if it is listed there.
    let mut unified = None;
    for (hierarchy, controllers, group) in fields {
        if controllers.split(',').any(|name| name == "memory") {
            return Some((Version::One, group));
        }
        if hierarchy == "0" && controllers.is_empty() {
            unified = Some((Version::Two, group));
        }
    }
    unified
}

/// What `group` and all groups around it leave. A group that cannot be seen, as from within a container, is passed
/// over: what is mounted at the top is then the container's own.
fn room_within(mount: &Path, group: &str, version: Version) -> Option<Room> {
    let group = Path::new(group.trim_start_matches('/'));
    group.ancestors().filter_map(|group| room_of(&mount.join(group), version)).reduce(Room::within)
}

fn room_of(folder: &Path, version: Version) -> Option<Room> {
    let files = version.files();
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    // Version 2 has the word `max` where there is no limit; version 1 a number beyond all memory.
    let limit: u64 = read(files.limit)?.trim().parse().ok()?;
    let usage: u64 = read(files.usage)?.trim().parse().ok()?;
    let stat = read("memory.stat").unwrap_or_default();
    let cached = files.cached.iter().filter_map(|key| value(&stat, key)).fold(0, u64::saturating_add);
    Some(Room { total: limit, available: limit.saturating_sub(usage.saturating_sub(cached)) })
}

fn value(stat: &str, key: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_with_the_memory_controller_is_found() {
        let check = |lines: &str, expected| assert_eq!(memory_group(lines), expected, "{lines}");
        check("0::/user.slice/a.scope\n", Some((Version::Two, "/user.slice/a.scope")));
        check("5:cpu,cpuacct:/x\n4:memory:/docker/ab:c\n0::/y\n", Some((Version::One, "/docker/ab:c")));
        check("5:cpu,cpuacct:/x\n0::/y\n", Some((Version::Two, "/y")));
        check("5:cpu:/x\n1:name=systemd:/z\n", None);
        check("nonsense\n", None);
    }

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
            room_within(folder.path(), group, Version::Two).map(|room| (room.total, room.available))
        };
        assert_eq!(room("/a/b"), None, "nothing is mounted");
        group("a/b", "max\n", 500, "inactive_file 1\n");
        assert_eq!(room("/a/b"), None, "nothing is limited");
        group("a", "1000\n", 700, "anon 300\ninactive_file 150\nactive_file 50\nactive_file_more 9\n");
        assert_eq!(room("/a/b"), Some((1000, 500)));
        group("a/b", "900\n", 100, "");
        assert_eq!(room("/a/b"), Some((900, 500)));
        assert_eq!(room("/"), None);
        group(".", "800\n", 900, "");
        assert_eq!(room("/a/unseen"), Some((800, 0)));
        group("a", "many\n", 1, "");
        assert_eq!(room("/a"), Some((800, 0)));
    }

    #[test]
    fn version_1_counts_the_groups_below() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("memory.limit_in_bytes", "1000\n");
        write("memory.usage_in_bytes", "600\n");
        write("memory.stat", "inactive_file 1\ntotal_inactive_file 100\ntotal_active_file 100\n");
        let room = room_within(folder.path(), "/docker/abc", Version::One).unwrap();
        assert_eq!((room.total, room.available), (1000, 600));
    }
}

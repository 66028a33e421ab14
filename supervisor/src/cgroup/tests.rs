//! Parsing is tested with what kernels say; groups with folders of plain files, since who runs the tests may have no
//! right to make groups. Real ones are in `tests/memory.rs`.

use super::*;
use crate::attribution::KernelKill;

const V1: &str = "4:memory:/docker/ab:c\n5:cpu,cpuacct:/x\n1:name=systemd:/y\n0::/y\n";
const V1_MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
34 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
const V2: &str = "0::/user.slice/a.scope\n";
const V2_MOUNTS: &str = "29 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";

#[test]
fn the_group_of_a_process_is_found() {
    let check = |version, memberships: &str, mounts: &str, expected: Option<&str>| {
        let got = hierarchy::group_of(version, memberships, mounts);
        assert_eq!(got.as_deref(), expected.map(Path::new), "{version} {memberships} {mounts}");
    };
    check(Version::V1, V1, V1_MOUNTS, Some("/sys/fs/cgroup/memory/docker/ab:c"));
    check(Version::V2, V1, V1_MOUNTS, Some("/sys/fs/cgroup/unified/y"));
    check(Version::V2, V2, V2_MOUNTS, Some("/sys/fs/cgroup/user.slice/a.scope"));
    check(Version::V1, V2, V2_MOUNTS, None);
    check(Version::V2, V2, "", None);
    check(Version::V2, "nonsense\n", V2_MOUNTS, None);
    check(Version::V2, V2, "nonsense\n - \n1 2 3 - cgroup2 a b\n", None);
    // A part of the hierarchy, seen from within a container, and a folder with a blank.
    let part = "29 22 0:26 /docker/ab:c /mnt/a\\040b rw - cgroup cgroup rw,memory\n";
    check(Version::V1, V1, part, Some("/mnt/a b"));
    check(Version::V1, "4:memory:/other\n", part, None);
    check(Version::V1, "4:memory:/docker/ab:c/inner\n", part, Some("/mnt/a b/inner"));
}

#[test]
fn the_unified_hierarchy_counts_where_it_has_the_memory_controller() {
    let dir = tempfile::tempdir().unwrap();
    let of_memory = |memberships: &str| {
        let point = dir.path().display();
        let mounts = format!(
            "1 2 0:3 / {point}/two rw - cgroup2 c rw\n1 2 0:4 / {point}/one rw - cgroup c rw,memory\n"
        );
        hierarchy::of_memory(memberships, &mounts)
    };
    let path = |name: &str| dir.path().join(name);
    fs::create_dir_all(path("two/a")).unwrap();
    fs::write(path("two/a/cgroup.controllers"), "cpu memory pids\n").unwrap();
    assert_eq!(of_memory("0::/a\n7:memory:/b\n").unwrap(), (Version::V2, path("two/a")));
    fs::write(path("two/a/cgroup.controllers"), "cpu memoryless\n").unwrap();
    assert_eq!(of_memory("0::/a\n7:memory:/b\n").unwrap(), (Version::V1, path("one/b")));
    assert!(matches!(of_memory("0::/a\n"), Err(CgroupError::NotDelegated(group)) if group == path("two/a")));
    assert!(matches!(of_memory("3:cpu:/a\n"), Err(CgroupError::Missing)));
}

/// Folders as the unified hierarchy has them: `(path, controllers, subtree_control)`.
fn unified(groups: &[(&str, &str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, controllers, subtree) in groups {
        let path = dir.path().join(path);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("cgroup.controllers"), controllers).unwrap();
        fs::write(path.join("cgroup.subtree_control"), subtree).unwrap();
    }
    dir
}

#[test]
fn a_delegated_group_is_made_ready() {
    let read = |path: PathBuf| fs::read_to_string(path).unwrap();
    // A unit's group, in which the supervisor is alone.
    let dir = unified(&[("unit", "cpu memory", "")]);
    let unit = dir.path().join("unit");
    assert_eq!(hierarchy::delegate(&unit).unwrap(), unit);
    assert_eq!(read(unit.join("supervisor/cgroup.procs")), std::process::id().to_string());
    assert_eq!(read(unit.join("cgroup.subtree_control")), "+memory");
    // Ready already: the root of the hierarchy, or a leaf made by systemd or by the run before.
    let dir = unified(&[("unit", "memory", "memory"), ("unit/supervisor", "memory", "")]);
    let unit = dir.path().join("unit");
    assert_eq!(hierarchy::delegate(&unit).unwrap(), unit);
    assert_eq!(hierarchy::delegate(&unit.join("supervisor")).unwrap(), unit);
    assert!(!unit.join("supervisor/cgroup.procs").exists());
    // A leaf whose parent is not ready.
    let dir = unified(&[("unit", "memory", ""), ("unit/supervisor", "memory", "")]);
    let unit = dir.path().join("unit");
    assert_eq!(hierarchy::delegate(&unit.join("supervisor")).unwrap(), unit);
    assert_eq!(read(unit.join("cgroup.subtree_control")), "+memory");
    let dir = unified(&[("unit", "cpu pids", "")]);
    assert!(matches!(hierarchy::delegate(&dir.path().join("unit")), Err(CgroupError::NotDelegated(_))));
}

/// 512 MiB.
const BYTES: &str = "536870912";

fn value(group: &Cgroup, file: &str) -> Option<String> {
    let procs = group.files().remove(0);
    fs::read_to_string(Path::new(&procs).with_file_name(file)).ok()
}

#[test]
fn limits_are_written_where_the_kernel_has_them() {
    let check = |version, files: &[(&str, &str)], expected: &[(&str, Option<&str>)]| {
        let dir = tempfile::tempdir().unwrap();
        let groups = Cgroups::below(dir.path(), version, "impetus-0").unwrap();
        let group = groups.create("gguf-1").unwrap();
        let path = dir.path().join("impetus-0/gguf-1");
        for (name, text) in files {
            fs::write(path.join(name), text).unwrap();
        }
        group.set_limit(512 << 20).unwrap();
        let got: Vec<_> = expected.iter().map(|(name, _)| value(&group, name)).collect();
        assert_eq!(got, expected.iter().map(|(_, text)| text.map(str::to_owned)).collect::<Vec<_>>());
        assert_eq!(group.limit_bytes(), Some(512 << 20));
    };
    check(
        Version::V2,
        &[("memory.max", "max"), ("memory.swap.max", "max"), ("memory.oom.group", "0")],
        &[("memory.max", Some(BYTES)), ("memory.swap.max", Some("0")), ("memory.oom.group", Some("1"))],
    );
    // A kernel that counts no swap.
    check(Version::V2, &[("memory.max", "")], &[("memory.max", Some(BYTES)), ("memory.swap.max", None)]);
    check(
        Version::V1,
        &[("memory.limit_in_bytes", ""), ("memory.memsw.limit_in_bytes", "")],
        &[("memory.limit_in_bytes", Some(BYTES)), ("memory.memsw.limit_in_bytes", Some(BYTES))],
    );
    check(Version::V1, &[("memory.limit_in_bytes", "")], &[("memory.memsw.limit_in_bytes", None)]);
}

#[test]
fn a_group_without_its_limit_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let group = Cgroups::below(dir.path(), Version::V1, "impetus-0").unwrap().create("gguf-1").unwrap();
    let error = group.set_limit(1).unwrap_err();
    assert!(error.to_string().contains("impetus-0/gguf-1/memory.limit_in_bytes"), "{error}");
}

#[test]
fn kills_are_those_of_this_worker() {
    let check = |version, events: &str, peak: &str| {
        let dir = tempfile::tempdir().unwrap();
        let groups = Cgroups::below(dir.path(), version, "impetus-0").unwrap();
        let group = groups.create("gguf-1").unwrap();
        assert_eq!(group.kernel_kill(), None);
        let path = dir.path().join("impetus-0/gguf-1");
        fs::write(path.join(events), "low 0\noom_kill_disable 0\noom_kill 0\n").unwrap();
        assert_eq!(group.kernel_kill(), None);
        fs::write(path.join(events), "oom 9\noom_kill 2\noom_group_kill 1\n").unwrap();
        assert_eq!(group.kernel_kill(), Some(KernelKill { peak_bytes: None }));
        fs::write(path.join(peak), "4096\n").unwrap();
        assert_eq!(group.kernel_kill(), Some(KernelKill { peak_bytes: Some(4096) }));
        // Another handle, made after them.
        let later = Cgroup::new(path, Arc::clone(&groups.shared));
        assert_eq!(later.kernel_kill(), None);
    };
    check(Version::V2, "memory.events", "memory.peak");
    check(Version::V1, "memory.oom_control", "memory.max_usage_in_bytes");
}

#[test]
fn groups_go_with_their_handles_and_with_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let parent = dir.path().join("impetus-0");
    fs::create_dir_all(parent.join("gguf-9")).unwrap();
    let groups = Cgroups::below(dir.path(), Version::V1, "impetus-0").unwrap();
    assert!(!parent.join("gguf-9").exists(), "left by a former run");
    let (first, second) = (groups.create("gguf-1").unwrap(), groups.create("gguf-2").unwrap());
    assert!(matches!(groups.create("gguf-1"), Err(CgroupError::Io { .. })), "a name is given once");
    drop(first);
    assert!(!parent.join("gguf-1").exists() && parent.join("gguf-2").exists());
    // As if a process were in it for a while longer.
    fs::write(parent.join("gguf-2/busy"), "").unwrap();
    drop(second);
    assert!(parent.join("gguf-2").exists());
    fs::remove_file(parent.join("gguf-2/busy")).unwrap();
    let third = groups.create("gguf-3").unwrap();
    assert!(!parent.join("gguf-2").exists(), "taken away with the next occasion");
    drop((third, groups));
    assert!(!parent.exists());
}

#[test]
fn what_others_left_goes_and_what_they_use_stays() {
    let dir = tempfile::tempdir().unwrap();
    let [left, used, alive, foreign] =
        ["impetus-00000000000000aa", "impetus-00000000000000bb", "impetus-00000000000000cc", "impetus-mine"];
    for parent in [left, used, foreign] {
        fs::create_dir_all(dir.path().join(parent).join("gguf-1")).unwrap();
    }
    // As if a process were in it.
    fs::write(dir.path().join(used).join("gguf-1/busy"), "").unwrap();
    // A group whose process has not come yet.
    let other = Cgroups::below(dir.path(), Version::V1, alive).unwrap();
    let awaited = other.create("gguf-1").unwrap();
    let own = Cgroups::below(dir.path(), Version::V1, "impetus-0").unwrap();
    let stays = |parent: &str| dir.path().join(parent).join("gguf-1").exists();
    assert_eq!([left, used, alive, foreign].map(stays), [false, true, true, true]);
    drop((awaited, other));
    assert!(own.create("gguf-1").is_ok());
}

#[test]
fn the_name_is_that_of_the_run_before() {
    let name = |path: &str| hierarchy::name_for(Path::new(path));
    assert_eq!(name("/run/a"), name("/run/a"));
    assert_ne!(name("/run/a"), name("/run/b"));
}

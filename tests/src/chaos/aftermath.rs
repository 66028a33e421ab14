//! What must not be left of a server that has been through something, nor be said in its logs.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{report::Report, site::Site, wait::eventually};
use crate::process::{processes_in, zombies_of};

/// Where control groups are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Stops the server and complains about what is left of it. `expected` are words of error lines that belong to the
/// scenario.
pub(super) async fn look(mut site: Site, report: &mut Report, expected: &[&str]) -> anyhow::Result<()> {
    let supervisor = site.pid();
    let reaped = eventually("no child of the supervisor is a zombie", || async {
        zombies_of(supervisor).is_empty().then_some(())
    });
    report.check(reaped.await.is_ok(), || format!("zombies: {:?}", zombies_of(supervisor)));
    let groups = groups(&site);
    site.stop().await?;
    let dir = site.path("");
    let left = processes_in(&dir);
    report.check(left.is_empty(), || format!("left processes: {left:?}"));
    let groups: Vec<_> = groups.into_iter().filter(|group| group.exists()).collect();
    report.check(groups.is_empty(), || format!("left control groups: {groups:?}"));
    for line in complaints(&site, expected) {
        report.check(false, || format!("a log says {line}"));
    }
    Ok(())
}

/// The event log of the supervisor: each line that is JSON.
pub(super) fn events(site: &Site) -> Vec<Value> {
    let lines = logs(site).into_iter().filter(|(name, _)| name.starts_with("supervisor"));
    let lines: Vec<String> = lines.map(|(_, text)| text).collect();
    lines.iter().flat_map(|text| text.lines()).filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Lines of errors and panics.
fn complaints(site: &Site, expected: &[&str]) -> Vec<String> {
    let is_bad = |line: &str| line.contains("\"level\":\"ERROR\"") || line.contains(" panicked at ");
    let is_expected = |line: &str| expected.iter().any(|words| line.contains(words));
    let found = logs(site).into_iter().flat_map(|(name, text)| {
        let bad = text.lines().filter(|line| is_bad(line) && !is_expected(line));
        bad.map(|line| format!("{name}: {line}")).collect::<Vec<_>>()
    });
    found.collect()
}

/// Names and contents of all log files.
fn logs(site: &Site) -> Vec<(String, String)> {
    let Ok(folder) = fs::read_dir(site.path("state/logs")) else { return Vec::new() };
    let files = folder.flatten().map(|entry| {
        let text = fs::read(entry.path()).unwrap_or_default();
        (entry.file_name().to_string_lossy().into_owned(), String::from_utf8_lossy(&text).into_owned())
    });
    files.collect()
}

/// The control groups that this server has made for its workers.
fn groups(site: &Site) -> BTreeSet<PathBuf> {
    let own = |pid: u32| -> Option<PathBuf> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        text.lines().find_map(group)
    };
    site.processes().into_iter().filter_map(|(pid, _)| own(pid)).collect()
}

/// The folder of the group that a line of `/proc/<pid>/cgroup` names, cut where a supervisor's own begins.
fn group(line: &str) -> Option<PathBuf> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?);
    let base = match controllers {
        "" => PathBuf::from(CGROUPS),
        _ if controllers.split(',').any(|name| name == "memory") => Path::new(CGROUPS).join("memory"),
        _ => return None,
    };
    let at = path.find("/impetus-")?;
    let end = path[at + 1..].find('/').map_or(path.len(), |length| at + 1 + length);
    Some(base.join(path[1..end].trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_own_group_is_found_in_both_hierarchies() {
        let check = |line: &str, expected: Option<&str>| {
            assert_eq!(group(line), expected.map(PathBuf::from), "{line:?}");
        };
        check("9:memory:/user/impetus-00ff/gguf-1", Some("/sys/fs/cgroup/memory/user/impetus-00ff"));
        check("4:cpu,memory:/impetus-00ff", Some("/sys/fs/cgroup/memory/impetus-00ff"));
        check("0::/system.slice/impetus-00ff/onnx-2", Some("/sys/fs/cgroup/system.slice/impetus-00ff"));
        check("3:cpu:/impetus-00ff/gguf-1", None);
        check("0::/user.slice", None);
    }
}

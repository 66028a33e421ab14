//! What must not be left of a server that has been through something, nor be said in its logs.

use std::fs;

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
    site.stop().await?;
    let dir = site.path("");
    let left = processes_in(&dir);
    report.check(left.is_empty(), || format!("left processes: {left:?}"));
    let groups = groups_of(supervisor);
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

/// Control groups that are named after the supervisor `pid`.
fn groups_of(pid: u32) -> Vec<String> {
    let name = pid.to_string();
    let mut found = Vec::new();
    let mut folders = vec![(std::path::PathBuf::from(CGROUPS), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let own = entry.file_name().to_string_lossy().into_owned();
            if own.starts_with("impetus") && own.split(['-', '.', '_']).any(|part| part == name) {
                found.push(entry.path().display().to_string());
            }
            if depth < 4 {
                folders.push((entry.path(), depth + 1));
            }
        }
    }
    found
}

//! Who starts the server, and starts it again.

use std::{fs, path::Path};

use super::{Finding, Patient};

const NAME: &str = "service manager";

/// systemd's own sign that it runs (sd_booted(3)).
const SYSTEMD: &str = "/run/systemd/system";

pub(super) fn finding(patient: &Patient) -> Finding {
    let has_systemd = Path::new(SYSTEMD).is_dir();
    let groups = patient.status.as_ref().map(|status| {
        fs::read_to_string(format!("/proc/{}/cgroup", status.supervisor_pid)).unwrap_or_default()
    });
    judged(has_systemd, groups.as_deref())
}

/// By the control groups of the supervisor, if that runs.
fn judged(has_systemd: bool, groups: Option<&str>) -> Finding {
    match (has_systemd, groups.map(unit)) {
        (_, Some(Some(unit))) => Finding::ok(NAME, format!("the server is systemd's {unit}")),
        (true, Some(None)) => Finding::ok(NAME, "systemd; the server was started by hand"),
        (true, None) => Finding::ok(NAME, "systemd"),
        (false, _) if cfg!(target_os = "macos") => Finding::ok(NAME, "launchd"),
        (false, _) => Finding::none(NAME, "none that is known; the server runs as long as nobody ends it"),
    }
}

/// The unit that a process with these control groups (cgroups(7)) belongs to; a login's is none.
fn unit(groups: &str) -> Option<&str> {
    let is_unit = |name: &&str| name.ends_with(".service") && !name.starts_with("user@");
    groups
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .find_map(|path| path.split('/').rev().find(is_unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_told_by_the_control_group() {
        let check = |groups: &str, expected: Option<&str>| assert_eq!(unit(groups), expected, "{groups}");
        check(
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/impetus.service/supervisor\n",
            Some("impetus.service"),
        );
        check("0::/system.slice/impetus.service\n", Some("impetus.service"));
        check("0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope\n", None);
        check("12:memory:/a\n0::/\n", None);
        check("", None);
    }

    #[test]
    fn with_and_without() {
        let check = |has_systemd, groups, seen: &str| {
            let text = super::super::text(&[judged(has_systemd, groups)]);
            assert!(text.contains(seen), "{text}");
        };
        check(true, Some("0::/system.slice/impetus.service"), "systemd's impetus.service");
        check(true, Some("0::/"), "by hand");
        check(true, None, "systemd");
        if cfg!(target_os = "linux") {
            check(false, None, "none that is known");
        }
    }
}

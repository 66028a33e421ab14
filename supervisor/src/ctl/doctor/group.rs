//! Control groups, by which the kernel holds workers to their memory.

use nix::unistd::{AccessFlags, access};

use super::{Finding, Patient};
use crate::cgroup::{self, CgroupError, Version};

const NAME: &str = "control groups";

pub(super) fn finding(patient: &Patient) -> Finding {
    if !patient.config.budget.cgroups {
        return Finding::none(NAME, "budget.cgroups is off; the supervisor watches what workers hold");
    }
    if !cfg!(target_os = "linux") {
        return Finding::none(NAME, "Linux alone has them; the supervisor watches what workers hold");
    }
    let workers = patient.status.as_ref().map(|status| status.workers.as_slice()).unwrap_or_default();
    match workers.iter().map(|worker| worker.limited_by.as_str()).find(|by| !by.is_empty()) {
        Some(by) => in_use(by),
        None => to_be_had(cgroup::own().map(|(version, path)| {
            let is_ours = access(&path, AccessFlags::W_OK).is_ok();
            (version, path.display().to_string(), is_ours)
        })),
    }
}

/// What the workers that run are held by.
fn in_use(by: &str) -> Finding {
    match by {
        "watcher" => Finding::warning(
            NAME,
            "the supervisor watches what workers hold, ten times a second",
            "have the server run in a group of its own that is delegated to it, as Delegate=yes of a systemd unit does",
        ),
        by => Finding::ok(NAME, format!("{by} holds workers to their memory")),
    }
}

/// What there is for a process that is started as this one was.
fn to_be_had(own: Result<(Version, String, bool), CgroupError>) -> Finding {
    let advice =
        "start the server in a systemd unit with Delegate=yes; without groups it watches workers itself";
    match own {
        Ok((version, path, true)) => Finding::ok(NAME, format!("{version}, {path} is this user's")),
        Ok((version, path, false)) => {
            Finding::warning(NAME, format!("{version}, but {path} is not this user's"), advice)
        }
        Err(error) => Finding::warning(NAME, error, advice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_workers_is_told() {
        let check = |finding: &Finding, verdict: &str, seen: &str| {
            let text = super::super::text(std::slice::from_ref(finding));
            let told = text.lines().nth(1).unwrap_or_default();
            assert!(told.starts_with(verdict) && told.contains(seen), "{told}");
        };
        check(&in_use("cgroup v2"), "ok", "cgroup v2 holds");
        check(&in_use("watcher"), "warning", "Delegate=yes");
        check(&to_be_had(Ok((Version::V2, "/g".into(), true))), "ok", "v2, /g is");
        check(&to_be_had(Ok((Version::V1, "/g".into(), false))), "warning", "/g is not");
        check(&to_be_had(Err(CgroupError::Missing)), "warning", "no hierarchy");
    }
}

//! What the system allows one process, and one user, to have.

use impetus_config::Config;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use super::{super::table::amount, Finding};

/// Descriptors that a process has besides its connections, about.
const DESCRIPTORS: u64 = 256;

/// Processes and threads of a server with a few models, about.
const THREADS: u64 = 512;

pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let connections = u64::try_from(config.gateway.max_connections).unwrap_or(u64::MAX);
    let mut findings = vec![open_files(hard(Resource::RLIMIT_NOFILE), connections)];
    findings.push(memory_lock(hard(Resource::RLIMIT_MEMLOCK), locks_memory(config)));
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    findings.push(processes(hard(Resource::RLIMIT_NPROC)));
    findings
}

fn hard(resource: Resource) -> Option<u64> {
    getrlimit(resource).ok().map(|(_, hard)| hard)
}

fn amount_of(limit: u64) -> String {
    if limit == RLIM_INFINITY { "unlimited".into() } else { limit.to_string() }
}

/// The supervisor raises the soft limit of its children to the hard one.
fn open_files(hard: Option<u64>, connections: u64) -> Finding {
    const NAME: &str = "open files";
    let Some(hard) = hard else { return Finding::none(NAME, "the system does not tell") };
    let wanted = connections.saturating_add(DESCRIPTORS);
    let seen = format!("{} at most (RLIMIT_NOFILE)", amount_of(hard));
    if hard >= wanted {
        return Finding::ok(NAME, seen);
    }
    let advice = format!(
        "raise the hard limit to {wanted} (LimitNOFILE= of a systemd unit, `ulimit -Hn`), or lower gateway.max_connections"
    );
    if hard < DESCRIPTORS { Finding::error(NAME, seen, advice) } else { Finding::warning(NAME, seen, advice) }
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
fn processes(hard: Option<u64>) -> Finding {
    const NAME: &str = "processes";
    let Some(hard) = hard else { return Finding::none(NAME, "the system does not tell") };
    let seen = format!("{} at most (RLIMIT_NPROC)", amount_of(hard));
    if hard >= THREADS {
        return Finding::ok(NAME, seen);
    }
    let advice = format!(
        "raise the limit on this user's processes and threads to {THREADS} (LimitNPROC=, `ulimit -Hu`)"
    );
    Finding::warning(NAME, seen, advice)
}

/// Whether weights are to be kept from being swapped out.
fn locks_memory(config: &Config) -> bool {
    let of_formats = config.workers.values().map(|worker| &worker.options);
    let of_models = config.model.iter().map(|model| &model.options);
    of_formats.chain(of_models).any(|options| options.get("mlock").is_some_and(|value| value == "true"))
}

fn memory_lock(hard: Option<u64>, is_wanted: bool) -> Finding {
    const NAME: &str = "locked memory";
    let Some(hard) = hard else { return Finding::none(NAME, "the system does not tell") };
    let seen = if hard == RLIM_INFINITY {
        "unlimited".to_owned()
    } else {
        format!("{} at most (RLIMIT_MEMLOCK)", amount(hard))
    };
    match (is_wanted, hard) {
        (false, _) => Finding::none(NAME, format!("{seen}; no model asks for it by its option mlock")),
        (true, RLIM_INFINITY) => Finding::ok(NAME, seen),
        (true, _) => Finding::warning(
            NAME,
            seen,
            "weights beyond that are not locked: raise the limit (LimitMEMLOCK=infinity, `ulimit -Hl`), or take the option mlock away",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(finding: &Finding, verdict: &str, seen: &str) {
        let text = super::super::text(std::slice::from_ref(finding));
        let told = text.lines().nth(1).unwrap_or_default();
        assert!(told.starts_with(verdict) && told.contains(seen), "{told}");
    }

    #[test]
    fn connections_want_descriptors() {
        check(&open_files(Some(RLIM_INFINITY), 1024), "ok", "unlimited");
        check(&open_files(Some(4096), 1024), "ok", "4096");
        check(&open_files(Some(1024), 1024), "warning", "to 1280");
        check(&open_files(Some(64), 1024), "error", "LimitNOFILE");
        check(&open_files(None, 1), "not applicable", "");
    }

    #[test]
    fn memory_is_locked_only_where_it_is_asked_for() {
        check(&memory_lock(Some(8 << 20), false), "not applicable", "8.0 MiB");
        check(&memory_lock(Some(8 << 20), true), "warning", "LimitMEMLOCK");
        check(&memory_lock(Some(RLIM_INFINITY), true), "ok", "unlimited");
        let mut config = Config::default();
        assert!(!locks_memory(&config));
        let worker = config.workers.get_mut("gguf").unwrap();
        worker.options.insert("mlock".into(), "true".into());
        assert!(locks_memory(&config));
    }

    #[test]
    fn this_machine_has_limits() {
        assert!(findings(&Config::default()).len() >= 2);
        check(&processes(Some(100)), "warning", "LimitNPROC");
    }
}

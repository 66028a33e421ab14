//! Workers that take more memory than they may.

use impetus_supervisor::{
    attribution::Killer,
    cgroup::{Cgroups, Version},
    launch::Launch,
    limit::Enforcer,
};

use super::*;

const LIMIT: u64 = 32 << 20;

/// Control groups for workers, or the reason why this machine gives none to whoever runs the tests.
fn cgroups() -> Option<(TempDir, Cgroups)> {
    let runtime_dir = tempfile::tempdir().unwrap();
    match Cgroups::open(runtime_dir.path()) {
        Ok(cgroups) => Some((runtime_dir, cgroups)),
        Err(error) => {
            eprintln!("skipped, no control groups: {error}");
            None
        }
    }
}

async fn grow(cgroups: Option<Cgroups>) -> (Life, ExitCause) {
    let mut life = Life::begin_in("grows", FOREVER, 1, cgroups);
    life.limit_bytes = Some(LIMIT);
    let cause = life.end(None).await;
    (life, cause)
}

#[tokio::test]
async fn the_kernel_ends_who_takes_too_much_and_nobody_else() {
    let Some((_dir, cgroups)) = cgroups() else { return };
    let mut neighbour = Life::begin_in("works", FOREVER, 2, Some(cgroups.clone()));
    neighbour.limit_bytes = Some(LIMIT);
    while !neighbour.seen.contains(&"tick") {
        neighbour.hear().await;
    }
    let (life, cause) = grow(Some(cgroups.clone())).await;
    let by = match cgroups.version() {
        Version::V1 => Enforcer::CgroupV1,
        Version::V2 => Enforcer::CgroupV2,
    };
    assert_eq!(life.limited_by, Some(by));
    let ExitCause::OutOfMemory { by: Killer::Kernel, used_bytes, limit_bytes } = cause else {
        panic!("{cause}")
    };
    assert_eq!(limit_bytes, Some(LIMIT));
    assert!(used_bytes.is_none_or(|used| (LIMIT - (1 << 20)..=LIMIT).contains(&used)), "{used_bytes:?}");
    assert_eq!(cause.to_string(), "killed by the kernel at 32 MiB (limit 32 MiB)");
    assert!(cause.is_memory() && cause.may_be_request() && !cause.is_from_outside());
    neighbour.orders.send_modify(|orders| orders.leave = Leave::Now);
    assert_eq!(neighbour.end(None).await, ExitCause::Stopped);
    // Their groups went with them: the names are free again.
    for id in ["sh-1", "sh-2"] {
        drop(cgroups.create(id).unwrap());
    }
}

#[tokio::test]
async fn a_kill_from_outside_is_not_blamed_on_memory() {
    let Some((_dir, cgroups)) = cgroups() else { return };
    let mut life = Life::begin_in("kills_itself", FOREVER, 1, Some(cgroups));
    life.limit_bytes = Some(LIMIT);
    let cause = life.end(None).await;
    assert_eq!(cause.to_string(), "killed by SIGKILL");
    assert!(cause.is_from_outside() && !cause.is_memory());
}

#[tokio::test]
async fn the_watcher_ends_who_takes_too_much_where_there_is_no_group() {
    let (life, cause) = grow(None).await;
    assert_eq!(life.limited_by, Some(Enforcer::Watcher));
    let ExitCause::OutOfMemory { by: Killer::Watcher, used_bytes: Some(used), limit_bytes: Some(LIMIT) } =
        cause
    else {
        panic!("{cause}")
    };
    assert!(used >= LIMIT, "{used}");
    let sentence = cause.to_string();
    assert!(
        sentence.starts_with("killed by the watcher at ") && sentence.ends_with(" MiB (limit 32 MiB)"),
        "{sentence}"
    );
}

#[tokio::test]
async fn who_stays_below_the_limit_stays() {
    let groups = cgroups();
    for cgroups in [None, groups.as_ref().map(|(_, cgroups)| cgroups.clone())] {
        let mut life = Life::begin_in("works", FOREVER, 1, cgroups);
        life.limit_bytes = Some(LIMIT);
        let cause = life.end(Some(Leave::Now)).await;
        assert_eq!(cause, ExitCause::Stopped);
        assert_eq!(life.seen, ["started", "waiting", "limited", "serving", "tick", "stopping"]);
    }
}

#[tokio::test]
async fn limits_are_read_back_and_members_are_found() {
    let Some((_dir, cgroups)) = cgroups() else { return };
    let group = cgroups.create("sh-1").unwrap();
    assert_eq!(group.limit_bytes(), None);
    // Down and up again.
    for limit in [64 << 20, 16 << 20, 128 << 20] {
        group.set_limit(limit).unwrap();
        assert_eq!(group.limit_bytes(), Some(limit));
    }
    assert_eq!(group.kernel_kill(), None);
    let launch = Launch {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), "read -r line <&3".into()],
        descriptors: Vec::new(),
        environment: Vec::new(),
        oom_score_adjust: 0,
        working_dir: "/".into(),
        cgroup_files: group.files(),
        file_size_limit_bytes: 0,
    };
    let mut launched = Launcher::new(env!("CARGO_BIN_EXE_supervisor")).launch(launch).unwrap();
    let pid = launched.child.id().unwrap();
    let members = || fs::read_to_string(&group.files()[0]).unwrap();
    while !members().lines().any(|line| line == pid.to_string()) {
        tokio::task::yield_now().await;
    }
    let found = cgroups.of_process(pid, "sh-1").unwrap();
    assert_eq!(found.files(), group.files());
    assert!(cgroups.of_process(pid, "sh-2").is_none());
    assert!(cgroups.of_process(std::process::id(), "sh-1").is_none());
    // What is still in a group ends with it.
    drop(found);
    assert!(!launched.child.wait().await.unwrap().success());
    drop(group);
    drop(cgroups.create("sh-1").unwrap());
}

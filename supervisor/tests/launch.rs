//! Every limit of a launch is set by the real shim and read back by a shell that it became.

#![allow(clippy::unwrap_used)] // these are tests, also where they are not marked as such

use std::{fs::File, io::Write, os::fd::OwnedFd};

use impetus_supervisor::launch::{Launch, Launched, Launcher};
use tokio::io::AsyncReadExt;

/// What `script` prints when launched, and its exit code.
async fn launched(script: &str, descriptors: Vec<OwnedFd>) -> (String, Option<i32>) {
    let launcher = Launcher::new(env!("CARGO_BIN_EXE_supervisor"));
    let launch = Launch {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        descriptors,
        environment: Vec::new(),
        oom_score_adjust: 500,
        working_dir: "/".into(),
        cgroup_files: Vec::new(),
        file_size_limit_bytes: 1 << 20,
    };
    let Launched { mut child, channel, mut stdout, mut stderr } = launcher.launch(launch).unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    let (read_out, read_err) = tokio::join!(stdout.read_to_string(&mut out), stderr.read_to_string(&mut err));
    read_out.unwrap();
    read_err.unwrap();
    let status = child.wait().await.unwrap();
    drop(channel);
    (out + &err, status.code())
}

async fn check(script: &str, expected: &str) {
    let (output, code) = launched(script, Vec::new()).await;
    assert_eq!((output.trim(), code), (expected, Some(0)), "{script}");
}

#[tokio::test]
async fn core_dumps_are_forbidden() {
    check("ulimit -c; ulimit -H -c", "0\n0").await;
}

#[tokio::test]
async fn files_cannot_grow_large() {
    // In blocks of 512 bytes.
    check("ulimit -f; ulimit -H -f", "2048\n2048").await;
}

#[tokio::test]
async fn as_many_files_may_be_open_as_is_allowed_within_reason() {
    let expected =
        "h=$(ulimit -H -n); [ $h != unlimited ] && [ $h -le 65536 ] || h=65536; [ $(ulimit -n) = $h ]";
    check(&format!("{expected} && echo raised"), "raised").await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn no_program_gains_rights() {
    check("grep -c '^NoNewPrivs:.1$' /proc/self/status", "1").await;
}

#[tokio::test]
async fn the_session_is_its_own() {
    check("set -- $(ps -o pid=,pgid=,sid= -p $$); [ $1 = $2 ] && [ $1 = $3 ] && echo leader", "leader").await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_oom_score_is_raised() {
    check("cat /proc/self/oom_score_adj", "500").await;
}

#[tokio::test]
async fn the_working_folder_is_entered() {
    check("pwd", "/").await;
}

#[tokio::test]
async fn standard_input_reads_nothing() {
    check("cat", "").await;
}

#[tokio::test]
async fn the_environment_is_cleared() {
    // Cargo sets this for every test.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    check("echo ${CARGO_MANIFEST_DIR-unset} $OMP_WAIT_POLICY", "unset passive").await;
}

#[tokio::test]
async fn descriptors_are_the_channel_and_those_passed() {
    let dir = tempfile::tempdir().unwrap();
    let passed: Vec<OwnedFd> = ["a", "b"]
        .map(|name| {
            let path = dir.path().join(name);
            File::create(&path).unwrap().write_all(name.as_bytes()).unwrap();
            File::open(path).unwrap().into()
        })
        .into();
    let script =
        "cat <&4; cat <&5; echo; for n in 3 4 5 6 7 8 9; do [ -e /dev/fd/$n ] && printf '%s ' $n; done; true";
    let (output, _) = launched(script, passed).await;
    assert_eq!(output.trim(), "ab\n3 4 5");
}

#[tokio::test]
async fn the_channel_carries_what_the_child_writes() {
    let launcher = Launcher::new(env!("CARGO_BIN_EXE_supervisor"));
    let launch = Launch {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), "printf hello >&3; cat <&3 >&2".into()],
        descriptors: Vec::new(),
        environment: Vec::new(),
        oom_score_adjust: 0,
        working_dir: "/".into(),
        cgroup_files: Vec::new(),
        file_size_limit_bytes: 0,
    };
    let Launched { mut child, mut channel, .. } = launcher.launch(launch).unwrap();
    let mut said = [0; 5];
    channel.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"hello");
    // The end of the channel ends `cat`, and with it the child: no orphan survives its supervisor.
    drop(channel);
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let launcher = Launcher::new(env!("CARGO_BIN_EXE_supervisor"));
    let launch = Launch {
        program: "/nonexistent/worker".into(),
        args: Vec::new(),
        descriptors: Vec::new(),
        environment: Vec::new(),
        oom_score_adjust: 0,
        working_dir: "/".into(),
        cgroup_files: Vec::new(),
        file_size_limit_bytes: 0,
    };
    let mut launched = launcher.launch(launch).unwrap();
    let mut words = String::new();
    launched.stderr.read_to_string(&mut words).await.unwrap();
    assert!(words.contains("cannot execute /nonexistent/worker"), "{words}");
    assert_eq!(launched.child.wait().await.unwrap().code(), Some(127));
}

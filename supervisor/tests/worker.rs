//! The life of a worker, with shell scripts as workers: every way to start, serve, misbehave and end.

#![allow(clippy::unwrap_used)] // these are tests, also where they are not marked as such

#[path = "worker/memory.rs"]
mod memory;

use std::{
    fmt::Write as _,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use impetus_proto::{
    Code, Error,
    launch::{LogSpec, Progress, Report, Serving, Standby, Tick, WorkerSpec, report},
    worker::Description,
};
use impetus_supervisor::{
    adoption::Records,
    attribution::{ExitCause, Hang},
    cgroup::Cgroups,
    launch::Launcher,
    limit::Enforcer,
    logs::{LogSettings, Logs},
    policy::health::Patience,
    prefixes::PrefixFiles,
    witness::Witness,
    worker::{Birth, Event, Leave, Nursery, Orders, Placement, Processes, Timeouts, What, WorkerId},
};
use prost::Message;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

/// Waits for a message without looking into it.
const HEAR: &str = "dd bs=65536 count=1 <&3 >/dev/null 2>&1\n";
/// Does nothing until the channel ends, without starting a process that a signal would have to reach.
const WAIT: &str = "while read -r line <&3; do :; done\n";

/// Holds more than 128 MiB, in memory that no file backs.
const GROW: &str = "x=0123456789abcdef\nwhile [ ${#x} -lt 134217728 ]; do x=$x$x; done\n";

const PATIENCE: Duration = Duration::from_millis(400);

/// Shell that says `message` on the channel.
fn say(message: report::Message) -> String {
    let bytes = Report { message: Some(message) }.encode_length_delimited_to_vec();
    let octal = bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:03o}");
        text
    });
    format!("printf '{octal}' >&3\n")
}

fn standby() -> String {
    HEAR.to_owned() + &say(report::Message::Standby(Standby::default()))
}

fn serving(model: &str) -> String {
    let description = Description { model: model.into(), slots: 4, ..Description::default() };
    standby()
        + HEAR
        + &say(report::Message::Serving(Serving { description: Some(description), ..Serving::default() }))
}

fn tick(steps: u64, pending: u32) -> String {
    say(report::Message::Tick(Tick { steps, pending, ..Tick::default() }))
}

/// All scripts. They are written before the first of them runs: one that is still open for writing anywhere cannot
/// be executed.
fn scripts() -> Vec<(&'static str, String)> {
    let failed = Error::new(Code::ModelLoadFailed, "bad magic");
    vec![
        ("exits", serving("m") + "echo boom >&2; exit 4\n"),
        ("segfaults", serving("m") + "kill -SEGV $$\n"),
        ("refuses", standby() + HEAR + &say(report::Message::Failed(failed)) + "exit 3\n"),
        ("never_rises", HEAR.to_owned() + WAIT),
        (
            "never_loads",
            standby() + HEAR + &say(report::Message::Progress(Progress { fraction: 0.1 })) + WAIT,
        ),
        ("stops_itself", serving("m") + "kill -STOP $$\n"),
        ("stands_still", serving("m") + &format!("while :; do {}sleep 0.05; done\n", tick(7, 1))),
        ("works", serving("m") + "trap 'exit 0' TERM\n" + &tick(1, 0) + "while :; do sleep 0.05; done\n"),
        ("ignores", serving("m") + "trap '' TERM\n" + &tick(1, 0) + "while :; do sleep 0.05; done\n"),
        ("babbles", HEAR.to_owned() + "printf '\\377\\377\\377\\377\\377' >&3\n" + WAIT),
        ("serves_another", serving("other") + WAIT),
        ("kills_itself", serving("m") + "kill -KILL $$\n"),
        ("grows", serving("m") + &tick(1, 0) + GROW + WAIT),
        ("mute", standby() + "exec 3>&-\nwhile :; do sleep 0.05; done\n"),
    ]
}

fn script(name: &str) -> PathBuf {
    static DIR: OnceLock<TempDir> = OnceLock::new();
    let dir = DIR.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        for (name, body) in scripts() {
            let path = dir.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{body}")).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        }
        dir
    });
    dir.path().join(name)
}

struct Life {
    orders: watch::Sender<Orders>,
    events: mpsc::Receiver<Event>,
    seen: Vec<&'static str>,
    limit_bytes: Option<u64>,
    limited_by: Option<Enforcer>,
    _logs: TempDir,
}

impl Life {
    fn begin(name: &str, hang: Duration) -> Self {
        Self::begin_in(name, hang, 1, None)
    }

    fn begin_in(name: &str, hang: Duration, number: u64, cgroups: Option<Cgroups>) -> Self {
        let program = script(name);
        let dir = tempfile::tempdir().unwrap();
        let settings =
            LogSettings { dir: dir.path().into(), rotation: impetus_telemetry::Rotation::Never, keep: 1 };
        let mut nursery = Processes {
            launcher: Launcher::new(env!("CARGO_BIN_EXE_supervisor")),
            witness: Witness::new(Logs::start(settings).unwrap(), dir.path()),
            log: LogSpec::default(),
            timeouts: watch::channel(Timeouts {
                load: PATIENCE,
                hang: Patience { step: hang, first_step: hang, word: hang },
                kill: PATIENCE,
            })
            .1,
            working_dir: "/".into(),
            records: Records { dir: dir.path().into(), grace: Duration::ZERO },
            cgroups,
            prefixes: PrefixFiles::new(dir.path(), watch::channel(Arc::default()).1),
        };
        let (orders, given) = watch::channel(Orders::default());
        let (events, heard) = mpsc::channel(64);
        let id = WorkerId::new("sh", number);
        let birth =
            Birth { id, format: "sh".into(), program, threads: 0, sandbox: true, prefix_file_bytes: 0 };
        nursery.start(birth, given, events);
        Self { orders, events: heard, seen: Vec::new(), limit_bytes: None, limited_by: None, _logs: dir }
    }

    /// Follows the worker's life, placing a model as soon as it can be and stopping it with its first tick.
    async fn follow(mut self, stop: Option<Leave>) -> (Vec<&'static str>, ExitCause) {
        let cause = self.end(stop).await;
        (self.seen, cause)
    }

    async fn end(&mut self, stop: Option<Leave>) -> ExitCause {
        loop {
            if let Some(cause) = self.hear().await {
                return cause;
            }
            if let Some(leave) = stop.filter(|_| self.seen.last() == Some(&"tick")) {
                self.orders.send_modify(|orders| orders.leave = leave);
            }
        }
    }

    async fn hear(&mut self) -> Option<ExitCause> {
        let name = match self.events.recv().await.unwrap().what {
            What::Started { .. } => "started",
            What::Waiting => {
                let spec = WorkerSpec { model: "m".into(), ..WorkerSpec::default() };
                let placement = Placement { spec, files: Vec::new(), limit_bytes: self.limit_bytes };
                self.orders.send_modify(|orders| orders.place = Some(Arc::new(placement)));
                "waiting"
            }
            What::Limited { by, limit_bytes } => {
                assert_eq!(Some(limit_bytes), self.limit_bytes);
                self.limited_by = Some(by);
                "limited"
            }
            What::Sandboxed(level) => {
                assert_eq!(level, "none (the worker reports no sandbox)");
                return None;
            }
            What::Peaks(_) => return None,
            What::Progress(_) => "progress",
            What::Serving(_) => "serving",
            What::Tick(_) => "tick",
            What::Draining(_) => "draining",
            What::Stopping => "stopping",
            What::Exited(cause) => return Some(cause),
        };
        if self.seen.last() != Some(&name) {
            self.seen.push(name);
        }
        None
    }
}

/// Enough for everything that is not about hanging, however slow the machine.
const FOREVER: Duration = Duration::from_mins(10);

async fn check(name: &str, hang: Duration, stop: Option<Leave>, seen: &[&str], expected: &str) {
    let (got_seen, cause) = Life::begin(name, hang).follow(stop).await;
    assert_eq!((got_seen.as_slice(), cause.to_string().as_str()), (seen, expected), "{name}");
}

const SERVED: [&str; 3] = ["started", "waiting", "serving"];

#[tokio::test]
async fn an_exit_code_is_told_with_the_last_words() {
    check("exits", FOREVER, None, &SERVED, "exited with code 4; it last said: boom").await;
}

#[tokio::test]
async fn a_signal_is_told_by_name() {
    check("segfaults", FOREVER, None, &SERVED, "killed by SIGSEGV").await;
}

#[tokio::test]
async fn a_refused_model_is_the_workers_own_word() {
    check("refuses", FOREVER, None, &["started", "waiting"], "could not load its model: bad magic").await;
}

#[tokio::test]
async fn who_never_rises_or_loads_is_ended() {
    for (name, seen) in
        [("never_rises", &["started"][..]), ("never_loads", &["started", "waiting", "progress"])]
    {
        let (got, cause) = Life::begin(name, FOREVER).follow(None).await;
        assert_eq!(
            (got.as_slice(), cause),
            (seen, ExitCause::Hung { what: Hang::Load, after: PATIENCE }),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_stopped_process_is_ended() {
    let (_, cause) = Life::begin("stops_itself", PATIENCE).follow(None).await;
    assert_eq!(cause, ExitCause::Hung { what: Hang::Report, after: PATIENCE });
}

#[tokio::test]
async fn work_without_steps_is_ended_though_it_reports() {
    let (seen, cause) = Life::begin("stands_still", PATIENCE).follow(None).await;
    assert_eq!(cause, ExitCause::Hung { what: Hang::Step, after: PATIENCE });
    assert_eq!(seen.last(), Some(&"tick"));
}

#[tokio::test]
async fn a_stop_is_asked_for_and_then_enforced() {
    let seen = ["started", "waiting", "serving", "tick", "stopping"];
    for name in ["works", "ignores"] {
        check(name, FOREVER, Some(Leave::Now), &seen, "stopped on request").await;
    }
}

#[tokio::test]
async fn draining_ends_at_its_deadline() {
    let seen = ["started", "waiting", "serving", "tick", "draining", "stopping"];
    let deadline = tokio::time::Instant::now() + Duration::from_millis(50);
    check("works", FOREVER, Some(Leave::Drain(deadline)), &seen, "stopped on request").await;
}

#[tokio::test]
async fn whoever_breaks_the_protocol_is_ended() {
    let (_, cause) = Life::begin("babbles", FOREVER).follow(None).await;
    assert!(matches!(cause, ExitCause::Garbled(_)), "{cause}");
    let seen = ["started", "waiting"];
    check("mute", FOREVER, None, &seen, "broke the protocol: closed its channel and did not end within 2 s")
        .await;
    let other = "broke the protocol: was given the model \"m\" and serves \"other\"";
    check("serves_another", FOREVER, None, &seen, other).await;
}

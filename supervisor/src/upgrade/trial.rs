//! Whether another supervisor could serve in the place of this one: it is asked as a child.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncReadExt, process::Child, time::timeout};

use super::{PROBE_ARGUMENT, probe};
use crate::launch::{Launch, Launched, Launcher};

/// The longest answer, in bytes.
const MAX_ANSWER: u64 = 256 << 10;

/// What a supervisor takes beyond the time that it gives its children.
const START: Duration = Duration::from_secs(5);

/// What a supervisor says of itself and of the programs that it would run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Its version.
    pub version: String,
    /// What its processes speak to each other.
    pub protocol: u32,
    /// Where it would look for this server's processes.
    pub runtime_dir: PathBuf,
    /// Where it would keep what outlives it.
    pub state_dir: PathBuf,
    /// The version of its gateway, or why that does not start.
    pub gateway: Result<String, String>,
    /// The same of its workers, by format.
    pub workers: BTreeMap<String, Result<String, String>>,
}

/// Asks the supervisor `program`, with the arguments and the environment that this one has. Its children get
/// `patience` to answer.
pub async fn supervisor(launcher: &Launcher, program: &Path, patience: Duration) -> Result<Tried, String> {
    let about = |what: &str| format!("{} {what}", program.display());
    let arguments: Result<Vec<String>, _> =
        std::env::args_os().skip(1).map(std::ffi::OsString::into_string).collect();
    let arguments = arguments.map_err(|_| about("cannot be given arguments that are not UTF-8"))?;
    let working_dir = std::env::current_dir().map_err(|error| about(&format!("has no folder: {error}")))?;
    let launch = Launch {
        program: program.to_owned(),
        args: std::iter::once(PROBE_ARGUMENT.to_owned()).chain(arguments).collect(),
        descriptors: Vec::new(),
        // It is to see what it would see in the place of this process.
        environment: environment().into_iter().collect(),
        oom_score_adjust: 0,
        working_dir,
        cgroup_files: Vec::new(),
        file_size_limit_bytes: 0,
    };
    let Launched { mut child, channel, mut stdout, mut stderr } =
        launcher.launch(launch).map_err(|error| error.to_string())?;
    let asked = async {
        let (mut answer, mut words) = (Vec::new(), Vec::new());
        let (mut out, mut err) = ((&mut stdout).take(MAX_ANSWER), (&mut stderr).take(MAX_ANSWER));
        let read = tokio::join!(out.read_to_end(&mut answer), err.read_to_end(&mut words));
        // What cannot be read was not said.
        drop(read);
        (child.wait().await.ok(), answer, words)
    };
    let time = patience + START;
    let Ok((status, answer, words)) = timeout(time, asked).await else {
        kill(&mut child).await;
        return Err(about(&format!("does not say within {} s whether it could serve", time.as_secs())));
    };
    drop(channel);
    let words = String::from_utf8_lossy(&words).trim().replace('\n', "; ");
    let words = impetus_telemetry::escape(words.as_bytes());
    if !status.is_some_and(|status| status.success()) {
        return Err(about(&probe::end(status, &words)));
    }
    serde_json::from_slice(&answer)
        .map_err(|_| about("does not say whether it could serve; it is no such program"))
}

/// Ends a child and whatever it has started.
pub(super) async fn kill(child: &mut Child) {
    if let Some(Ok(pid)) = child.id().map(i32::try_from) {
        // A shim that has not begun its session yet has started nothing.
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    // It is gone, or was.
    let _ = child.kill().await;
}

fn environment() -> HashMap<String, String> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

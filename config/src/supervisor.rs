//! `[supervisor]`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::place::{folder, home};

/// The supervisor's own places and limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisorConfig {
    /// Sockets of the running server; what an earlier one left there is removed at start.
    pub runtime_dir: PathBuf,
    /// What outlives a restart, and the lock that keeps two supervisors apart.
    pub state_dir: PathBuf,
    /// Seconds that running requests get to finish when a worker or the server is stopped.
    pub drain_timeout_s: u64,
    /// Seconds between SIGTERM and SIGKILL.
    pub kill_timeout_s: u64,
    /// Starts of one model's worker within `restart_window_s` after which it is failed until told otherwise.
    pub max_starts: u32,
    /// The window of `max_starts`, in seconds.
    pub restart_window_s: u64,
    /// The first delay before a restart, in milliseconds; each further one doubles.
    pub backoff_initial_ms: u64,
    /// The longest delay before a restart, in milliseconds.
    pub backoff_max_ms: u64,
    /// Seconds that a worker with pending work may go without a step before it is replaced, beyond four times the
    /// longest step seen of it.
    pub hang_timeout_s: u64,
    /// Seconds that a worker's first step may take; how long a step takes is not known before.
    pub first_step_timeout_s: u64,
    /// Seconds that a worker may go without a word, which it says twice a second, before it is replaced.
    pub silence_timeout_s: u64,
    /// Seconds that a loading worker may go without progress before it is replaced.
    pub load_timeout_s: u64,
    /// Seconds that workers and gateway go on without a supervisor; one that starts within them takes them over.
    pub orphan_grace_s: u64,
    /// What becomes of models while the machine runs on its battery.
    pub on_battery: OnBattery,
    /// The charge, in percent, from which on `on_battery` counts; 100 is always.
    pub battery_percent: u8,
}

/// What becomes of models while the machine runs on its battery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnBattery {
    /// All is as usual.
    #[default]
    Serve,
    /// Those that nobody uses are unloaded soon, and none is preloaded.
    UnloadIdle,
    /// Besides, requests for those that are not up are refused.
    NoNewLoads,
}

/// What can become of models on a battery, for whoever wrote something else.
pub(crate) const EXPECTED_ON_BATTERY: &str = "serve, unload_idle or no_new_loads";

impl Default for SupervisorConfig {
    /// Without a home folder both places are empty, which loading refuses.
    fn default() -> Self {
        let state_home = folder("XDG_STATE_HOME").or_else(|| Some(home()?.join(".local/state")));
        let state_dir = state_home.map(|dir| dir.join("impetus"));
        let runtime_dir = match folder("XDG_RUNTIME_DIR") {
            Some(dir) => Some(dir.join("impetus")),
            None => state_dir.as_ref().map(|dir| dir.join("run")),
        };
        Self {
            runtime_dir: runtime_dir.unwrap_or_default(),
            state_dir: state_dir.unwrap_or_default(),
            drain_timeout_s: 30,
            kill_timeout_s: 5,
            max_starts: 5,
            restart_window_s: 300,
            backoff_initial_ms: 200,
            backoff_max_ms: 30_000,
            hang_timeout_s: 5,
            first_step_timeout_s: 60,
            silence_timeout_s: 3,
            load_timeout_s: 120,
            orphan_grace_s: 15,
            on_battery: OnBattery::Serve,
            battery_percent: 100,
        }
    }
}

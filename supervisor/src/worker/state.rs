//! The states of a worker, as its fleet and `supervisorctl status` see them.

use std::fmt;

use tokio::time::Instant;

/// The state of a worker; the last three are those of a worker without a process.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// No model yet.
    Standby {
        /// Whether its engine is initialised, so that a model can be placed.
        ready: bool,
    },
    /// It loads its model.
    Loading {
        /// The part that is done, 0 to 1.
        progress: f32,
    },
    /// It serves.
    Ready,
    /// It finishes its leases and takes no new one.
    Draining {
        /// When it is stopped even so.
        deadline: Instant,
    },
    /// It was asked to end.
    Stopping,
    /// It died and is started again.
    Backoff {
        /// When.
        until: Instant,
        /// Which start in a row that will be.
        attempt: u32,
    },
    /// It is not started again until somebody acts.
    Failed {
        /// Why.
        reason: String,
    },
    /// It has ended and is not wanted.
    Stopped,
}

impl State {
    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Standby { .. } => "standby",
            Self::Loading { .. } => "loading",
            Self::Ready => "ready",
            Self::Draining { .. } => "draining",
            Self::Stopping => "stopping",
            Self::Backoff { .. } => "backoff",
            Self::Failed { .. } => "failed",
            Self::Stopped => "stopped",
        }
    }

    /// What there is to say beyond the word, at `now`.
    pub fn detail(&self, now: Instant) -> String {
        struct In(std::time::Duration);
        impl fmt::Display for In {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:.1} s", self.0.as_secs_f32())
            }
        }
        match self {
            Self::Standby { ready: false } => "starting".into(),
            Self::Loading { progress } => format!("{:.0} %", progress * 100.0),
            Self::Draining { deadline } => format!("at most {}", In(deadline.saturating_duration_since(now))),
            Self::Backoff { until, attempt } => {
                format!("start {attempt} in {}", In(until.saturating_duration_since(now)))
            }
            Self::Failed { reason } => reason.clone(),
            Self::Standby { ready: true } | Self::Ready | Self::Stopping | Self::Stopped => String::new(),
        }
    }
}

//! A worker that is started, initialises its engine's library, and is let go again.

use std::{io, path::Path, time::Duration};

use impetus_proto::launch::{LogSpec, Report, StandbySpec, ToWorker, report, to_worker};
use tokio::{io::AsyncReadExt, time::timeout};

use crate::{
    channel,
    launch::{Launch, LaunchError, Launched, Launcher},
};

/// How long a library may take to load.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is kept of its last words, in bytes.
const WORDS_BYTES: u64 = 4 << 10;

#[derive(Debug, thiserror::Error)]
pub(super) enum TrialError {
    #[error("{0}")]
    Launch(#[from] LaunchError),
    #[error("it was not heard: {0}")]
    Channel(#[from] io::Error),
    #[error("its engine failed: {0}")]
    Engine(String),
    #[error("it ended: {0}")]
    Ended(String),
    #[error("it did not come up within {} s", PATIENCE.as_secs())]
    Slow,
}

/// Starts `program` through `shim`; what it calls its engine. The process is gone when this is over.
pub(super) async fn run(shim: &Path, program: &Path, format: &str) -> Result<String, TrialError> {
    let launched = Launcher::new(shim).launch(Launch {
        program: program.to_owned(),
        args: Vec::new(),
        descriptors: Vec::new(),
        environment: Vec::new(),
        oom_score_adjust: 0,
        working_dir: "/".into(),
        cgroup_files: Vec::new(),
        file_size_limit_bytes: 0,
    })?;
    timeout(PATIENCE, engine(launched, format)).await.unwrap_or(Err(TrialError::Slow))
}

async fn engine(launched: Launched, format: &str) -> Result<String, TrialError> {
    let Launched { child: _ends_with_this, channel, stdout: _unread, mut stderr } = launched;
    let (mut reports, mut orders) = channel::split(channel);
    let standby = StandbySpec {
        worker_id: format!("{format}-0"),
        format: format.to_owned(),
        log: Some(LogSpec { level: "error".into(), format: "text".into() }),
        threads: 1,
        adoption: None,
        sandbox: None,
    };
    let order = ToWorker { message: Some(to_worker::Message::Standby(standby)) };
    let told = orders.send(&order).await;
    while let Ok(Some(Report { message })) = reports.next::<Report>().await {
        match message {
            Some(report::Message::Standby(standby)) => return Ok(standby.engine),
            Some(report::Message::Failed(error)) => return Err(TrialError::Engine(error.message)),
            _ => {}
        }
    }
    let mut words = Vec::new();
    let _ = (&mut stderr).take(WORDS_BYTES).read_to_end(&mut words).await;
    let words = String::from_utf8_lossy(&words).trim().to_owned();
    match told {
        Err(error) if words.is_empty() => Err(error.into()),
        _ => Err(TrialError::Ended(if words.is_empty() { "without a word".to_owned() } else { words })),
    }
}

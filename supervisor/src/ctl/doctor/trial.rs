//! A worker that is started, initialises its engine's library, and is let go again.

use std::{path::Path, time::Duration};

use impetus_proto::launch::{LogSpec, StandbySpec, ToWorker, report, to_worker};

use crate::{launch::Launcher, upgrade};

/// How long a library may take to load.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts `program` through `shim`; what it calls its engine, or why it does not come up. The process is gone when this is
/// over.
pub(super) async fn run(shim: &Path, program: &Path, format: &str) -> Result<String, String> {
    let standby = StandbySpec {
        worker_id: format!("{format}-0"),
        format: format.to_owned(),
        log: Some(LogSpec { level: "error".into(), format: "text".into() }),
        threads: 1,
        adoption: None,
        sandbox: None,
    };
    let spec = ToWorker { message: Some(to_worker::Message::Standby(standby)) };
    let heard = |message: report::Message| match message {
        report::Message::Standby(standby) => Some(Ok(standby.engine)),
        report::Message::Failed(error) => Some(Err(format!("its engine failed: {}", error.message))),
        _ => None,
    };
    let launch = upgrade::trial_of(program, Path::new("/"));
    upgrade::first_word(&Launcher::new(shim), launch, &spec, heard, PATIENCE).await?
}

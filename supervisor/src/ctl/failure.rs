//! What can go wrong, and the exit code for it. The codes are those of `systemctl` where it has one.

use std::{io, path::PathBuf, process::ExitCode};

use impetus_config::ConfigError;
use impetus_proto::{Code, Error};
use tonic::Status;

use super::{
    bench::BenchError,
    convert::CheckError,
    entrance::EntranceError,
    impetus::{CreateError, ServeError},
    run::RunError,
    service::ServiceError,
};
use crate::{keys::KeyFileError, lock::LockError};

/// Something is not running.
pub(super) const NOT_RUNNING: u8 = 3;

/// There is nothing of that name.
pub(super) const NO_SUCH_THING: u8 = 4;

#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(
        "no server answers on {}: {source}; start it with `supervisor`, or name its --socket or --config",
        socket.display()
    )]
    NotRunning { socket: PathBuf, source: io::Error },
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Refused(Error),
    #[error("{0}")]
    Keys(#[from] KeyFileError),
    #[error("{0}")]
    Locked(#[from] LockError),
    #[error("the system has no random numbers to make a key of: {0}")]
    Random(String),
    #[error("that is no token: it is one word of letters, digits and signs; nothing was kept")]
    Token,
    #[error("the server ended the connection: {0}; look at its log")]
    Lost(String),
    #[error("{0}")]
    Bench(#[from] BenchError),
    #[error("{0}")]
    Entrance(#[from] EntranceError),
    #[error("{0}")]
    Run(#[from] RunError),
    #[error("{0}")]
    Check(#[from] CheckError),
    #[error("{0}")]
    Create(#[from] CreateError),
    #[error("{0}")]
    Serve(#[from] ServeError),
    #[error("{0}")]
    Service(#[from] ServiceError),
    #[error("cannot write {}: {source}", path.display())]
    Page { path: PathBuf, source: io::Error },
    #[error("a live view needs a terminal; --once prints one frame")]
    NoTerminal,
    #[error("cannot write the answer: {0}")]
    Output(io::Error),
    #[error("cannot run: {0}")]
    Runtime(#[from] io::Error),
    #[error("cannot express the answer as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Failure {
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::NotRunning { .. } => ExitCode::from(NOT_RUNNING),
            Self::Refused(error) if matches!(error.code(), Code::ModelNotFound | Code::NotFound) => {
                ExitCode::from(NO_SUCH_THING)
            }
            Self::Run(RunError::Refused { status: 404, .. }) => ExitCode::from(NO_SUCH_THING),
            _ => ExitCode::FAILURE,
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        if status.details().is_empty() {
            Self::Lost(status.message().to_owned())
        } else {
            Self::Refused(Error::from(status))
        }
    }
}

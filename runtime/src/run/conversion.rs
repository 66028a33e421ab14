//! A job in place of a worker's life: it makes one file of a model and ends.

use std::{
    convert::Infallible,
    fs, io,
    os::unix::net::UnixStream,
    path::PathBuf,
    process::ExitCode,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use impetus_proto::{
    Code, Error, channel,
    launch::{ConvertProgress, ConvertReport, ConvertSpec, Converted, convert_report::Message},
};
use tracing::{info, warn};

use super::{init_telemetry, link::Link, sandbox::Sandbox, threads};
use crate::engine::{Backend, Conversion, ConvertError};

/// How often it says how far it is.
const TICK: Duration = Duration::from_millis(200);

/// Makes the file. Once the channel ends, so does this process.
pub(super) fn run<B: Backend>(link: Link, spec: &ConvertSpec) -> ExitCode {
    let mut sandbox = Sandbox::enter_job(spec.sandbox, spec.staging.as_ref());
    init_telemetry::<B>(spec.log.as_ref());
    let conversion = Conversion {
        path: PathBuf::from(&spec.path),
        root: PathBuf::from(&spec.root),
        target: PathBuf::from(&spec.staging).join(&spec.target),
        kind: (!spec.r#type.is_empty()).then(|| spec.r#type.clone()),
        name: spec.name.clone(),
        threads: threads(spec.threads),
    };
    sandbox.seal_job(&conversion.path, &conversion.root, spec.staging.as_ref());
    let Ok(mut out) = link.writer() else { return ExitCode::FAILURE };
    link.end_with();
    info!(path = spec.path, kind = spec.r#type, %sandbox, "converting");
    let (message, code) = match convert::<B>(&conversion, &out) {
        Ok(()) => (Message::Converted(Converted { sandbox: sandbox.to_string() }), ExitCode::SUCCESS),
        Err(error) => {
            warn!(%error, "not converted");
            (Message::Failed(told(&error)), ExitCode::FAILURE)
        }
    };
    // An error means that the supervisor has gone, which ends this process anyway.
    drop(channel::write(&mut out, &ConvertReport { message: Some(message) }));
    code
}

/// Converts, and says meanwhile how long the file has become.
fn convert<B: Backend>(conversion: &Conversion, out: &UnixStream) -> Result<(), ConvertError> {
    thread::scope(|scope| {
        let (end, ended) = mpsc::sync_channel::<Infallible>(1);
        scope.spawn(move || {
            let (mut out, mut told) = (out, 0);
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let bytes = fs::metadata(&conversion.target).map_or(0, |metadata| metadata.len());
                if bytes != told {
                    told = bytes;
                    let message = Some(Message::Progress(ConvertProgress { bytes }));
                    drop(channel::write(&mut out, &ConvertReport { message }));
                }
            }
        });
        let done = B::convert(conversion);
        drop(end);
        done
    })
}

fn told(error: &ConvertError) -> Error {
    let code = match error {
        ConvertError::Format { .. } | ConvertError::Unfit { .. } => Code::Unprocessable,
        ConvertError::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => Code::NoCapacity,
        ConvertError::Write { .. } => Code::Internal,
    };
    Error::new(code, error.to_string())
}

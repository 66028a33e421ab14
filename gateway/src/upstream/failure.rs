//! What becomes of a request whose worker failed it, whatever the worker was asked for.

use impetus_proto::{Code, Error};
use tonic::Status;

use crate::metrics;

/// Workers that one request is tried on before it is given up.
const MAX_ATTEMPTS: u32 = 3;

/// Why a worker's answer is over before its time.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request itself failed; another worker would say the same.
    Final(Error),
    /// The worker is dead, leaving, or not to be believed.
    Lost(Error),
}

impl Failure {
    /// A status without our details comes from the transport. It may have refused the message, for instance for its
    /// length; else the process on the other end is gone.
    pub(super) fn of(status: &Status) -> Self {
        use tonic::Code as Grpc;

        let error = Error::from(status);
        let is_ours = !status.details().is_empty();
        match (is_ours, status.code(), error.code()) {
            (false, Grpc::OutOfRange | Grpc::InvalidArgument | Grpc::Unimplemented, _) => Self::Final(error),
            (false, _, _) => {
                let message = format!("its connection broke: {}", error.message);
                Self::Lost(Error::new(Code::WorkerCrashed, message))
            }
            (true, _, Code::Unavailable | Code::WorkerCrashed | Code::WrongModel) => Self::Lost(error),
            (true, _, _) => Self::Final(error),
        }
    }
}

/// Decides whether a request is tried on another worker after `attempts` of them were lost, the last one to `error`;
/// `when` says at which point of the request.
pub(super) fn again(model: &str, attempts: u32, when: &str, error: &Error) -> Result<(), Error> {
    if attempts >= MAX_ATTEMPTS {
        let message = format!("the worker of {model:?} was lost {when}, {attempts} times in a row: {error}");
        return Err(Error { code: error.code, ..Error::new(Code::WorkerCrashed, message) });
    }
    metrics::retried(model);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transports_words_are_sorted() {
        let check = |status: Status, is_lost: bool| {
            assert_eq!(matches!(Failure::of(&status), Failure::Lost(_)), is_lost, "{status:?}");
        };
        check(Status::unavailable("connection refused"), true);
        check(Status::unknown("h2 protocol error"), true);
        check(Status::internal("stream closed"), true);
        check(Status::cancelled("operation was canceled"), true);
        check(Status::resource_exhausted("too many frames"), true);
        check(Status::out_of_range("message length too large"), false);
        check(Status::unimplemented("no such method"), false);
        check(Error::new(Code::Unavailable, "draining").into(), true);
        check(Error::new(Code::NoCapacity, "full").into(), false);
    }
}

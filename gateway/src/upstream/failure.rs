//! What becomes of a request whose worker failed it, whatever the worker was asked for.

use impetus_proto::{Code, Error};
use tonic::Status;

/// Why a worker's answer is over before its time.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request itself failed; another worker would say the same.
    Final(Error),
    /// The worker lives and will not do it: it is being stopped, or serves another model by now.
    Refused(Error),
    /// What the worker says is no answer to the request.
    Untrue(Error),
    /// The connection broke; most likely the worker is dead.
    Broken(Error),
}

impl Failure {
    /// The worker's words do not belong to the request.
    pub(super) fn untrue(message: String) -> Self {
        Self::Untrue(Error::new(Code::WorkerCrashed, message))
    }

    /// The worker was not heard to the end.
    pub(super) fn broken(message: impl Into<String>) -> Self {
        Self::Broken(Error::new(Code::WorkerCrashed, message))
    }

    /// A status without our details comes from the transport. It may have refused the message, for instance for its
    /// length; else the process on the other end is gone.
    pub(super) fn of(status: &Status) -> Self {
        use tonic::Code as Grpc;

        let error = Error::from(status);
        let is_ours = !status.details().is_empty();
        match (is_ours, status.code(), error.code()) {
            (false, Grpc::OutOfRange | Grpc::InvalidArgument | Grpc::Unimplemented, _) => Self::Final(error),
            (false, _, _) => Self::broken(format!("its connection broke: {}", error.message)),
            (true, _, Code::Unavailable | Code::WrongModel) => Self::Refused(error),
            (true, _, Code::WorkerCrashed) => Self::Broken(error),
            (true, _, _) => Self::Final(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_sorted_by_what_is_done_next() {
        let check = |status: Status, expected: &str| {
            let what = match Failure::of(&status) {
                Failure::Final(_) => "final",
                Failure::Refused(_) => "refused",
                Failure::Untrue(_) => "untrue",
                Failure::Broken(_) => "broken",
            };
            assert_eq!(what, expected, "{status:?}");
        };
        check(Status::unavailable("connection refused"), "broken");
        check(Status::unknown("h2 protocol error"), "broken");
        check(Status::internal("stream closed"), "broken");
        check(Status::cancelled("operation was canceled"), "broken");
        check(Status::resource_exhausted("too many frames"), "broken");
        check(Status::out_of_range("message length too large"), "final");
        check(Status::unimplemented("no such method"), "final");
        check(Error::new(Code::Unavailable, "draining").into(), "refused");
        check(Error::new(Code::WrongModel, "other").into(), "refused");
        check(Error::new(Code::WorkerCrashed, "the engine has stopped").into(), "broken");
        check(Error::new(Code::NoCapacity, "full").into(), "final");
    }
}

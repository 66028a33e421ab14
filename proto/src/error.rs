//! The typed error and its only mapping to gRPC and back.

use prost::Message;
use tonic::Status;

pub use crate::impetus::error::v1::{Code, Error};

impl Error {
    /// An error with neither parameter nor retry hint.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), param: String::new(), retry_after_s: 0 }
    }

    /// A value of the request that cannot be honoured; `param` is the field as the caller wrote it.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: param.into(), ..Self::new(Code::InvalidRequest, message) }
    }

    /// A defect of ours. The message goes to the caller, so it holds no secrets.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
    }

    /// Names the request field that this error is about.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = param.into();
        self
    }

    /// Adds a hint when to try again, in seconds.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = seconds;
        self
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Our code as gRPC's; the details of the status keep what gRPC's codes cannot say.
fn grpc_code(code: Code) -> tonic::Code {
    match code {
        Code::Unspecified | Code::Internal => tonic::Code::Internal,
        Code::InvalidRequest | Code::ContextLengthExceeded => tonic::Code::InvalidArgument,
        Code::UnsupportedParameter => tonic::Code::Unimplemented,
        Code::ModelNotFound | Code::NotFound => tonic::Code::NotFound,
        Code::Unauthenticated => tonic::Code::Unauthenticated,
        Code::Forbidden => tonic::Code::PermissionDenied,
        Code::ModelLoadFailed | Code::WrongModel | Code::Conflict | Code::Unprocessable => {
            tonic::Code::FailedPrecondition
        }
        Code::WorkerCrashed => tonic::Code::Aborted,
        Code::NoCapacity | Code::QueueFull | Code::QueueTimeout | Code::RateLimited => {
            tonic::Code::ResourceExhausted
        }
        Code::Unavailable => tonic::Code::Unavailable,
        Code::DeadlineExceeded => tonic::Code::DeadlineExceeded,
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let details = error.encode_to_vec().into();
        Status::with_details(grpc_code(error.code()), error.message, details)
    }
}

/// A status of ours gives back the error it was made from; one of the transport becomes `Unavailable` when the
/// peer is gone and `Internal` otherwise.
impl From<&Status> for Error {
    fn from(status: &Status) -> Self {
        if !status.details().is_empty()
            && let Ok(error) = Error::decode(status.details())
        {
            return error;
        }
        let code = match status.code() {
            tonic::Code::Unavailable | tonic::Code::Cancelled | tonic::Code::Unknown => Code::Unavailable,
            tonic::Code::NotFound => Code::ModelNotFound,
            tonic::Code::InvalidArgument | tonic::Code::OutOfRange => Code::InvalidRequest,
            tonic::Code::ResourceExhausted => Code::NoCapacity,
            tonic::Code::DeadlineExceeded => Code::DeadlineExceeded,
            _ => Code::Internal,
        };
        Error::new(code, status.message())
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Error::from(&status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_a_status() {
        for number in 1..=19 {
            let code = Code::try_from(number).expect("codes 1 to 19 are defined");
            let error = Error::new(code, "m").with_param("p").with_retry_after(3);
            assert_eq!(Error::from(Status::from(error.clone())), error);
        }
        assert!(Code::try_from(20).is_err(), "a new code must be added to this test's range");
    }

    #[test]
    fn a_transport_failure_is_unavailable() {
        assert_eq!(Error::from(Status::unavailable("tcp")).code(), Code::Unavailable);
    }
}

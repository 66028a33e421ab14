//! How long a server goes on.

/// What is to become of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// More are accepted.
    Serve,
    /// Another gateway accepts now. Those that are open are answered once more and then closed; one that stays idle is
    /// closed as slow. So no request meets a connection that closes under it.
    Retire,
    /// They finish the requests that run.
    Stop,
}

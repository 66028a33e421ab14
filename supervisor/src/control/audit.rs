//! What was done to the server by whoever may, for the audit log.

use impetus_telemetry::AUDIT;

/// Writes down that something was done to `subject`, a model, an alias, a key or nothing in particular.
pub(super) fn act(act: &'static str, subject: &str) {
    tracing::info!(target: AUDIT, act, subject, "done");
}

/// The same of something that may have failed.
pub(super) fn attempt<T, E: std::fmt::Display>(name: &'static str, subject: &str, done: &Result<T, E>) {
    match done {
        Ok(_) => act(name, subject),
        Err(error) => tracing::warn!(target: AUDIT, act = name, subject, %error, "not done"),
    }
}

//! Logging of all processes: a child writes to its standard error, which the supervisor captures into that
//! process's rotated file; the supervisor writes to its own file and, for people, to standard error.

mod error;
mod escape;
pub mod file;
mod journal;
mod level;
mod panic;
mod subscriber;
#[cfg(target_os = "macos")]
mod unified;

pub use error::TelemetryError;
pub use escape::escape;
pub use file::Rotation;
pub use journal::journal_prefix;
pub use level::check as check_level;
pub use subscriber::{AUDIT, Format, Guard, init, init_audited, init_supervisor, set_level};

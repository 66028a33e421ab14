//! `Version`

use impetus_proto::supervisor::VersionReply;

/// The version of this program.
pub(super) fn answer() -> VersionReply {
    VersionReply { version: env!("CARGO_PKG_VERSION").into() }
}

//! Ollama's API.

mod blob;
mod changing;
mod copy;
mod create;
mod delete;
mod modelfile;
mod parameter;
mod preset;
mod pull;
mod told;

pub(crate) use blob::Blobs;
pub(crate) use preset::Presets;

use crate::server::Routes;

/// The paths of this dialect.
pub(super) fn routes() -> Routes {
    changing::routes()
}

//! What Impetus' processes say to each other: generated messages and services, the one error that crosses a
//! process boundary, the framing of the inherited channel and what comes with it, how a child finds its next
//! supervisor, and the settings every client shares.
//!
//! `worker` is what a worker serves, `supervisor` what the supervisor serves, `key` what it serves of keys,
//! `cache` of kept prefixes, `store` of the models that it has fetched, `upgrade` of other programs, `event` of what has
//! happened, `level` of how much is logged, `settings` of the configuration, `launch` what travels on the descriptor that a child inherits, `fetch` what
//! travels there of models that are fetched.

pub mod adoption;
pub mod channel;
pub mod endpoint;
mod error;
pub mod passing;

pub use error::{Code, Error};
pub use impetus::{
    cache::v1 as cache, event::v1 as event, fetch::v1 as fetch, key::v1 as key, launch::v1 as launch,
    level::v1 as level, settings::v1 as settings, store::v1 as store, supervisor::v1 as supervisor,
    upgrade::v1 as upgrade, worker::v1 as worker,
};

/// What our processes say to each other, as a number: it grows when those of before would not understand it. Children
/// can be handed to a supervisor that speaks the same.
pub const PROTOCOL: u32 = 1;

/// The metadata key under which a request's id follows it through the processes.
pub const REQUEST_ID: &str = "x-request-id";

/// The largest message that either side of a gRPC connection accepts, in bytes: a conversation at the
/// gateway's own body limit with room for its framing.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// The generated code, nested as its packages are, since it refers to itself by those paths.
#[allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub)]
mod impetus {
    pub mod cache {
        pub mod v1 {
            tonic::include_proto!("impetus.cache.v1");
        }
    }
    pub mod error {
        pub mod v1 {
            tonic::include_proto!("impetus.error.v1");
        }
    }
    pub mod fetch {
        pub mod v1 {
            tonic::include_proto!("impetus.fetch.v1");
        }
    }
    pub mod event {
        pub mod v1 {
            tonic::include_proto!("impetus.event.v1");
        }
    }
    pub mod key {
        pub mod v1 {
            tonic::include_proto!("impetus.key.v1");
        }
    }
    pub mod launch {
        pub mod v1 {
            tonic::include_proto!("impetus.launch.v1");
        }
    }
    pub mod store {
        pub mod v1 {
            tonic::include_proto!("impetus.store.v1");
        }
    }
    pub mod level {
        pub mod v1 {
            tonic::include_proto!("impetus.level.v1");
        }
    }
    pub mod settings {
        pub mod v1 {
            tonic::include_proto!("impetus.settings.v1");
        }
    }
    pub mod supervisor {
        pub mod v1 {
            tonic::include_proto!("impetus.supervisor.v1");
        }
    }
    pub mod upgrade {
        pub mod v1 {
            tonic::include_proto!("impetus.upgrade.v1");
        }
    }
    pub mod worker {
        pub mod v1 {
            tonic::include_proto!("impetus.worker.v1");
        }
    }
}

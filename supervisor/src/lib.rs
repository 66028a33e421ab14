//! The supervisor: spawns, limits, watches and restarts the gateway and one worker process per model, decides
//! which models are resident, and answers gateways and `supervisorctl` on a Unix socket. It is never in the
//! token path.

pub mod adoption;
pub mod aliases;
pub mod attribution;
pub mod budget;
pub mod catalog;
pub mod cgroup;
pub mod channel;
pub mod cli;
pub mod control;
pub mod conversions;
pub mod crashes;
pub mod ctl;
pub mod events;
pub mod fleet;
pub mod footprints;
pub mod gateway;
pub mod hubs;
mod job;
pub mod keys;
pub mod launch;
pub mod leases;
pub mod levels;
pub mod limit;
pub mod lock;
pub mod logs;
pub mod machine;
pub mod memory;
pub mod places;
pub mod policy;
pub mod prefixes;
pub mod process;
pub mod pulls;
pub mod readahead;
pub mod server;
pub mod settings;
pub mod shutdown;
pub mod state_file;
pub mod store;
pub mod upgrade;
pub mod witness;
pub mod worker;

//! What the fleet is told: of a model, of a format, of itself.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use impetus_proto::launch::WorkerSpec;

use crate::{budget::Memory, policy::restart::Limits};

/// What a model is to the fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// What its worker is told, but for the socket and for what is known only when it is placed: how much of what it
    /// may keep of prefixes there is room for.
    pub spec: WorkerSpec,
    /// All its files, those with weights first; not those of its draft model.
    pub files: Vec<PathBuf>,
    /// The format, and so the kind of worker.
    pub format: String,
    /// Never stopped for being idle, nor to make room.
    pub pin: bool,
    /// Stopped after this long without a lease.
    pub ttl: Option<Duration>,
    /// When its file, or that of its draft model, was last written: another one deserves another try.
    pub modified: Option<SystemTime>,
    /// Bytes of its files and those of its draft model.
    pub size_bytes: u64,
    /// What its worker will hold, by formula; measured peaks count more.
    pub footprint: Memory,
    /// How much of that comes after the load, when slots fill; none where no formula is known.
    pub growth: Option<Memory>,
    /// What its worker is given whatever is computed or measured.
    pub fixed: Option<Memory>,
    /// The numbers of slots that it may be given, the most first, which is what the rest of this is for; none where the
    /// number is configured.
    pub widths: Vec<Width>,
}

/// What another number of slots changes about a model's worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Width {
    /// The slots.
    pub slots: u32,
    /// What the worker will hold, by formula.
    pub footprint: Memory,
    /// How much of that comes after the load.
    pub growth: Option<Memory>,
    /// Keys and values of all slots.
    pub kv: Memory,
    /// RAM that it may keep prefixes in, in bytes.
    pub prefix_bytes: u64,
}

/// How the workers of one format are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatSettings {
    /// The program.
    pub program: PathBuf,
    /// Workers kept started without a model.
    pub standby: usize,
    /// Compute threads of the engine; 0 leaves it to the engine.
    pub threads: u32,
    /// Whether they give up what they do not need.
    pub sandbox: bool,
    /// The most, in bytes, that the file of a model's prefixes may have.
    pub prefix_file_bytes: u64,
}

/// Settings of the fleet.
#[derive(Debug, Clone)]
pub struct FleetSettings {
    /// By format.
    pub formats: BTreeMap<String, FormatSettings>,
    /// When the dead are started again.
    pub restart: Limits,
    /// How long leases may go on when their worker is stopped.
    pub drain: Duration,
    /// Where workers' sockets are.
    pub runtime_dir: PathBuf,
    /// A worker is killed at this many times its footprint.
    pub margin: f64,
    /// How long a model waits for room before it is refused.
    pub wait: Duration,
    /// How long it waits before one in use has to make room for it.
    pub turn: Duration,
}

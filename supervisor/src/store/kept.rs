//! What the catalogue has of each model and of each pull.

use std::{
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use impetus_models::ModelName;

use super::Digest;

/// A model of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its name, which is that of its folder.
    pub name: ModelName,
    /// How it came.
    pub origin: Origin,
    /// Where from, in one line.
    pub source: String,
    /// What the source had then.
    pub revision: String,
    /// Its format.
    pub format: String,
    /// Its quantization, where that is known.
    pub quantization: String,
    /// Bytes of all its files.
    pub bytes: u64,
    /// When it came, in seconds since 1970.
    pub added_s: u64,
    /// When its digests were last seen to be right; 0: never.
    pub verified_s: u64,
    /// What is wrong with its files; such a model is not served.
    pub damage: Option<String>,
    /// Its files, by path.
    pub files: Vec<KeptFile>,
}

/// A file of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    /// Its path within the model's folder.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Its content; absent: it was found here and never read.
    pub sha256: Option<Digest>,
    /// When it was last changed, in nanoseconds since 1970.
    pub modified_ns: i64,
}

/// How a model came to be here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was fetched.
    Pulled,
    /// Somebody sent it.
    Uploaded,
    /// It was made of another one.
    Converted,
    /// It lay in the store when the catalogue did not know it.
    Found,
}

/// A pull that runs, or can be gone on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRow {
    /// The name of its staging folder.
    pub id: String,
    /// What is fetched.
    pub reference: String,
    /// The name that the model is to have; empty: as its files are called.
    pub name: String,
    /// The format that is wanted; empty: any.
    pub format: String,
    /// Whether it goes on when nobody follows it.
    pub detached: bool,
    /// How it stands.
    pub state: PullState,
    /// Why it does not run.
    pub detail: String,
    /// Bytes that were there when it last stopped, of all; 0: not known.
    pub bytes: u64,
    /// See there.
    pub total_bytes: u64,
    /// When it was begun, in seconds since 1970.
    pub started_s: u64,
}

/// How a pull stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullState {
    /// It is under way.
    Running,
    /// Somebody stopped it.
    Stopped,
    /// It could not go on.
    Failed,
}

impl Origin {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pulled, Self::Uploaded, Self::Converted, Self::Found];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pulled => "pulled",
            Self::Uploaded => "uploaded",
            Self::Converted => "converted",
            Self::Found => "found",
        }
    }
}

impl PullState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Running, Self::Stopped, Self::Failed];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

impl KeptFile {
    /// The same as it lies in `folder` now.
    pub(super) fn at(self, folder: &Path) -> Self {
        Self { modified_ns: modified_ns(&folder.join(&self.path)), ..self }
    }
}

/// When the file was last changed, in nanoseconds since 1970; 0 where there is none.
pub(super) fn modified_ns(path: &Path) -> i64 {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| i64::try_from(since.as_nanos()).ok()).unwrap_or_default()
}

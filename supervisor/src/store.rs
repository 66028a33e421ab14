//! The models that this server has fetched, been sent or made: each in a folder of its own under its name, and all of
//! them in a catalogue. What is in the store is whole: a model appears and disappears by the renaming of its folder, and
//! what was begun when the power went is carried through at the next start.

mod check;
mod database;
mod digest;
mod folder;
mod kept;
mod share;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use impetus_models::{Catalog, FormatPattern, ModelName, Place, Reference};
use impetus_proto::Code;

pub use self::{
    check::{Checked, Listener},
    digest::{Digest, NoDigest},
    folder::UPLOAD,
    kept::{Kept, KeptFile, Origin, PullRow, PullState},
    share::Shared,
};
use self::{
    database::{Database, Stage},
    folder::Folder,
};

/// The catalogue's file in the state folder.
const FILE: &str = "catalogue.db";

/// The store of one server.
#[derive(Debug)]
pub struct Store {
    folder: Folder,
    database: Mutex<Database>,
    /// Held by whoever moves a model's files, or says something of them, so that folder and catalogue agree.
    change: Mutex<()>,
}

/// A model that is to be one of the store's.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Its name.
    pub name: ModelName,
    /// How it came.
    pub origin: Origin,
    /// Where from, in one line.
    pub source: String,
    /// What the source had then.
    pub revision: String,
    /// Its files with their digests, by their paths within its folder.
    pub files: Vec<KeptFile>,
}

/// The store cannot do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk says no.
    #[error("cannot {what} {}: {source}; check the disk and models.store", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The catalogue says no.
    #[error("the catalogue {} cannot be used: {source}; check the disk of supervisor.state_dir", path.display())]
    Catalogue {
        /// Its file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// There is no such model in the store.
    #[error("{name} is not a model of the store; `supervisorctl list` shows those that are")]
    Absent {
        /// The name.
        name: String,
    },
    /// The name belongs to another model.
    #[error(
        "{name} is the name of {by} already; give this one another name (--name), or remove that one first"
    )]
    Taken {
        /// The name.
        name: String,
        /// Whose it is.
        by: String,
    },
    /// What was brought is no model.
    #[error("{name} cannot be served: {why}; nothing of it was kept")]
    NoModel {
        /// The name that it was to have.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Store {
    /// Opens the store in `root` with the catalogue in `state_dir`, makes both where they are not there, and carries
    /// through what was begun. Only for who holds the lock on the state folder.
    pub fn open(root: &Path, state_dir: &Path) -> Result<Self, StoreError> {
        let folder = Folder::new(root)?;
        let database = Database::open(&state_dir.join(FILE))?;
        let store = Self { folder, database: Mutex::new(database), change: Mutex::default() };
        store.carry_through()?;
        store.take_in()?;
        store.folder.sweep(&store.catalogue().pulls()?);
        Ok(store)
    }

    /// The folder that models are in.
    pub fn root(&self) -> &Path {
        self.folder.root()
    }

    /// All models, by name.
    pub fn models(&self) -> Result<Vec<Kept>, StoreError> {
        self.catalogue().models()
    }

    /// The model of this name.
    pub fn find(&self, name: &str) -> Result<Kept, StoreError> {
        let absent = || StoreError::Absent { name: name.to_owned() };
        self.models()?.into_iter().find(|kept| kept.name.as_str() == name).ok_or_else(absent)
    }

    /// Where models are looked for: the folder of each that is not known to be damaged.
    pub fn places(&self) -> Result<Vec<Place>, StoreError> {
        let sound = self.models()?.into_iter().filter(|kept| kept.damage.is_none());
        Ok(sound.map(|kept| self.place(kept.name)).collect())
    }

    /// Whether a model from `source`, in one line, may have this name: one that was fetched may replace an earlier state of
    /// itself, and nothing else replaces anything.
    pub fn check_place(&self, name: &ModelName, source: &str) -> Result<(), StoreError> {
        let taken = |by: String| Err(StoreError::Taken { name: name.to_string(), by });
        match self.find(name.as_str()) {
            Ok(kept) if kept.origin == Origin::Pulled && is_kin(&kept.source, source) => Ok(()),
            Ok(kept) if kept.source.is_empty() => taken("a model of the store".into()),
            Ok(kept) => taken(format!("a model of the store ({})", kept.source)),
            // Names that differ in case alone are one folder on some disks.
            Err(StoreError::Absent { .. }) if self.folder.is_taken(name) => {
                taken(format!("what lies at {}", self.folder.of(name).display()))
            }
            Err(StoreError::Absent { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A folder for what comes: everything that is put into `model` in there becomes the model.
    pub fn staging(&self, id: &str) -> Result<PathBuf, StoreError> {
        let path = self.folder.staging(id);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path.join(folder::MODEL));
        made.map_err(|source| StoreError::Io { what: "create", path: path.clone(), source })?;
        Ok(path)
    }

    /// What has come, with the digests of its content, which is read for that.
    pub fn staged_files(&self, id: &str) -> Result<Vec<KeptFile>, StoreError> {
        let staged = self.folder.staging(id).join(folder::MODEL);
        let read = |file: KeptFile| {
            let path = staged.join(&file.path);
            let sha256 = Some(Digest::of(&path).map_err(failed("read", &path))?);
            Ok(KeptFile { sha256, ..file })
        };
        folder::files(&staged)?.into_iter().map(read).collect()
    }

    /// Gives up what has come.
    pub fn discard(&self, id: &str) -> Result<(), StoreError> {
        let _changing = self.changing();
        self.folder.discard(id)
    }

    /// Gives up uploads that nobody has added to for long.
    pub fn discard_abandoned(&self) {
        self.folder.sweep_uploads();
    }

    /// Makes what has come a model, in place of an earlier state of the same, or says why it is none; that is given up.
    pub fn publish(
        &self,
        id: &str,
        arrival: Arrival,
        patterns: &[FormatPattern],
    ) -> Result<Kept, StoreError> {
        let staged = self.folder.staging(id).join(folder::MODEL);
        let place = Place { path: staged.clone(), name: Some(arrival.name.clone()), follow_links: false };
        let (format, quantization) = match servable(&Catalog::scan(&[place], patterns), &arrival.name) {
            Ok(found) => found,
            Err(why) => {
                self.discard(id)?;
                return Err(StoreError::NoModel { name: arrival.name.to_string(), why });
            }
        };
        let now = unix_s();
        let kept = Kept {
            bytes: arrival.files.iter().map(|file| file.bytes).sum(),
            files: arrival.files.into_iter().map(|file| file.at(&staged)).collect(),
            name: arrival.name,
            origin: arrival.origin,
            source: arrival.source,
            revision: arrival.revision,
            format,
            quantization,
            added_s: now,
            verified_s: now,
            damage: None,
        };
        Folder::sync(&staged)?;
        let changing = self.changing();
        // It may have been given up, and its name be another's, since it was looked at.
        fs::metadata(&staged).map_err(failed("find", &staged))?;
        self.check_place(&kept.name, &kept.source)?;
        self.catalogue().put(&kept, &Stage::Publishing(id.to_owned()))?;
        self.folder.publish(id, &kept.name)?;
        self.catalogue().set_stage(&kept.name, &Stage::Present)?;
        drop(changing);
        self.folder.clear(id);
        Ok(kept)
    }

    /// Removes a model and answers how many bytes that frees. Its files may be open still.
    pub fn remove(&self, name: &str) -> Result<u64, StoreError> {
        let changing = self.changing();
        let kept = self.find(name)?;
        self.catalogue().set_stage(&kept.name, &Stage::Removing)?;
        let freed = self.folder.retire(&kept.name)?;
        self.catalogue().forget(&kept.name)?;
        drop(changing);
        self.folder.empty_trash();
        Ok(freed)
    }

    /// Pulls that run or can be gone on with.
    pub fn pulls(&self) -> Result<Vec<PullRow>, StoreError> {
        self.catalogue().pulls()
    }

    /// Writes down how a pull stands.
    pub fn put_pull(&self, pull: &PullRow) -> Result<(), StoreError> {
        self.catalogue().put_pull(pull)
    }

    /// Writes down that a pull goes on when nobody follows it.
    pub fn detach_pull(&self, id: &str) -> Result<(), StoreError> {
        self.catalogue().detach_pull(id)
    }

    /// The pull is over, or given up.
    pub fn forget_pull(&self, id: &str) -> Result<(), StoreError> {
        self.catalogue().forget_pull(id)
    }

    /// Bytes that are free on the store's disk.
    pub fn free_bytes(&self) -> u64 {
        self.folder.free_bytes()
    }

    fn place(&self, name: ModelName) -> Place {
        Place { path: self.folder.of(&name), name: Some(name), follow_links: false }
    }

    /// Finishes what was begun when the last supervisor ended.
    fn carry_through(&self) -> Result<(), StoreError> {
        let unfinished = self.catalogue().unfinished()?;
        for (name, stage) in unfinished {
            match stage {
                Stage::Publishing(id) => {
                    self.folder.publish(&id, &name)?;
                    self.folder.clear(&id);
                    if self.folder.of(&name).is_dir() {
                        self.catalogue().set_stage(&name, &Stage::Present)?;
                    } else {
                        self.catalogue().forget(&name)?;
                    }
                }
                Stage::Removing => {
                    self.folder.retire(&name)?;
                    self.catalogue().forget(&name)?;
                }
                Stage::Present => {}
            }
        }
        self.folder.empty_trash();
        Ok(())
    }

    /// Takes in folders that the catalogue does not know, which it may have been lost with, and forgets models whose
    /// folder is gone.
    fn take_in(&self) -> Result<(), StoreError> {
        let known = self.models()?;
        if !self.folder.is_ours() && !known.is_empty() && !known.iter().any(|kept| self.has(kept)) {
            let root = self.folder.root().display();
            tracing::error!(
                "{root} holds none of the {} models of the store; is its disk there?",
                known.len()
            );
            return Ok(());
        }
        self.folder.mark()?;
        for kept in known.iter().filter(|kept| !self.has(kept)) {
            tracing::warn!(model = %kept.name, "its folder is not in the store any more");
            self.catalogue().forget(&kept.name)?;
        }
        for name in self.folder.names()? {
            if known.iter().any(|kept| kept.name == name) {
                continue;
            }
            let path = self.folder.of(&name);
            let catalog = Catalog::scan(&[self.place(name.clone())], &[]);
            let Ok((format, quantization)) = servable(&catalog, &name) else {
                tracing::warn!(path = %path.display(), "what lies in the store is no model, and is left alone");
                continue;
            };
            let files = self.folder.files(&name)?;
            let kept = Kept {
                bytes: files.iter().map(|file| file.bytes).sum(),
                files,
                origin: Origin::Found,
                source: String::new(),
                revision: String::new(),
                format,
                quantization,
                added_s: unix_s(),
                verified_s: 0,
                damage: None,
                name,
            };
            self.catalogue().put(&kept, &Stage::Present)?;
        }
        Ok(())
    }

    /// Whether the model's folder is there.
    pub fn has(&self, kept: &Kept) -> bool {
        self.folder.of(&kept.name).is_dir()
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn catalogue(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The format and the quantization of the model of this name, or why it cannot be served.
fn servable(catalog: &Catalog, name: &ModelName) -> Result<(String, String), String> {
    let Some(model) = catalog.get(name) else { return Err("there is no model in it".into()) };
    if let Some(broken) = model.broken() {
        return Err(broken.to_string());
    }
    let quantization = model.metadata().map(|metadata| metadata.quantization.clone());
    Ok((model.format.clone(), quantization.unwrap_or_default()))
}

/// Whether both are sources of the same model, which may be another state of it by now.
fn is_kin(one: &str, other: &str) -> bool {
    match (one.parse::<Reference>(), other.parse::<Reference>()) {
        (Ok(one), Ok(other)) => one.is_kin(&other),
        _ => false,
    }
}

pub(crate) fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// An error of the disk, for `map_err`.
fn failed<'p>(what: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> StoreError + 'p {
    move |source| StoreError::Io { what, path: path.to_owned(), source }
}

/// What a name in the file system was changed to has to reach the disk.
fn sync_folder(path: &Path) -> Result<(), StoreError> {
    fs::File::open(path).and_then(|folder| folder.sync_all()).map_err(failed("sync", path))
}

impl From<StoreError> for impetus_proto::Error {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Absent { .. } => Code::ModelNotFound,
            StoreError::NoModel { .. } => Code::Unprocessable,
            StoreError::Taken { .. } => Code::Conflict,
            StoreError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => Code::NoCapacity,
            StoreError::Io { .. } | StoreError::Catalogue { .. } => Code::Internal,
        };
        let told = Self::new(code, error.to_string());
        if matches!(error, StoreError::Taken { .. }) { told.with_param("name") } else { told }
    }
}

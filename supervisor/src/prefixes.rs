//! The files in which workers keep the keys and values of computed prefixes, one for each model as it is served: made
//! here, since workers may open none, and bounded together. Who has the lock on a file uses it. It comes and goes with
//! the open file that a worker is given, so that it outlives this process and never the worker.

mod claim;
mod fingerprint;
mod folder;
mod room;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::SystemTime,
};

use impetus_config::Config;
use impetus_proto::launch::{PrefixSpec, WorkerSpec};
use tokio::sync::watch;

pub use claim::Claim;
pub use fingerprint::Fingerprint;

use self::{
    folder::{Entry, Folder},
    room::Other,
};

/// The folder's name in the state folder.
const FOLDER: &str = "prefixes";

/// Of what would be free on the disk without them, all files together take at most one part in so many.
const DISK_SHARE: u64 = 10;

/// All files of one server.
#[derive(Debug, Clone)]
pub struct PrefixFiles(Arc<State>);

#[derive(Debug)]
struct State {
    path: PathBuf,
    config: watch::Receiver<Arc<Config>>,
    /// Held while files are made and removed. What each may take at most, as its worker was told; unknown of those that
    /// are from a former supervisor.
    turn: Mutex<Granted>,
    claims: claim::Claims,
    /// Whether the log has been told that none can be made.
    has_warned_of_errors: AtomicBool,
    /// Whether the log has been told that there is no room for more.
    has_warned_of_room: AtomicBool,
}

/// Bytes, by file.
type Granted = BTreeMap<Fingerprint, u64>;

/// A worker that is to have a file.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// What it will be told.
    pub spec: &'a WorkerSpec,
    /// Its format.
    pub format: &'a str,
    /// Its program.
    pub program: &'a Path,
    /// All files of its model.
    pub files: &'a [PathBuf],
}

/// What comes with a worker's model.
#[derive(Debug)]
pub struct Given {
    /// The file, which the worker can take once no other has it.
    pub file: OwnedFd,
    /// To be kept for as long as the worker lives.
    pub claim: Claim,
}

/// A file as it lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixFile {
    /// The model that it was made for, if that is known.
    pub model: Option<String>,
    /// Where it is.
    pub path: PathBuf,
    /// What it takes of the disk.
    pub bytes: u64,
    /// When it was last written, or given to a worker.
    pub used: SystemTime,
    /// Whether a worker has it.
    pub in_use: bool,
}

/// The folder cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the folder {}: {source}; check supervisor.state_dir", path.display())]
pub struct FolderError {
    path: PathBuf,
    source: io::Error,
}

impl PrefixFiles {
    /// Those in this state folder, bounded as the configuration says at the time.
    pub fn new(state_dir: &Path, config: watch::Receiver<Arc<Config>>) -> Self {
        Self(Arc::new(State {
            path: state_dir.join(FOLDER),
            config,
            turn: Mutex::default(),
            claims: claim::Claims::default(),
            has_warned_of_errors: AtomicBool::default(),
            has_warned_of_room: AtomicBool::default(),
        }))
    }

    /// What a worker is told of prefixes, and the file that comes with it. The log is told once that a file cannot be
    /// made and once that there is no room for one; such a file is not missed. Works on the disk.
    pub fn prepare(&self, owner: Owner<'_>) -> (Option<PrefixSpec>, Option<Given>) {
        let Some(wanted) = &owner.spec.prefixes else { return (None, None) };
        let fingerprint = Fingerprint::of(owner.spec, owner.format, owner.program, owner.files);
        let told = |file_bytes| {
            Some(PrefixSpec { file_bytes, fingerprint: fingerprint.to_vec(), ram_bytes: wanted.ram_bytes })
        };
        if wanted.file_bytes == 0 {
            return (told(0), None);
        }
        match self.make(fingerprint, &owner.spec.model, wanted.file_bytes) {
            Ok(Some((given, granted))) => (told(granted), Some(given)),
            Ok(None) => {
                if !self.0.has_warned_of_room.swap(true, Relaxed) {
                    let (model, path) = (&owner.spec.model, self.0.path.display());
                    tracing::warn!(
                        model, %path,
                        "prefixes are kept in RAM alone: other models' files take all the room that files for prefixes \
                         may; free some of the disk, raise prefixes.disk, or lower prefixes.file"
                    );
                }
                (told(0), None)
            }
            Err(error) => {
                if !self.0.has_warned_of_errors.swap(true, Relaxed) {
                    let path = self.0.path.display();
                    tracing::warn!(%error, %path, "prefixes are kept in RAM alone: there can be no file for them");
                }
                (told(0), None)
            }
        }
    }

    /// The claim of a worker that was told this by a former supervisor, if it was told of a file.
    pub fn claim(&self, told: &WorkerSpec) -> Option<Claim> {
        let prefixes = told.prefixes.as_ref().filter(|prefixes| prefixes.file_bytes > 0)?;
        Fingerprint::from_bytes(&prefixes.fingerprint).map(|fingerprint| self.0.claims.claim(fingerprint))
    }

    /// The files that there are, the last used first. Works on the disk.
    pub fn list(&self) -> Result<Vec<PrefixFile>, FolderError> {
        let _turn = self.turn();
        let Some(folder) = self.folder()? else { return Ok(Vec::new()) };
        let names = folder.names();
        let file = |entry: Entry| self.described(&entry, names.get(&entry.fingerprint.to_string()));
        let mut files: Vec<_> =
            self.entries(&folder).map_err(|source| self.error(source))?.into_iter().map(file).collect();
        files.sort_by(|a, b| (b.used, &a.path).cmp(&(a.used, &b.path)));
        Ok(files)
    }

    /// Removes the files of `model`, or all, but for those that a worker has. Answers with all that were meant: those
    /// that are in use are still there. Works on the disk.
    pub fn remove(&self, model: Option<&str>) -> Result<Vec<PrefixFile>, FolderError> {
        let _turn = self.turn();
        let Some(folder) = self.folder()? else { return Ok(Vec::new()) };
        let names = folder.names();
        let mut meant = Vec::new();
        for entry in self.entries(&folder).map_err(|source| self.error(source))? {
            let name = names.get(&entry.fingerprint.to_string());
            if model.is_some() && model != name.map(String::as_str) {
                continue;
            }
            if !entry.in_use {
                folder.remove(entry.fingerprint).map_err(|source| self.error(source))?;
            }
            meant.push(self.described(&entry, name));
        }
        Ok(meant)
    }

    /// The file, open and taken where nobody else has it, and what it may take of the disk; none where there is no room.
    fn make(&self, fingerprint: Fingerprint, model: &str, wanted: u64) -> io::Result<Option<(Given, u64)>> {
        let mut all_granted = self.turn();
        let folder = Folder::make(&self.0.path)?;
        let granted = self.make_room(&folder, fingerprint, wanted, &mut all_granted)?;
        if granted == 0 {
            return Ok(None);
        }
        all_granted.insert(fingerprint, granted);
        let file = folder.make_file(fingerprint)?;
        // A predecessor that has not ended yet may have it; this worker can take it when that one has.
        folder::try_lock(&file);
        folder.note_name(fingerprint, model)?;
        let claim = self.0.claims.claim(fingerprint);
        Ok(Some((Given { file: file.into(), claim }, granted)))
    }

    /// Removes what has to go so that the file may take as much of the disk as this answers.
    fn make_room(
        &self,
        folder: &Folder,
        fingerprint: Fingerprint,
        wanted: u64,
        granted: &mut Granted,
    ) -> io::Result<u64> {
        let config = self.0.config.borrow().prefixes.clone();
        let entries = self.entries(folder)?;
        granted.retain(|known, _| entries.iter().any(|entry| entry.fingerprint == *known));
        let used = entries.iter().map(|entry| entry.bytes).fold(0, u64::saturating_add);
        let share = folder.free_bytes()?.saturating_add(used) / DISK_SHARE;
        let (own, others): (Vec<Entry>, Vec<Entry>) =
            entries.into_iter().partition(|entry| entry.fingerprint == fingerprint);
        let other = |entry: &Entry| {
            let granted = || granted.get(&entry.fingerprint).copied().unwrap_or(config.file.0);
            let bytes = if entry.in_use { entry.bytes.max(granted()) } else { entry.bytes };
            Other { bytes, used: entry.used, in_use: entry.in_use }
        };
        let counted: Vec<Other> = others.iter().map(other).collect();
        let own_bytes = own.iter().map(|entry| entry.bytes).sum();
        let plan = room::plan(own_bytes, &counted, wanted, config.disk.0.min(share));
        for idx in plan.going {
            folder.remove(others[idx].fingerprint)?;
        }
        Ok(plan.granted)
    }

    fn folder(&self) -> Result<Option<Folder>, FolderError> {
        match Folder::open(&self.0.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some).map_err(|source| self.error(source)),
        }
    }

    fn entries(&self, folder: &Folder) -> io::Result<Vec<Entry>> {
        let mut entries = folder.entries()?;
        for entry in &mut entries {
            entry.in_use |= self.0.claims.has(entry.fingerprint);
        }
        Ok(entries)
    }

    fn described(&self, entry: &Entry, name: Option<&String>) -> PrefixFile {
        PrefixFile {
            model: name.cloned(),
            path: self.0.path.join(folder::name(entry.fingerprint)),
            bytes: entry.bytes,
            used: entry.used,
            in_use: entry.in_use,
        }
    }

    fn error(&self, source: io::Error) -> FolderError {
        FolderError { path: self.0.path.clone(), source }
    }

    fn turn(&self) -> std::sync::MutexGuard<'_, Granted> {
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The keys that open the server: those that `supervisorctl key add` makes are in a file of the state folder, beside
//! when each key was last used. Only digests are known here.

mod exposure;
mod file;
mod message;
mod used;

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use impetus_config::{Config, KeyEntry, Moment};
use impetus_proto::{
    Code, Error,
    key::{Key, KeySet, KeyUse},
};
use tokio::sync::watch;

pub use exposure::Exposed;
pub use file::{KeyFile, KeyFileError, Made, MadeKeys};
pub use message::{from_message, to_message};

use used::Used;

/// The keys of a running server.
#[derive(Debug, Clone)]
pub struct Keys(Arc<State>);

#[derive(Debug)]
struct State {
    file: KeyFile,
    made: watch::Sender<MadeKeys>,
    used: Mutex<Used>,
    /// Held while the file is changed.
    turn: Mutex<()>,
}

impl Keys {
    /// Those that are kept in this state folder. A file that cannot be read is an error: without it, who knows who may
    /// come in.
    pub fn load(state_dir: &Path) -> Result<Self, KeyFileError> {
        let file = KeyFile::new(state_dir);
        let made = watch::Sender::new(file.read()?);
        let (used, turn) = (Mutex::new(Used::load(state_dir)), Mutex::default());
        Ok(Self(Arc::new(State { file, made, used, turn })))
    }

    /// What a gateway has to know, now and after each change.
    pub fn watch(&self) -> watch::Receiver<MadeKeys> {
        self.0.made.subscribe()
    }

    /// What a gateway has to know.
    pub fn now(&self) -> KeySet {
        self.0.made.borrow().to_message()
    }

    /// Every key, and when it was last used.
    pub fn list(&self, config: &Config) -> KeySet {
        let made = self.0.made.borrow().to_message();
        let declared = config.auth.key.iter().map(|entry| Key { declared: true, ..to_message(entry, None) });
        let used = locked(&self.0.used);
        let with_use = |key: Key| Key { last_used_unix_s: used.of(&key.name), ..key };
        KeySet { keys: made.keys.into_iter().chain(declared).map(with_use).collect(), ..made }
    }

    /// Adds a key. Waits for the disk.
    pub fn add(&self, entry: KeyEntry, config: &Config) -> Result<(), Error> {
        if config.auth.key.iter().any(|declared| declared.name == entry.name) {
            let message =
                format!("the configuration declares a key {:?} already; take another name", entry.name);
            return Err(Error::new(Code::Conflict, message).with_param("name"));
        }
        self.change(|made| made.with(entry, Moment::now()))
    }

    /// Takes a key away, and answers how many there are left that open something. Waits for the disk.
    pub fn revoke(&self, name: &str, config: &Config) -> Result<u32, Error> {
        if config.auth.key.iter().any(|declared| declared.name == name) {
            let message =
                format!("the configuration declares the key {name:?}; take it out there, then reload");
            return Err(Error::new(Code::Conflict, message).with_param("name"));
        }
        self.change(|made| made.without(name))?;
        let now = Moment::now();
        let declared = config.auth.key.iter().filter(|entry| is_alive(entry, now)).count();
        Ok((declared + self.0.made.borrow().alive(now)) as u32)
    }

    /// Notes when keys were last used.
    pub fn note_use(&self, uses: &[KeyUse], config: &Config) {
        let made = self.0.made.borrow().clone();
        let is_known = |name: &str| {
            made.keys.iter().any(|made| made.entry.name == name)
                || config.auth.key.iter().any(|entry| entry.name == name)
        };
        locked(&self.0.used).note(uses, is_known);
    }

    /// Whether somebody could come in who is not to.
    pub fn check_exposure(&self, config: &Config) -> Result<(), Exposed> {
        exposure::check(config, &self.0.made.borrow(), Moment::now())
    }

    fn change(&self, change: impl FnOnce(&MadeKeys) -> Result<MadeKeys, Error>) -> Result<(), Error> {
        let _turn = locked(&self.0.turn);
        let made = change(&self.0.made.borrow())?;
        self.0.file.write(&made).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        self.0.made.send_replace(made);
        Ok(())
    }
}

/// Whether the key's time is not over.
fn is_alive(entry: &KeyEntry, now: Moment) -> bool {
    entry.expires.is_none_or(|end| end > now)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

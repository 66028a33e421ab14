//! What is written down of every child in the runtime folder, so that the next supervisor finds it: a file
//! `<name>.child` from the child's start to its end.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use impetus_proto::launch::AdoptionSpec;
use serde::{Deserialize, Serialize};

use super::{Identity, identity::this_boot};

/// The longest record that is read, in bytes; a gateway's holds its whole configuration.
const MAX_BYTES: u64 = 4 << 20;

/// How a record's file name ends.
const SUFFIX: &str = "child";

/// How the name of a record ends that is not yet whole.
const UNFINISHED: &str = "child-new";

/// How the name of the socket ends on which a child waits for its next supervisor. No longer than that of the sockets
/// which workers serve on, since the length of their paths is bounded.
const SOCKET_SUFFIX: &str = "next";

/// Where the records of this server's children are.
#[derive(Debug, Clone)]
pub struct Records {
    /// The runtime folder.
    pub dir: PathBuf,
    /// How long children go on without a supervisor.
    pub grace: Duration,
}

/// What the next supervisor is told of a child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The run of the machine that the child belongs to.
    boot: String,
    /// The child.
    #[serde(flatten)]
    pub identity: Identity,
    /// What only its supervisors know.
    pub token: String,
    /// Where it waits for the next one.
    pub socket: PathBuf,
    /// What it is.
    pub child: Kind,
}

/// What a child is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A gateway.
    Gateway {
        /// The configuration that it was given.
        config: String,
    },
    /// A worker.
    Worker {
        /// Its id.
        id: String,
        /// Its format.
        format: String,
    },
}

/// A record on disk, which is there as long as its child.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    record: Record,
}

impl Records {
    /// Writes down the child `name`. For it to be adopted, tell it [`Records::spec`] afterwards.
    pub fn keep(&self, name: &str, pid: u32, child: Kind) -> io::Result<Kept> {
        let identity = Identity::of(pid).ok_or(io::ErrorKind::NotFound)?;
        let socket = self.dir.join(format!("{name}.{SOCKET_SUFFIX}"));
        let token = format!("{:032x}", rand::random::<u128>());
        let record = Record { boot: this_boot().to_owned(), identity, token, socket, child };
        let path = self.dir.join(format!("{name}.{SUFFIX}"));
        write_whole(&path, &serde_json::to_vec(&record)?)?;
        Ok(Kept { path, record })
    }

    /// What the child is told.
    pub fn spec(&self, kept: &Kept) -> AdoptionSpec {
        AdoptionSpec {
            socket: kept.record.socket.to_string_lossy().into_owned(),
            token: kept.record.token.clone(),
            grace_s: u32::try_from(self.grace.as_secs()).unwrap_or(u32::MAX),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway { .. } => f.write_str("gateway"),
            Self::Worker { id, .. } => f.write_str(id),
        }
    }
}

impl Record {
    /// Whether the child runs.
    pub fn is_alive(&self) -> bool {
        self.boot == this_boot() && self.identity.is_alive()
    }
}

impl Kept {
    /// What is written there.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Forgets the child, which has ended, and the socket that it left.
    pub fn remove(self) {
        // A sealed worker cannot remove the socket that it served on.
        for path in [&self.path, &self.record.socket, &self.path.with_extension("sock")] {
            remove(path);
        }
    }
}

/// The records of a former supervisor in `dir`. What cannot be read is removed: whoever it was ends by itself.
pub(super) fn read_all(dir: &Path) -> Vec<Kept> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut all = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        match path.extension().and_then(|suffix| suffix.to_str()) {
            Some(SUFFIX) => match read(&path) {
                // A record cannot have another child's socket removed, or a file that is none of ours.
                Some(record) if record.socket == path.with_extension(SOCKET_SUFFIX) => {
                    all.push(Kept { path, record });
                }
                _ => remove(&path),
            },
            Some(UNFINISHED) => remove(&path),
            _ => {}
        }
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

fn read(path: &Path) -> Option<Record> {
    let is_small = fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() <= MAX_BYTES);
    is_small.then(|| serde_json::from_slice(&fs::read(path).ok()?).ok()).flatten()
}

/// A reader sees all of it or nothing. It need not survive the machine, only this process.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension(UNFINISHED);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes).and_then(|()| fs::rename(&unfinished, path)).inspect_err(|_| remove(&unfinished))
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "a file of an ended process cannot be removed");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn records(dir: &Path) -> Records {
        Records { dir: dir.into(), grace: Duration::from_secs(15) }
    }

    fn worker() -> Kind {
        Kind::Worker { id: "gguf-1".into(), format: "gguf".into() }
    }

    #[test]
    fn what_is_kept_is_read_again_and_then_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let records = records(dir.path());
        let kept = records.keep("gguf-1", std::process::id(), worker()).unwrap();
        let spec = records.spec(&kept);
        assert_eq!((spec.token.len(), spec.grace_s), (32, 15));
        assert_eq!(Path::new(&spec.socket), dir.path().join("gguf-1.next"));
        let mode = fs::metadata(&kept.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let [found] = <[Kept; 1]>::try_from(read_all(dir.path())).unwrap();
        assert_eq!(found.record(), kept.record());
        assert!(found.record().is_alive());
        found.remove();
        assert!(read_all(dir.path()).is_empty());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn tokens_differ() {
        let dir = tempfile::tempdir().unwrap();
        let token = || {
            let kept = records(dir.path()).keep("a", std::process::id(), worker()).unwrap();
            kept.record().token.clone()
        };
        assert_ne!(token(), token());
    }

    #[test]
    fn another_boot_or_process_is_not_this_child() {
        let dir = tempfile::tempdir().unwrap();
        let kept = records(dir.path()).keep("a", std::process::id(), worker()).unwrap();
        let record = kept.record().clone();
        assert!(!Record { boot: "another".into(), ..record.clone() }.is_alive());
        let reused = Identity { started: record.identity.started + 1, ..record.identity };
        assert!(!Record { identity: reused, ..record }.is_alive());
    }

    #[test]
    fn a_process_that_is_gone_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        assert!(records(dir.path()).keep("a", u32::MAX, worker()).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn garbage_is_cleared_away() {
        let dir = tempfile::tempdir().unwrap();
        let kept = records(dir.path()).keep("a", std::process::id(), worker()).unwrap();
        let elsewhere = Record { socket: "/etc/passwd".into(), ..kept.record().clone() };
        for (name, bytes) in [
            ("torn.child", &b"{\"pid\":"[..]),
            ("binary.child", &[0xff; 40]),
            ("b.child", &serde_json::to_vec(&elsewhere).unwrap()),
            ("c.child-new", b"{}"),
            ("notes", b"kept"),
        ] {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        assert_eq!(read_all(dir.path()).len(), 1);
        let mut left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["a.child", "notes"]);
    }
}

//! The catalogue's database. One process uses it, the one that holds the lock on the state folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use impetus_models::ModelName;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::{Digest, Kept, KeptFile, Origin, PullRow, PullState, StoreError};

/// The form of the tables below, in the file's own header.
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE model (
    name TEXT PRIMARY KEY,
    stage TEXT NOT NULL,
    staging TEXT NOT NULL,
    origin TEXT NOT NULL,
    source TEXT NOT NULL,
    revision TEXT NOT NULL,
    format TEXT NOT NULL,
    quantization TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    added_s INTEGER NOT NULL,
    verified_s INTEGER NOT NULL,
    damage TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE file (
    model TEXT NOT NULL REFERENCES model (name) ON DELETE CASCADE,
    path TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 BLOB,
    modified_ns INTEGER NOT NULL,
    PRIMARY KEY (model, path)
) STRICT, WITHOUT ROWID;
CREATE TABLE pull (
    id TEXT PRIMARY KEY,
    reference TEXT NOT NULL,
    name TEXT NOT NULL,
    format TEXT NOT NULL,
    detached INTEGER NOT NULL,
    state TEXT NOT NULL,
    detail TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    total_bytes INTEGER NOT NULL,
    started_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

const PRESENT: &str = "present";
const PUBLISHING: &str = "publishing";
const REMOVING: &str = "removing";

/// How far a change to a model is. It is written down before each step, so that the next start goes on from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is in its place.
    Present,
    /// What is in this staging folder becomes it.
    Publishing(String),
    /// It goes.
    Removing,
}

#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    connection: Connection,
}

impl Database {
    /// Opens the file, or makes it. One that is none is kept beside a new one: models are found again by their folders.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        match Self::try_open(path) {
            Err(StoreError::Catalogue { source, .. }) if is_garbage(&source) => {
                let aside = path.with_extension("db.damaged");
                tracing::error!(path = %path.display(), aside = %aside.display(), error = %source,
                    "the catalogue is damaged and is made anew from the models that are there");
                fs::rename(path, &aside).map_err(super::failed("move away", path))?;
                for tail in ["db-wal", "db-shm"] {
                    // They belong to what was moved away, and may not be there.
                    let _ = fs::remove_file(path.with_extension(tail));
                }
                Self::try_open(path)
            }
            opened => opened,
        }
    }

    fn try_open(path: &Path) -> Result<Self, StoreError> {
        let prepared = Connection::open(path).and_then(|mut connection| {
            prepare(&mut connection)?;
            Ok(connection)
        });
        let catalogue = |source| StoreError::Catalogue { path: path.to_owned(), source };
        let connection = prepared.map_err(catalogue)?;
        Ok(Self { path: path.to_owned(), connection })
    }

    /// All models that are in their place, by name.
    pub(super) fn models(&self) -> Result<Vec<Kept>, StoreError> {
        self.told(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT name, origin, source, revision, format, quantization, bytes, added_s, verified_s, damage
                 FROM model WHERE stage = ?1 ORDER BY name",
            )?;
            let rows = statement.query_map([PRESENT], kept)?;
            let mut models = Vec::new();
            for row in rows {
                // A name that is none was not written by this program.
                if let Some(kept) = row? {
                    let files = files(connection, kept.name.as_str())?;
                    models.push(Kept { files, ..kept });
                }
            }
            Ok(models)
        })
    }

    /// Writes a model down with all its files, in place of what was known of it.
    pub(super) fn put(&mut self, kept: &Kept, stage: &Stage) -> Result<(), StoreError> {
        let (stage, staging) = stage.columns();
        self.changed(|transaction| {
            let name = kept.name.as_str();
            transaction.execute("DELETE FROM model WHERE name = ?1", [name])?;
            transaction.execute(
                "INSERT INTO model VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                params![
                    name,
                    stage,
                    staging,
                    kept.origin.name(),
                    kept.source,
                    kept.revision,
                    kept.format,
                    kept.quantization,
                    signed(kept.bytes),
                    signed(kept.added_s),
                    signed(kept.verified_s),
                    kept.damage,
                ],
            )?;
            for file in &kept.files {
                transaction.execute(
                    "INSERT INTO file VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![
                        name,
                        file.path.to_string_lossy(),
                        signed(file.bytes),
                        file.sha256.map(|digest| digest.0.to_vec()),
                        file.modified_ns,
                    ],
                )?;
            }
            Ok(())
        })
    }

    pub(super) fn set_stage(&mut self, name: &ModelName, stage: &Stage) -> Result<(), StoreError> {
        let (stage, staging) = stage.columns();
        self.changed(|transaction| {
            let values = params![name.as_str(), stage, staging];
            transaction.execute("UPDATE model SET stage = ?2, staging = ?3 WHERE name = ?1", values).map(drop)
        })
    }

    /// Models whose last change was not finished.
    pub(super) fn unfinished(&self) -> Result<Vec<(ModelName, Stage)>, StoreError> {
        self.told(|connection| {
            let mut statement =
                connection.prepare("SELECT name, stage, staging FROM model WHERE stage <> ?1")?;
            let rows = statement.query_map([PRESENT], |row| {
                let stage = match row.get::<_, String>(1)?.as_str() {
                    REMOVING => Stage::Removing,
                    _ => Stage::Publishing(row.get(2)?),
                };
                Ok(ModelName::new(&row.get::<_, String>(0)?).ok().map(|name| (name, stage)))
            })?;
            rows.filter_map(Result::transpose).collect()
        })
    }

    pub(super) fn forget(&mut self, name: &ModelName) -> Result<(), StoreError> {
        self.changed(|transaction| {
            transaction.execute("DELETE FROM model WHERE name = ?1", [name.as_str()]).map(drop)
        })
    }

    pub(super) fn pulls(&self) -> Result<Vec<PullRow>, StoreError> {
        self.told(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, reference, name, format, detached, state, detail, bytes, total_bytes, started_s
                 FROM pull ORDER BY started_s, id",
            )?;
            statement.query_map([], pull)?.collect()
        })
    }

    pub(super) fn put_pull(&mut self, pull: &PullRow) -> Result<(), StoreError> {
        self.changed(|transaction| {
            transaction
                .execute(
                    "INSERT OR REPLACE INTO pull VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                    params![
                        pull.id,
                        pull.reference,
                        pull.name,
                        pull.format,
                        pull.detached,
                        pull.state.name(),
                        pull.detail,
                        signed(pull.bytes),
                        signed(pull.total_bytes),
                        signed(pull.started_s),
                    ],
                )
                .map(drop)
        })
    }

    pub(super) fn detach_pull(&mut self, id: &str) -> Result<(), StoreError> {
        self.changed(|transaction| {
            transaction.execute("UPDATE pull SET detached = TRUE WHERE id = ?1", [id]).map(drop)
        })
    }

    pub(super) fn forget_pull(&mut self, id: &str) -> Result<(), StoreError> {
        self.changed(|transaction| transaction.execute("DELETE FROM pull WHERE id = ?1", [id]).map(drop))
    }

    fn told<T>(&self, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        ask(&self.connection).map_err(|source| StoreError::Catalogue { path: self.path.clone(), source })
    }

    fn changed(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let path = self.path.clone();
        let changed = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(
            |transaction| {
                change(&transaction)?;
                transaction.commit()
            },
        );
        changed.map_err(|source| StoreError::Catalogue { path, source })
    }
}

impl Stage {
    fn columns(&self) -> (&'static str, &str) {
        match self {
            Self::Present => (PRESENT, ""),
            Self::Publishing(staging) => (PUBLISHING, staging),
            Self::Removing => (REMOVING, ""),
        }
    }
}

/// Prepares a connection, and the file where it is new. What was committed is on the disk, whatever happens next.
fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != VERSION {
        // A file of another build: models are found again by their folders.
        transaction.execute_batch(
            "DROP TABLE IF EXISTS file; DROP TABLE IF EXISTS model; DROP TABLE IF EXISTS pull;",
        )?;
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    // Damage shows here, not in the middle of a pull.
    let verdict: Option<String> =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).optional()?;
    match verdict.as_deref() {
        Some("ok") | None => Ok(()),
        Some(why) => Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
            Some(why.to_owned()),
        )),
    }
}

fn is_garbage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Option<Kept>> {
    let Ok(name) = ModelName::new(&row.get::<_, String>(0)?) else { return Ok(None) };
    let origin: String = row.get(1)?;
    Ok(Some(Kept {
        name,
        origin: Origin::ALL.into_iter().find(|known| known.name() == origin).unwrap_or(Origin::Found),
        source: row.get(2)?,
        revision: row.get(3)?,
        format: row.get(4)?,
        quantization: row.get(5)?,
        bytes: unsigned(row, 6)?,
        added_s: unsigned(row, 7)?,
        verified_s: unsigned(row, 8)?,
        damage: row.get(9)?,
        files: Vec::new(),
    }))
}

fn files(connection: &Connection, model: &str) -> rusqlite::Result<Vec<KeptFile>> {
    let mut statement = connection
        .prepare_cached("SELECT path, bytes, sha256, modified_ns FROM file WHERE model = ?1 ORDER BY path")?;
    let rows = statement.query_map([model], |row| {
        let sha256: Option<Vec<u8>> = row.get(2)?;
        Ok(KeptFile {
            path: PathBuf::from(row.get::<_, String>(0)?),
            bytes: unsigned(row, 1)?,
            sha256: sha256.and_then(|bytes| bytes.try_into().ok()).map(Digest),
            modified_ns: row.get(3)?,
        })
    })?;
    rows.collect()
}

fn pull(row: &Row<'_>) -> rusqlite::Result<PullRow> {
    let state: String = row.get(5)?;
    Ok(PullRow {
        id: row.get(0)?,
        reference: row.get(1)?,
        name: row.get(2)?,
        format: row.get(3)?,
        detached: row.get(4)?,
        state: PullState::ALL.into_iter().find(|known| known.name() == state).unwrap_or(PullState::Stopped),
        detail: row.get(6)?,
        bytes: unsigned(row, 7)?,
        total_bytes: unsigned(row, 8)?,
        started_s: unsigned(row, 9)?,
    })
}

/// SQLite's integers have a sign; what is counted here is never that large.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or_default())
}

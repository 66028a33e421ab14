//! The database of presets.

use std::{io, path::Path};

use rusqlite::{Connection, OptionalExtension, params};

use super::Preset;
use crate::database::{self, unsigned};

/// The name of the file in the folder, to which SQLite adds two of its own.
const FILE: &str = "presets.db";

/// The form of the table below, in the file's own header.
const VERSION: i64 = 1;

/// `body` is the preset as JSON.
const TABLE: &str = "
CREATE TABLE preset (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// The most presets.
const MAX_PRESETS: u64 = 1000;

/// The most bytes of one, as JSON.
const MAX_PRESET_BYTES: u64 = 1 << 20;

/// The most bytes of all.
const MAX_BYTES: u64 = 32 << 20;

/// The database cannot be used, or not for this.
#[derive(Debug, thiserror::Error)]
pub(super) enum DatabaseError {
    #[error("cannot use the folder {folder}: {source}")]
    Folder { folder: String, source: io::Error },
    #[error(
        "{file} is of another version of this server ({version}, and this one reads {VERSION}); move it away to begin anew"
    )]
    OtherVersion { file: String, version: i64 },
    #[error(
        "the model's texts take {bytes} bytes, and at most {MAX_PRESET_BYTES} are kept of one; make it shorter"
    )]
    TooLarge { bytes: u64 },
    #[error(
        "no more models can be made of others: there are {presets} with {bytes} bytes, and at most {MAX_PRESETS} with \
         {MAX_BYTES}; delete one"
    )]
    Full { presets: u64, bytes: u64 },
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("a preset that was kept cannot be read: {0}")]
    Json(#[from] serde_json::Error),
}

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
}

impl DatabaseError {
    /// Whether the file is not what it should be.
    pub(super) fn is_corrupt(&self) -> bool {
        matches!(self, Self::Sqlite(error) if database::is_corrupt(error))
    }
}

impl Database {
    /// The one in this folder, if there is any.
    pub(super) fn find_in(folder: &Path, now: u64) -> Result<Option<Self>, DatabaseError> {
        if folder.join(FILE).exists() { Self::open(folder, now).map(Some) } else { Ok(None) }
    }

    /// Opens the one in this folder, which is made where there is none. A file that is none is set aside for whoever wants
    /// to look at it.
    pub(super) fn open(folder: &Path, now: u64) -> Result<Self, DatabaseError> {
        let in_folder = in_folder(folder);
        database::protect(folder, FILE).map_err(&in_folder)?;
        match Self::connect(folder) {
            Err(error) if error.is_corrupt() => {
                database::set_aside(folder, FILE, now, &error.to_string()).map_err(&in_folder)?;
                database::protect(folder, FILE).map_err(&in_folder)?;
                Self::connect(folder)
            }
            connected => connected,
        }
    }

    /// Moves the file out of the way. Another one is made when the next preset comes.
    pub(super) fn set_aside(self, folder: &Path, now: u64) -> Result<(), DatabaseError> {
        drop(self);
        database::set_aside(folder, FILE, now, "it broke while it was in use").map_err(in_folder(folder))
    }

    /// The preset of this name.
    pub(super) fn find(&self, name: &str) -> Result<Option<Preset>, DatabaseError> {
        let mut query = self.connection.prepare_cached("SELECT body FROM preset WHERE name = ?1")?;
        let body: Option<String> = query.query_row(params![name], |row| row.get(0)).optional()?;
        Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
    }

    /// Every one, by name.
    pub(super) fn list(&self) -> Result<Vec<Preset>, DatabaseError> {
        let mut query = self.connection.prepare_cached("SELECT body FROM preset ORDER BY name")?;
        let mut rows = query.query([])?;
        let mut presets = Vec::new();
        while let Some(row) = rows.next()? {
            presets.push(serde_json::from_str(&row.get::<_, String>(0)?)?);
        }
        Ok(presets)
    }

    /// Keeps a preset, instead of one that has the same name.
    pub(super) fn put(&mut self, preset: &Preset) -> Result<(), DatabaseError> {
        let body = Self::body_of(preset)?;
        let transaction = database::write(&mut self.connection)?;
        transaction
            .prepare_cached("INSERT OR REPLACE INTO preset (name, body) VALUES (?1, ?2)")?
            .execute(params![preset.name, body])?;
        let (presets, bytes) = transaction
            .prepare_cached("SELECT count(*), coalesce(sum(octet_length(body)), 0) FROM preset")?
            .query_row([], |row| Ok((unsigned(row.get(0)?), unsigned(row.get(1)?))))?;
        if presets > MAX_PRESETS || bytes > MAX_BYTES {
            // Dropping the transaction takes it back.
            return Err(DatabaseError::Full { presets, bytes });
        }
        Ok(transaction.commit()?)
    }

    /// A preset as it is kept.
    pub(super) fn body_of(preset: &Preset) -> Result<String, DatabaseError> {
        let body = serde_json::to_string(preset)?;
        let bytes = body.len() as u64;
        if bytes > MAX_PRESET_BYTES { Err(DatabaseError::TooLarge { bytes }) } else { Ok(body) }
    }

    /// Keeps a preset under a second name as well; false when there is none of the first.
    pub(super) fn copy(&mut self, from: &str, to: &str, now: u64) -> Result<bool, DatabaseError> {
        let Some(preset) = self.find(from)? else { return Ok(false) };
        self.put(&Preset { name: to.to_owned(), created_unix_s: now, ..preset })?;
        Ok(true)
    }

    /// Removes a preset; false when there is none.
    pub(super) fn remove(&self, name: &str) -> Result<bool, DatabaseError> {
        let removed =
            self.connection.prepare_cached("DELETE FROM preset WHERE name = ?1")?.execute(params![name])?;
        Ok(removed > 0)
    }

    fn connect(folder: &Path) -> Result<Self, DatabaseError> {
        let file = folder.join(FILE);
        let mut connection = Connection::open(&file)?;
        database::prepare(&connection)?;
        let transaction = database::write(&mut connection)?;
        match transaction.pragma_query_value(None, "user_version", |row| row.get(0))? {
            VERSION => {}
            0 => {
                transaction.execute_batch(TABLE)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
            }
            // These were made by somebody's hand, so nothing of them is given up.
            version => {
                return Err(DatabaseError::OtherVersion { file: file.display().to_string(), version });
            }
        }
        transaction.commit()?;
        Ok(Self { connection })
    }
}

fn in_folder(folder: &Path) -> impl Fn(io::Error) -> DatabaseError {
    let folder = folder.display().to_string();
    move |source| DatabaseError::Folder { folder: folder.clone(), source }
}

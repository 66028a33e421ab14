//! The database itself, on whose thread everything here runs.

use std::{io, path::Path};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde_json::{Map, Value};

use super::{
    Kept,
    presence::Presence,
    row::{End, Row, Stored, bytes_of},
    schema,
    work::Place,
};
use crate::{
    database::{self, signed, unsigned, write},
    dialect::openai::responses::background::Background,
};

mod held;
mod history;
mod upkeep;

pub(in crate::dialect::openai::responses) use history::MAX_CONVERSATION_BYTES;
pub(super) use upkeep::Bounds;

use held::Held;

/// The name of the file in the folder, to which SQLite adds two of its own.
const FILE: &str = "responses.db";

/// What a response says of itself whose end is not kept, though its gateway lives.
const UNKEPT: &str = "the gateway could not finish this response, or not keep it; its log has the cause";

/// The database cannot be used, or not for this.
#[derive(Debug, thiserror::Error)]
pub(super) enum DatabaseError {
    #[error("cannot use the folder {folder}: {source}")]
    Folder { folder: String, source: io::Error },
    #[error(
        "the response would be kept with {bytes} bytes or more, its input included, and at most {max} can be kept of one (a \
         quarter of responses.max_bytes); send less, or store = false"
    )]
    TooLarge { bytes: u64, max: u64 },
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("a response that was kept is no JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    presence: Presence,
    bounds: Bounds,
    /// What this gateway makes.
    background: Background,
    /// What there is, as far as this gateway has seen.
    held: Held,
}

impl DatabaseError {
    /// Whether the file is not what it should be.
    pub(super) fn is_corrupt(&self) -> bool {
        matches!(self, Self::Sqlite(error) if database::is_corrupt(error))
    }
}

impl Database {
    /// Opens the database at this place. A file that is none is set aside for whoever wants to look at it.
    pub(super) fn open(place: &Place, now: u64) -> Result<Self, DatabaseError> {
        let Place { folder, bounds, background } = place;
        let in_folder = |source| DatabaseError::Folder { folder: folder.display().to_string(), source };
        database::protect(folder, FILE).map_err(in_folder)?;
        let presence = Presence::show(folder).map_err(in_folder)?;
        let connection = match connect(folder) {
            Err(error) if error.is_corrupt() => {
                database::set_aside(folder, FILE, now, &error.to_string()).map_err(in_folder)?;
                database::protect(folder, FILE).map_err(in_folder)?;
                connect(folder)?
            }
            connection => connection?,
        };
        let (bounds, background) = (*bounds, background.clone());
        let mut database = Self { connection, presence, bounds, background, held: Held::default() };
        database.presence.tidy();
        database.sweep(now)?;
        Ok(database)
    }

    /// Moves the file out of the way.
    pub(super) fn set_aside(self, folder: &Path, now: u64) -> io::Result<()> {
        // Another one is opened when the next job comes.
        drop(self);
        database::set_aside(folder, FILE, now, "it broke while it was in use")
    }

    /// Keeps a response with the items of its input; others may have to go for it.
    pub(super) fn insert(&mut self, row: &Row, inputs: &[Kept], now: u64) -> Result<(), DatabaseError> {
        let bytes = row.end.bytes() + bytes_of(inputs);
        self.bounds.admit(bytes)?;
        let transaction = write(&mut self.connection)?;
        transaction
            .prepare_cached(
                "INSERT INTO response (id, caller, created_s, used_s, previous, status, gateway, object, events, bytes)
                 VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                row.id,
                row.caller,
                signed(now),
                row.previous,
                row.end.status,
                self.presence.id,
                row.end.object,
                row.end.events,
                signed(bytes)
            ])?;
        insert_items(&transaction, &row.id, false, inputs)?;
        insert_items(&transaction, &row.id, true, &row.end.outputs)?;
        let mut held = self.held.clone();
        held.came(&row.caller, bytes);
        self.bounds.make_room(&transaction, &mut held, &row.id)?;
        transaction.commit()?;
        self.held = held;
        Ok(())
    }

    /// A response is with a worker of this model.
    pub(super) fn begin(&mut self, id: &str, model: &str) -> Result<(), DatabaseError> {
        self.connection
            .prepare_cached(
                "UPDATE response SET status = 'in_progress',
                    object = json_set(object, '$.status', 'in_progress', '$.model', ?2)
                 WHERE id = ?1",
            )?
            .execute(params![id, model])?;
        Ok(())
    }

    /// A response is over.
    pub(super) fn end(&mut self, id: &str, end: &End) -> Result<(), DatabaseError> {
        // It has been counted with an object of about the same length.
        let added = end.bytes() - end.object.len() as u64;
        let transaction = write(&mut self.connection)?;
        let updated: Option<(String, i64)> = transaction
            .prepare_cached(
                "UPDATE response SET status = ?2, object = ?3, events = ?4, bytes = bytes + ?5 WHERE id = ?1
                 RETURNING caller, bytes",
            )?
            .query_row(params![id, end.status, end.object, end.events, signed(added)], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        // It may have been deleted meanwhile.
        let Some((caller, bytes)) = updated else { return Ok(()) };
        self.bounds.admit(unsigned(bytes))?;
        insert_items(&transaction, id, true, &end.outputs)?;
        let mut held = self.held.clone();
        held.grew(&caller, added);
        self.bounds.make_room(&transaction, &mut held, id)?;
        transaction.commit()?;
        self.held = held;
        Ok(())
    }

    /// A response comes to nothing.
    pub(super) fn lose(&mut self, id: &str) -> Result<(), DatabaseError> {
        self.fail("id", id, UNKEPT)
    }

    /// A response of this caller's.
    pub(super) fn get(&mut self, id: &str, caller: &str, now: u64) -> Result<Option<Stored>, DatabaseError> {
        self.fail_orphans()?;
        let mut query = self.connection.prepare_cached(
            "SELECT object, events, status IN ('queued', 'in_progress') FROM response
             WHERE id = ?1 AND caller = ?2 AND used_s > ?3",
        )?;
        let found = query
            .query_row(params![id, caller, self.bounds.oldest(now)], |row| {
                Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        drop(query);
        let Some((object, events, is_running)) = found else { return Ok(None) };
        let mut object: Map<String, Value> = serde_json::from_str(&object)?;
        let outputs = self.items(id, true)?;
        let outputs =
            outputs.iter().map(|item| serde_json::from_str(&item.json)).collect::<Result<_, _>>()?;
        object.insert("output".to_owned(), Value::Array(outputs));
        Ok(Some(Stored { object, events, is_running }))
    }

    /// Removes a response of this caller's; false when there is none.
    pub(super) fn delete(&mut self, id: &str, caller: &str) -> Result<bool, DatabaseError> {
        let deleted: Option<i64> = self
            .connection
            .prepare_cached("DELETE FROM response WHERE id = ?1 AND caller = ?2 RETURNING bytes")?
            .query_row(params![id, caller], |row| row.get(0))
            .optional()?;
        if let Some(bytes) = deleted {
            self.held.gone(caller, unsigned(bytes));
        }
        Ok(deleted.is_some())
    }

    /// Whoever makes this response is to stop.
    pub(super) fn ask_to_cancel(&mut self, id: &str) -> Result<(), DatabaseError> {
        self.connection
            .prepare_cached("UPDATE response SET is_to_cancel = 1 WHERE id = ?1")?
            .execute(params![id])?;
        Ok(())
    }

    /// Whether that was asked of this response's maker, or it is deleted.
    pub(super) fn is_to_cancel(&mut self, id: &str) -> Result<bool, DatabaseError> {
        let asked: Option<bool> = self
            .connection
            .prepare_cached("SELECT is_to_cancel FROM response WHERE id = ?1")?
            .query_row(params![id], |row| row.get(0))
            .optional()?;
        Ok(asked.unwrap_or(true))
    }

    fn items(&self, response: &str, is_output: bool) -> Result<Vec<Kept>, DatabaseError> {
        let mut query = self.connection.prepare_cached(
            "SELECT id, json FROM item WHERE response = ?1 AND is_output = ?2 ORDER BY place",
        )?;
        let items = query.query_map(params![response, is_output], kept)?.collect::<Result<_, _>>()?;
        Ok(items)
    }
}

fn kept(row: &rusqlite::Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept { id: row.get(0)?, json: row.get(1)? })
}

fn insert_items(
    transaction: &Transaction<'_>,
    response: &str,
    is_output: bool,
    items: &[Kept],
) -> Result<(), DatabaseError> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO item (response, is_output, place, id, json) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (place, item) in items.iter().enumerate() {
        insert.execute(params![response, is_output, signed(place as u64), item.id, item.json])?;
    }
    Ok(())
}

fn connect(folder: &Path) -> Result<Connection, DatabaseError> {
    let mut connection = Connection::open(folder.join(FILE))?;
    schema::prepare(&mut connection)?;
    Ok(connection)
}

#[cfg(test)]
mod tests;

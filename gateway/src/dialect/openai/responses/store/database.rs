//! The database itself, on whose thread everything here runs.

use std::{fs, io, path::Path};

use impetus_config::ResponsesConfig;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, params};
use serde_json::{Map, Value};
use tracing::warn;

use super::{
    Kept,
    presence::Presence,
    row::{End, Order, Page, Row, Stored, bytes_of},
    schema,
};

/// The name of the file in the folder, to which SQLite adds two of its own.
const FILE: &str = "responses.db";

/// The most turns of one conversation.
const MAX_TURNS: usize = 4096;

/// What a response that nobody makes any more says of itself.
const LOST: &str = "the gateway ended before this response was whole; send the request again";

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(in crate::dialect::openai::responses) struct Bounds {
    pub(in crate::dialect::openai::responses) retention_s: u64,
    pub(in crate::dialect::openai::responses) max_responses: u64,
    pub(in crate::dialect::openai::responses) max_bytes: u64,
}

/// The database cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum DatabaseError {
    #[error("cannot use the folder {folder}: {source}")]
    Folder { folder: String, source: io::Error },
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
    /// What there is, as far as this gateway has seen.
    total: Total,
}

#[derive(Debug, Clone, Copy, Default)]
struct Total {
    responses: u64,
    bytes: u64,
}

impl From<&ResponsesConfig> for Bounds {
    fn from(config: &ResponsesConfig) -> Self {
        Self {
            retention_s: config.retention_s,
            max_responses: config.max_responses,
            max_bytes: config.max_bytes.0,
        }
    }
}

impl DatabaseError {
    /// Whether the file is not what it should be.
    pub(super) fn is_corrupt(&self) -> bool {
        let code = match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::Json(_) | Self::Folder { .. } => None,
        };
        matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }
}

impl Database {
    /// Opens the database in this folder. A file that is none is set aside for whoever wants to look at it.
    pub(super) fn open(folder: &Path, bounds: Bounds, now: u64) -> Result<Self, DatabaseError> {
        let in_folder = |source| DatabaseError::Folder { folder: folder.display().to_string(), source };
        fs::create_dir_all(folder).map_err(in_folder)?;
        let presence = Presence::show(folder).map_err(in_folder)?;
        let connection = match connect(folder) {
            Err(error) if error.is_corrupt() => {
                set_aside(folder, now, &error.to_string()).map_err(in_folder)?;
                connect(folder)?
            }
            connection => connection?,
        };
        let mut database = Self { connection, presence, bounds, total: Total::default() };
        database.presence.tidy();
        database.sweep(now)?;
        Ok(database)
    }

    /// Moves the file out of the way.
    pub(super) fn set_aside(self, folder: &Path, now: u64) -> io::Result<()> {
        // Another one is opened when the next job comes.
        drop(self);
        set_aside(folder, now, "it broke while it was in use")
    }

    /// Keeps a response with the items of its input; others may have to go for it.
    pub(super) fn insert(&mut self, row: &Row, inputs: &[Kept], now: u64) -> Result<(), DatabaseError> {
        let bytes = row.end.bytes() + bytes_of(inputs);
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
        transaction.commit()?;
        self.total.responses += 1;
        self.total.bytes += bytes;
        self.make_room()
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
        let bytes = end.bytes() - end.object.len() as u64;
        let transaction = write(&mut self.connection)?;
        let n_updated = transaction
            .prepare_cached(
                "UPDATE response SET status = ?2, object = ?3, events = ?4, bytes = bytes + ?5 WHERE id = ?1",
            )?
            .execute(params![id, end.status, end.object, end.events, signed(bytes)])?;
        if n_updated == 0 {
            // It was deleted meanwhile.
            return Ok(());
        }
        insert_items(&transaction, id, true, &end.outputs)?;
        transaction.commit()?;
        self.total.bytes += bytes;
        self.make_room()
    }

    /// A response comes to nothing.
    pub(super) fn lose(&mut self, id: &str) -> Result<(), DatabaseError> {
        self.fail("id", id)
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
        self.total.gone(deleted);
        Ok(deleted.is_some())
    }

    /// The items of all turns up to this response, oldest first, which are thereby used; or the id of the turn that is
    /// missing.
    pub(super) fn conversation(
        &mut self,
        id: &str,
        caller: &str,
        now: u64,
    ) -> Result<Result<Vec<String>, String>, DatabaseError> {
        let mut turns = Vec::new();
        let mut next = Some(id.to_owned());
        while let Some(turn) = next {
            let found: Option<Option<String>> = self
                .connection
                .prepare_cached(
                    "SELECT previous FROM response WHERE id = ?1 AND caller = ?2 AND used_s > ?3",
                )?
                .query_row(params![turn, caller, self.bounds.oldest(now)], |row| row.get(0))
                .optional()?;
            let Some(previous) = found.filter(|_| turns.len() < MAX_TURNS) else { return Ok(Err(turn)) };
            turns.push(turn);
            next = previous;
        }
        let mut items = Vec::new();
        for turn in turns.iter().rev() {
            for is_output in [false, true] {
                items.extend(self.items(turn, is_output)?.into_iter().map(|item| item.json));
            }
        }
        let transaction = write(&mut self.connection)?;
        for turn in &turns {
            transaction
                .prepare_cached("UPDATE response SET used_s = max(used_s, ?2) WHERE id = ?1")?
                .execute(params![turn, signed(now)])?;
        }
        transaction.commit()?;
        Ok(Ok(items))
    }

    /// An item of any response of this caller's.
    pub(super) fn item(&mut self, id: &str, caller: &str, now: u64) -> Result<Option<Kept>, DatabaseError> {
        let mut query = self.connection.prepare_cached(
            "SELECT item.id, json FROM item JOIN response ON response.id = item.response
             WHERE item.id = ?1 AND caller = ?2 AND used_s > ?3 LIMIT 1",
        )?;
        Ok(query.query_row(params![id, caller, self.bounds.oldest(now)], kept).optional()?)
    }

    /// Some items of a response's input, and whether there are more behind them.
    pub(super) fn inputs(
        &mut self,
        id: &str,
        caller: &str,
        page: &Page,
        now: u64,
    ) -> Result<Option<(Vec<Kept>, bool)>, DatabaseError> {
        let is_there: bool = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM response WHERE id = ?1 AND caller = ?2 AND used_s > ?3)",
            )?
            .query_row(params![id, caller, self.bounds.oldest(now)], |row| row.get(0))?;
        if !is_there {
            return Ok(None);
        }
        let mut items = self.items(id, false)?;
        if page.order == Order::NewestFirst {
            items.reverse();
        }
        if let Some(after) = &page.after {
            let Some(place) = items.iter().position(|item| item.id == *after) else { return Ok(None) };
            items.drain(..=place);
        }
        let has_more = items.len() > page.limit;
        items.truncate(page.limit);
        Ok(Some((items, has_more)))
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

    /// Removes what is too old or too much, and ends what nobody makes any more.
    pub(super) fn sweep(&mut self, now: u64) -> Result<(), DatabaseError> {
        self.fail_orphans()?;
        self.connection.execute(
            "DELETE FROM response WHERE used_s <= ?1 AND status NOT IN ('queued', 'in_progress')",
            params![self.bounds.oldest(now)],
        )?;
        let count = "SELECT count(*), coalesce(sum(bytes), 0) FROM response";
        self.total = self.connection.query_row(count, [], |row| {
            Ok(Total { responses: unsigned(row.get(0)?), bytes: unsigned(row.get(1)?) })
        })?;
        self.make_room()?;
        // Gives free pages back to the file system.
        self.connection.execute_batch("PRAGMA incremental_vacuum")?;
        Ok(())
    }

    /// Removes what was used longest ago until the rest is within bounds. What is being made stays.
    fn make_room(&mut self) -> Result<(), DatabaseError> {
        while self.total.responses > self.bounds.max_responses || self.total.bytes > self.bounds.max_bytes {
            let oldest = "DELETE FROM response WHERE id = (
                    SELECT id FROM response WHERE status NOT IN ('queued', 'in_progress')
                    ORDER BY used_s, created_s LIMIT 1
                ) RETURNING bytes";
            let bytes = self.connection.prepare_cached(oldest)?.query_row([], |row| row.get(0)).optional()?;
            if bytes.is_none() {
                break;
            }
            self.total.gone(bytes);
        }
        Ok(())
    }

    /// Responses whose gateway is gone have failed.
    fn fail_orphans(&mut self) -> Result<(), DatabaseError> {
        let mut query = self.connection.prepare_cached(
            "SELECT DISTINCT gateway FROM response WHERE status IN ('queued', 'in_progress')",
        )?;
        let makers = query.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        drop(query);
        for maker in makers.iter().filter(|maker| !self.presence.is_alive(maker)) {
            self.fail("gateway", maker)?;
        }
        Ok(())
    }

    /// What runs and has this `value` in `column` has failed.
    fn fail(&self, column: &'static str, value: &str) -> Result<(), DatabaseError> {
        let error = serde_json::json!({"code": "server_error", "message": LOST}).to_string();
        let update = format!(
            "UPDATE response SET status = 'failed',
                object = json_set(object, '$.status', 'failed', '$.error', json(?2))
             WHERE {column} = ?1 AND status IN ('queued', 'in_progress')"
        );
        self.connection.prepare_cached(&update)?.execute(params![value, error])?;
        Ok(())
    }

    fn items(&self, response: &str, is_output: bool) -> Result<Vec<Kept>, DatabaseError> {
        let mut query = self.connection.prepare_cached(
            "SELECT id, json FROM item WHERE response = ?1 AND is_output = ?2 ORDER BY place",
        )?;
        let items = query.query_map(params![response, is_output], kept)?.collect::<Result<_, _>>()?;
        Ok(items)
    }
}

impl Bounds {
    /// The time up to which what was used last is too old.
    fn oldest(self, now: u64) -> i64 {
        signed(now).saturating_sub(signed(self.retention_s))
    }
}

impl Total {
    fn gone(&mut self, bytes: Option<i64>) {
        if let Some(bytes) = bytes {
            self.responses = self.responses.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(unsigned(bytes));
        }
    }
}

/// A count as SQLite has it.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
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

/// A transaction that has the right to write from its beginning, so that none fails for another one's writing.
fn write(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
}

fn connect(folder: &Path) -> Result<Connection, DatabaseError> {
    let mut connection = Connection::open(folder.join(FILE))?;
    schema::prepare(&mut connection)?;
    Ok(connection)
}

/// Moves the file, and those that SQLite keeps beside it, out of the way.
fn set_aside(folder: &Path, now: u64, why: &str) -> io::Result<()> {
    let aside = format!("{FILE}.broken-{now}");
    warn!(folder = %folder.display(), aside, why, "stored responses cannot be read; set aside, and begun anew");
    fs::rename(folder.join(FILE), folder.join(&aside))?;
    for suffix in ["-wal", "-shm"] {
        match fs::rename(folder.join(format!("{FILE}{suffix}")), folder.join(format!("{aside}{suffix}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

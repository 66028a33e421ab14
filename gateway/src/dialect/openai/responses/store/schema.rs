//! The tables of the database.

use rusqlite::{Connection, Result};

use crate::database;

/// The form of the tables below, in the file's own header.
const VERSION: i64 = 1;

/// `is_output` items come behind those of the input. `bytes` counts the texts of a response with its items.
const TABLES: &str = "
CREATE TABLE response (
    id TEXT PRIMARY KEY,
    caller TEXT NOT NULL,
    created_s INTEGER NOT NULL,
    used_s INTEGER NOT NULL,
    previous TEXT,
    status TEXT NOT NULL,
    gateway TEXT NOT NULL,
    is_to_cancel INTEGER NOT NULL DEFAULT 0,
    object TEXT NOT NULL,
    events TEXT,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX response_used ON response (used_s, bytes);
CREATE INDEX response_running ON response (gateway) WHERE status IN ('queued', 'in_progress');
CREATE TABLE item (
    response TEXT NOT NULL REFERENCES response (id) ON DELETE CASCADE,
    is_output INTEGER NOT NULL,
    place INTEGER NOT NULL,
    id TEXT NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (response, is_output, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX item_id ON item (id);
";

/// What came behind the first tables of this version.
const INDEXES: &str = "
CREATE INDEX IF NOT EXISTS response_held ON response (caller, used_s, created_s, bytes);
";

/// Prepares a connection, and the file where it is new.
pub(super) fn prepare(connection: &mut Connection) -> Result<()> {
    database::prepare(connection)?;
    let transaction = database::write(connection)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != VERSION {
        // A file of another version is of another build; its responses are of no use to this one.
        transaction.execute_batch("DROP TABLE IF EXISTS item; DROP TABLE IF EXISTS response;")?;
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.execute_batch(INDEXES)?;
    transaction.commit()
}

//! SQLite files in the state folder: how a connection is set up, so that several gateways may have one open, and what
//! becomes of a file that is broken. Tables are the business of whoever keeps something in them.

mod file;

pub(crate) use file::{protect, set_aside};

use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Result, Transaction, TransactionBehavior};

/// How long a connection waits for another one's writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepares a connection, before there is a table. Whatever kills the process, what was committed stays and the file is
/// whole; a loss of power may cost the last commits.
pub(crate) fn prepare(connection: &Connection) -> Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Before the first table, or never.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is deleted is to be gone, not to lie in free pages.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "journal_size_limit", 16 << 20)
}

/// A transaction that has the right to write from its beginning, so that none fails for another one's writing.
pub(crate) fn write(connection: &mut Connection) -> Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Whether an error says that the file is not what it should be.
pub(crate) fn is_corrupt(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// A count as SQLite has it.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// And back.
pub(crate) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

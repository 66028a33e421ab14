//! What is kept, and for how long.

use impetus_config::ResponsesConfig;
use rusqlite::{OptionalExtension, params};

use super::{Database, DatabaseError};

/// What a response that nobody makes any more says of itself.
const LOST: &str = "the gateway ended before this response was whole; send the request again";

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(in crate::dialect::openai::responses) struct Bounds {
    pub(in crate::dialect::openai::responses) retention_s: u64,
    pub(in crate::dialect::openai::responses) max_responses: u64,
    pub(in crate::dialect::openai::responses) max_bytes: u64,
}

/// What there is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Total {
    pub(super) responses: u64,
    pub(super) bytes: u64,
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

impl Database {
    /// Removes what is too old or too much, and ends what nobody makes any more.
    pub(in super::super) fn sweep(&mut self, now: u64) -> Result<(), DatabaseError> {
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
    pub(super) fn make_room(&mut self) -> Result<(), DatabaseError> {
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
    pub(super) fn fail_orphans(&mut self) -> Result<(), DatabaseError> {
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
    pub(super) fn fail(&self, column: &'static str, value: &str) -> Result<(), DatabaseError> {
        let error = serde_json::json!({"code": "server_error", "message": LOST}).to_string();
        let update = format!(
            "UPDATE response SET status = 'failed',
                object = json_set(object, '$.status', 'failed', '$.error', json(?2))
             WHERE {column} = ?1 AND status IN ('queued', 'in_progress')"
        );
        self.connection.prepare_cached(&update)?.execute(params![value, error])?;
        Ok(())
    }
}

impl Bounds {
    /// The time up to which what was used last is too old.
    pub(super) fn oldest(self, now: u64) -> i64 {
        signed(now).saturating_sub(signed(self.retention_s))
    }
}

impl Total {
    pub(super) fn gone(&mut self, bytes: Option<i64>) {
        if let Some(bytes) = bytes {
            self.responses = self.responses.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(unsigned(bytes));
        }
    }
}

/// A count as SQLite has it.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

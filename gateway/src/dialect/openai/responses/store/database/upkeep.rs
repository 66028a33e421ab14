//! What is kept, and for how long.

use impetus_config::ResponsesConfig;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Database, DatabaseError, UNKEPT,
    held::{Held, Total},
};
use crate::database::{signed, unsigned};

/// What a response that nobody makes any more says of itself.
const LOST: &str = "the gateway ended before this response was whole; send the request again";

/// The pages of the file that a sweep gives back at most, of 4 KiB each.
const SWEPT_PAGES: u32 = 4096;

/// One response may have the `ROW_SHARE`-th part of all bytes.
const ROW_SHARE: u64 = 4;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(in crate::dialect::openai::responses) struct Bounds {
    pub(in crate::dialect::openai::responses) retention_s: u64,
    pub(in crate::dialect::openai::responses) max_responses: u64,
    pub(in crate::dialect::openai::responses) max_bytes: u64,
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
        self.held = self.count()?;
        let mut held = self.held.clone();
        self.bounds.make_room(&self.connection, &mut held, "")?;
        self.held = held;
        self.give_back()
    }

    /// What there is.
    fn count(&self) -> Result<Held, DatabaseError> {
        let mut held = Held::default();
        let mut query = self
            .connection
            .prepare_cached("SELECT caller, count(*), sum(bytes) FROM response GROUP BY caller")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let total = Total { responses: unsigned(row.get(1)?), bytes: unsigned(row.get(2)?) };
            held.add(&row.get::<_, String>(0)?, total);
        }
        Ok(held)
    }

    /// Gives free pages back to the file system, as many as take little time: whoever waits for the database waits for
    /// this.
    fn give_back(&self) -> Result<(), DatabaseError> {
        let mut vacuum = self.connection.prepare(&format!("PRAGMA incremental_vacuum({SWEPT_PAGES})"))?;
        let mut freed = vacuum.query([])?;
        // Each step frees one page.
        while freed.next()?.is_some() {}
        drop(freed);
        // What was deleted is in the log until that is empty. Where another gateway is at it, it is so the next time.
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// Responses whose gateway is gone have failed.
    pub(super) fn fail_orphans(&mut self) -> Result<(), DatabaseError> {
        let mut query = self.connection.prepare_cached(
            "SELECT DISTINCT gateway FROM response WHERE status IN ('queued', 'in_progress')",
        )?;
        let makers = query.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        drop(query);
        for maker in &makers {
            if *maker == self.presence.id {
                self.fail_unmade()?;
            } else if !self.presence.is_alive(maker) {
                self.fail("gateway", maker, LOST)?;
            }
        }
        Ok(())
    }

    /// Responses of this gateway that nothing in it makes have failed.
    fn fail_unmade(&self) -> Result<(), DatabaseError> {
        let mut query = self.connection.prepare_cached(
            "SELECT id FROM response WHERE gateway = ?1 AND status IN ('queued', 'in_progress')",
        )?;
        let ids =
            query.query_map([&self.presence.id], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        drop(query);
        for id in ids.iter().filter(|id| !self.background.has(id)) {
            self.fail("id", id, UNKEPT)?;
        }
        Ok(())
    }

    /// What runs and has this `value` in `column` has failed, and says `why`.
    pub(super) fn fail(
        &self,
        column: &'static str,
        value: &str,
        why: &'static str,
    ) -> Result<(), DatabaseError> {
        let error = serde_json::json!({"code": "server_error", "message": why}).to_string();
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
    /// Refuses a response of more bytes than one may have.
    pub(in crate::dialect::openai::responses) fn admit(self, bytes: u64) -> Result<(), DatabaseError> {
        let max = self.max_bytes / ROW_SHARE;
        if bytes > max { Err(DatabaseError::TooLarge { bytes, max }) } else { Ok(()) }
    }

    /// Removes what was used longest ago by whoever keeps most, until the rest is within these bounds: nobody's are
    /// removed for somebody who keeps more. What is being made stays, and the response `new`.
    pub(super) fn make_room(
        self,
        connection: &Connection,
        held: &mut Held,
        new: &str,
    ) -> Result<(), DatabaseError> {
        let mut oldest = connection.prepare_cached(
            "DELETE FROM response WHERE id = (
                SELECT id FROM response
                WHERE caller = ?1 AND id != ?2 AND status NOT IN ('queued', 'in_progress')
                ORDER BY used_s, created_s LIMIT 1
            ) RETURNING bytes",
        )?;
        // Of these there is nothing to remove.
        let mut spared = Vec::new();
        while let Some(measure) = self.exceeded_by(held.all())
            && let Some(caller) = held.most(measure, &spared)
        {
            match oldest.query_row(params![caller, new], |row| row.get(0)).optional()? {
                Some(bytes) => held.gone(&caller, unsigned(bytes)),
                None => spared.push(caller),
            }
        }
        Ok(())
    }

    /// What there is too much of.
    fn exceeded_by(self, total: Total) -> Option<fn(&Total) -> u64> {
        if total.bytes > self.max_bytes {
            Some(|total| total.bytes)
        } else if total.responses > self.max_responses {
            Some(|total| total.responses)
        } else {
            None
        }
    }

    /// The time up to which what was used last is too old.
    pub(super) fn oldest(self, now: u64) -> i64 {
        signed(now).saturating_sub(signed(self.retention_s))
    }
}

#[cfg(test)]
mod tests;
